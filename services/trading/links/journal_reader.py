"""Reads the journals of all services for the auditor, over ``GET /journal``.

Entries are stored before the auditor component gets them, so that a replay finds what was read.
When time follows the wall clock the auditor gets entries at once; in virtual time it gets them in
slices of simulated time, once all journals have been read up to there.
"""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Sequence
from typing import Any

import httpx

from trading.hosting.app import LENGTH
from trading.hosting.host import Host
from trading.hosting.slices import time_slices
from trading.hosting.store import EntryToWrite, StoreUnavailable
from trading.hosting.store_retry import retry_while_unavailable
from trading.links import http
from trading.links.handler import LinkHandler
from trading.links.instances import (
    INSTANCE_HEADER,
    RESOLVE_INTERVAL,
    can_scale,
    instance_name,
    instance_urls,
)
from trading.links.journal_heads import request_head
from trading.links.peers import Peers
from trading.links.service_links import ServiceLinks
from trading.messages.audit import AuditQuery, JournalBatch, JournalEntry, LossNoted
from trading.runtime.journal import from_ndjson, time_of
from trading.runtime.network import Network
from trading.topology import (
    AUDIT_CORRELATOR,
    EXCHANGE,
    MARKET_DATA,
    MAX_INSTANCES,
    SERVICES,
    TEST_COORDINATOR,
)

log = logging.getLogger(__name__)

#: Wall seconds that a query waits for journals that have not been read to their ends.
_QUERY_TIMEOUT = 8.0
#: Wall seconds until a journal that could not be read is tried again.
_RETRY_DELAY = 0.2
_NETWORK = Network.name
#: Start of a line that says up to which simulated time a journal is complete.
_PROGRESS_LINE = b'{"until":'
#: Entries that are handled at once.
_PAGE = 2000
#: Longest accepted line of a journal, bytes.
_MAX_LINE = 16 * 1024 * 1024
#: Services whose journals verify the claims in all other journals.
_CAUSES = (EXCHANGE, MARKET_DATA)


class JournalReader(LinkHandler):
    """Follows the journal of every service while it runs, and continues where it stopped.

    ``peers`` says where the services are, and ``links`` which of them a partition separates from
    the auditor and which instances take part in a virtual run.
    """

    def __init__(self, peers: Peers, links: ServiceLinks) -> None:
        self._links = links
        self._peers = peers
        self._services = {
            instance_name(service, "" if number == 1 else str(number)): service
            for service in SERVICES[AUDIT_CORRELATOR].calls
            for number in range(1, MAX_INSTANCES.get(service, 1) + 1)
        }
        self._sources: dict[str, str] = {}
        self._headers = {
            "Authorization": f"Bearer {peers.token}",
            "X-Service": AUDIT_CORRELATOR,
        }
        self._discovery: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._host: Host | None = None
        self._read: dict[str, int] = {}
        self._number = 0
        self._problems: dict[str, str] = {}
        self._progress = asyncio.Event()
        #: In virtual time: stored entries that the auditor has not got yet, and the simulated time
        #: up to which each journal has been read.
        self._unread: dict[str, deque[JournalEntry]] = {}
        self._complete_until: dict[str, int] = {}
        #: Is set while entries of all journals may be stored, and cleared while those that verify
        #: others are ahead of the others.
        self._effects_allowed = asyncio.Event()
        self._effects_allowed.set()
        #: Journals that have become shorter than what was read from them.
        self._short: set[str] = set()

    def problems(self) -> dict[str, str]:
        """Return for each journal why it is not being read now, an empty text if it is. Of a
        service with several instances these are the first and those that run now.
        """
        first = SERVICES[AUDIT_CORRELATOR].calls
        names = [*first, *(name for name in self._sources if name not in first)]
        return {f"journal of {name}": self._problems.get(name, "not read yet") for name in names}

    async def start(self, host: Host) -> None:
        """Begin to read all journals for the auditor of ``host``."""
        self._host = host
        host.on_session(self._restart_readers)
        self._restart_readers()
        work = self._keep_discovering()
        self._discovery = host.tasks.start("the search for journals", work, vital=True)

    async def stop(self) -> None:
        """Read no more."""
        discovery = [self._discovery] if self._discovery is not None else []
        tasks = [*self._tasks.values(), *discovery]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def on_audit_query(self, query: AuditQuery) -> None:
        """Complete a query, and hand it to the auditor."""
        if self._host is not None:
            self._host.send(AUDIT_CORRELATOR, await self._complete(query))

    async def _complete(self, query: AuditQuery) -> AuditQuery:
        """Return the query with the present head of each journal, as its service reports it, when
        everything has been read up to there or a timeout is over. The journals that verify the
        others are read last, and no more of the others meanwhile, so that no claim is judged before
        the entries that verify it have been read.
        """
        await self._discover()
        causes = {n for n in self._tasks if self._services[n] in _CAUSES}
        heads = await self._read_to_heads(self._tasks.keys() - causes)
        self._effects_allowed.clear()
        try:
            heads |= await self._read_to_heads(causes)
        finally:
            self._effects_allowed.set()
        return AuditQuery(query.source, query.run_id, heads)

    async def _read_to_heads(self, names: Collection[str]) -> dict[str, int]:
        """Wait until the journals have been read to their present heads, and return these."""
        heads = await self._heads(names)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_QUERY_TIMEOUT):
                while any(self._read.get(name, 0) < head for name, head in heads.items()):
                    self._progress.clear()
                    await self._progress.wait()
        return heads

    def _restart_readers(self) -> None:
        """Read the journals of a new or continued session, from where reading stopped."""
        for task in self._tasks.values():
            task.cancel()
        if self._host is None:
            return
        self._number = self._host.session_number
        self._read = {}
        self._tasks = {}
        self._unread, self._complete_until = {}, {}
        self._short.clear()
        if self._host.in_lockstep:
            self._start_reader(_NETWORK)
        taking_part = self._participants() if self._host.in_lockstep else ()
        for name, service in self._services.items():
            present = name in self._sources or name in taking_part
            if present or not can_scale(service) or self._has_read(name):
                self._start_reader(name)

    def _has_read(self, name: str) -> bool:
        """Return whether this session has entries of an instance, which may have ended by now."""
        return self._host is not None and self._host.auditor.read_to(name) > 0

    def _start_reader(self, name: str) -> None:
        if self._host is not None and name not in self._tasks:
            work = self._follow(name)
            self._tasks[name] = self._host.tasks.start(f"reading {name}", work, vital=True)

    async def _keep_discovering(self) -> None:
        while True:
            await self._discover()
            await asyncio.sleep(RESOLVE_INTERVAL)

    async def _discover(self) -> None:
        """Find the URL of every instance that runs now, and start to read the new ones."""
        sources: dict[str, str] = {}
        for service in SERVICES[AUDIT_CORRELATOR].calls:
            urls = await instance_urls(self._peers, service)
            if not can_scale(service):
                sources[service] = urls[0]
                continue
            for url in urls:
                head = await request_head(url, self._headers)
                name = instance_name(service, str(head.get("instance", "")))
                if head and name in self._services:
                    sources[name] = url
        self._sources = sources
        for name in sources:
            self._start_reader(name)

    async def _follow(self, name: str) -> None:
        """Read a journal until the session ends, and connect again after errors."""
        host = self._host
        if host is None:
            return
        number = self._number
        seq = host.auditor.read_to(name)
        # Entries that were stored, but not handed to the auditor before the process ended.
        while page := await retry_while_unavailable(host.store.read, number, name, seq, _PAGE):
            self._hand_over(host, name, seq, page)
            seq += len(page)
        self._read[name] = seq
        while host.session_number == number:
            try:
                async for entries in self._pages(name, host.session.key):
                    await self._store(host, number, name, entries)
            except (httpx.HTTPError, StoreUnavailable, ValueError, OSError) as error:
                self._problems[name] = str(error) or type(error).__name__
            await asyncio.sleep(_RETRY_DELAY)

    async def _pages(self, name: str, key: str) -> AsyncIterator[list[JournalEntry]]:
        """Yield new entries of a journal as they come. Raises OSError, httpx.HTTPError or
        ValueError when the journal cannot be read on.
        """
        service = self._services.get(name, TEST_COORDINATOR)
        url = self._url(name)
        if self._links.is_cut(service):
            raise OSError("partitioned")
        if not url:
            raise OSError("it does not answer")
        params: dict[str, Any] = {"after": self._read[name], "follow": True, "key": key}
        if self._host is not None and self._host.in_lockstep:
            params |= {"progress": True, **_source(name)}
        timeout = httpx.Timeout(5, read=30)
        async with (
            http.client(timeout=timeout, headers=self._headers) as client,
            client.stream("GET", f"{url}/journal", params=params) as response,
        ):
            if response.status_code in (410, 416):
                detail = json.loads(await response.aread())["detail"]
                if response.status_code == 416:
                    self._report_loss(name, int(response.headers.get(LENGTH, "0")), detail)
                    detail = f"entries were lost: {detail}"
                raise ValueError(f"{detail}. Another session, which every run opens, is read whole")
            if response.status_code != 200:
                raise ValueError(f"{response.status_code} from {response.url.host}")
            instance = response.headers.get(INSTANCE_HEADER, "")
            if name != _NETWORK and instance_name(service, instance) != name:
                raise ValueError(f"another instance answers at {response.url.host}")
            self._problems[name] = ""
            rest = b""
            async for chunk in response.aiter_bytes():
                if self._links.is_cut(service):
                    raise OSError("partitioned")
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _MAX_LINE:
                    raise ValueError(f"a line of more than {_MAX_LINE} bytes")
                progress = [line for line in lines if line.startswith(_PROGRESS_LINE)]
                entries = [line for line in lines if not line.startswith(_PROGRESS_LINE)]
                for first in range(0, len(entries), _PAGE):
                    yield [from_ndjson(line) for line in entries[first : first + _PAGE]]
                if progress:
                    self._complete_until[name] = int(progress[-1][len(_PROGRESS_LINE) : -1])
                    if self._host is not None and self._host.in_lockstep:
                        self._feed_complete(self._host)

    def _report_loss(self, name: str, length: int, detail: str) -> None:
        """Report to the auditor, once in a session, that a journal has only ``length`` entries
        left. In virtual time the run cannot go on anyway.
        """
        if self._host is not None and name not in self._short and not self._host.in_lockstep:
            self._short.add(name)
            loss = LossNoted(name, self._read[name], length, detail)
            self._host.send(AUDIT_CORRELATOR, loss)

    async def _store(
        self, host: Host, number: int, name: str, entries: Sequence[JournalEntry]
    ) -> None:
        """Store entries, and then hand them over, so that a replay finds what was read."""
        if self._services.get(name) not in _CAUSES:
            await self._effects_allowed.wait()
        after = self._read[name]
        written = [EntryToWrite(name, after + i, e.body, e.hash) for i, e in enumerate(entries, 1)]
        await asyncio.to_thread(host.store.write, number, written)
        if host.session_number != number:
            return
        self._hand_over(host, name, after, entries)
        self._read[name] = after + len(entries)
        self._progress.set()

    def _hand_over(
        self, host: Host, name: str, after: int, entries: Sequence[JournalEntry]
    ) -> None:
        """Send entries to the auditor; in virtual time, keep them until all journals are as far."""
        if host.in_lockstep:
            self._unread.setdefault(name, deque()).extend(entries)
        else:
            host.send(AUDIT_CORRELATOR, JournalBatch(name, after, tuple(entries)))

    def prepare(self, due: int) -> Awaitable[None] | None:
        """Return what must be awaited before the instant ``due`` of virtual time: if the auditor
        gets a query then, every journal must be read up to that time first.
        """
        host = self._host
        if host is None:
            return None
        queries = [m for m in host.kernel.due(AUDIT_CORRELATOR) if isinstance(m, AuditQuery)]
        return self._read_before(host, due, queries) if queries else None

    def _participants(self) -> list[str]:
        """Return the names of the journals that a virtual run needs: those of all instances that
        take part, and that of the network.
        """
        virtual = self._links.virtual
        participants = virtual.participants if virtual is not None else {}
        calls = SERVICES[AUDIT_CORRELATOR].calls
        return [*(n for n, service in participants.items() if service in calls), _NETWORK]

    async def _read_before(self, host: Host, due: int, queries: Sequence[AuditQuery]) -> None:
        """Read all journals up to ``due``, and add their heads to the queries.

        The journal of a dismissed instance is read like the others if its process runs. If not, the
        part counts that was read before, and the audit may still be complete: the process may never
        come back, and its last entries prove and refute nothing, because claims are verified by the
        journals of the exchange and of market data, which contain every order that took effect. The
        dismissal is recorded with the run.
        """
        heads: dict[str, int] = {}
        while host.in_lockstep and host.session_number == self._number:
            names = self._participants()
            for name in names:
                if name not in heads and (head := await self._head(name, before=due)) is not None:
                    heads[name] = head
            virtual = self._links.virtual
            for name in sorted(virtual.dismissed) if virtual is not None else ():
                head = await self._head(name, before=due)
                # The heads are journaled with the query, so a replay reads up to the same entry.
                heads[name] = head if head is not None else self._read_until(host, name, due)
            complete = all(self._read.get(name, 0) >= head for name, head in heads.items())
            if complete and all(name in heads for name in names):
                break
            self._progress.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_DELAY):
                    await self._progress.wait()
        else:
            return
        self._feed(host, due)
        for query in queries:
            completed = AuditQuery(query.source, query.run_id, heads)
            host.kernel.replace_due(AUDIT_CORRELATOR, query, completed)

    def _feed_complete(self, host: Host) -> None:
        """Feed the auditor up to the simulated time that all journals have been read to."""
        until = min(self._complete_until.get(name, 0) for name in self._participants())
        # At the kernel's present instant the others may still write, and a query may be due.
        self._feed(host, min(until, host.processed_until))

    def _read_until(self, host: Host, name: str, due: int) -> int:
        """Return how many entries of a journal from before ``due`` have been read."""
        fed = host.auditor.read_to(name)
        return fed + sum(1 for e in self._unread.get(name, ()) if time_of(e.body) < due)

    def _feed(self, host: Host, before: int) -> None:
        """Feed the auditor all entries from before a simulated time, in slices of time."""
        auditor = host.auditor
        journals = {
            name: (auditor.read_to(name), _pop_before(unread, before))
            for name, unread in self._unread.items()
        }
        for batch in time_slices(journals):
            host.kernel.feed_auditor(batch)

    async def _heads(self, names: Collection[str]) -> dict[str, int]:
        """Return the lengths of journals. One whose service does not respond counts as one entry
        longer than what was read, so that it is never taken for completely read.
        """
        heads = await asyncio.gather(*(self._head(name) for name in names))
        return {
            name: head if head is not None else self._read.get(name, 0) + 1
            for name, head in zip(names, heads, strict=True)
        }

    def _url(self, name: str) -> str:
        """Return the base URL of a journal's service, empty while it does not respond; the journal
        of the network is read from the coordinator.
        """
        return self._sources.get(TEST_COORDINATOR if name == _NETWORK else name, "")

    async def _head(self, name: str, before: int | None = None) -> int | None:
        """Return how many entries a journal has, or has from ``before`` a simulated time; None if
        its service does not respond, has another session or is not yet as far.
        """
        url = self._url(name)
        params = {**_source(name), **({"before": before} if before is not None else {})}
        head = await request_head(url, self._headers, params) if url else {}
        if not head:
            log.warning("no response about the head of the journal of %s", name)
        if self._host is None or head.get("session") != self._host.session.key:
            return None
        if name != _NETWORK and instance_name(self._services[name], head["instance"]) != name:
            return None
        return int(head["length"])


def _source(name: str) -> dict[str, str]:
    return {"source": _NETWORK} if name == _NETWORK else {}


def _pop_before(entries: deque[JournalEntry], time: int) -> Iterator[JournalEntry]:
    while entries and time_of(entries[0].body) < time:
        yield entries.popleft()
