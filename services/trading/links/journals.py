"""The auditor's side of ``GET /journal``: every journal, kept before it is looked at."""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Mapping, Sequence
from typing import Any

import httpx

from trading.hosting.app import LENGTH
from trading.hosting.host import Host
from trading.hosting.patience import stored
from trading.hosting.slices import slices
from trading.hosting.store import StoreUnavailable, Written
from trading.links import http
from trading.links.board import Links
from trading.links.instances import INSTANCE, LOOK_EVERY, addresses, name_of, scales
from trading.links.peers import Peers
from trading.messages.audit import AuditQuery, JournalBatch, JournalEntry, LossNoted
from trading.runtime.journal import from_ndjson, time_of
from trading.runtime.network import Network
from trading.topology import (
    AUDIT_CORRELATOR,
    EXCHANGE,
    INSTANCES,
    MARKET_DATA,
    SERVICES,
    TEST_COORDINATOR,
)

log = logging.getLogger(__name__)

#: Wall seconds that a query waits for journals that are behind.
PATIENCE = 8.0
_RETRY = 0.2
NETWORK = Network.name
_UNTIL = b'{"until":'
_NOT_YET = "not read yet"
_AT_ONCE = 2000
#: Longest line of a journal that is taken, bytes.
_LINE = 16 * 1024 * 1024
#: Whose journals the claims in all others are judged by.
_CAUSES = (EXCHANGE, MARKET_DATA)


class Journals:
    """Reads along with every service while it lives, and goes on where it stopped."""

    def __init__(self, peers: Peers, links: Links) -> None:
        self._links = links
        self._peers = peers
        self._services = {
            name_of(service, "" if number == 1 else str(number)): service
            for service in SERVICES[AUDIT_CORRELATOR].calls
            for number in range(1, INSTANCES.get(service, 1) + 1)
        }
        self._sources: dict[str, str] = {}
        self._headers = {
            "Authorization": f"Bearer {peers.token}",
            "X-Service": AUDIT_CORRELATOR,
        }
        self._finder: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._host: Host | None = None
        self._read: dict[str, int] = {}
        self._number = 0
        self._problems: dict[str, str] = {}
        self._progress = asyncio.Event()
        #: In virtual time: entries that are kept and not looked at yet, and up to which time each
        #: journal has been read.
        self._kept: dict[str, deque[JournalEntry]] = {}
        self._until: dict[str, int] = {}
        self._taking = asyncio.Event()
        self._taking.set()
        #: Journals that have turned out to be shorter than they were.
        self._short: set[str] = set()

    def problems(self) -> dict[str, str]:
        """By journal: why it is not being read now; empty: it is. Of several instances, those
        that are there now, and the first.
        """
        first = SERVICES[AUDIT_CORRELATOR].calls
        there = [*first, *(name for name in self._sources if name not in first)]
        return {f"journal of {name}": self._problems.get(name, _NOT_YET) for name in there}

    async def start(self, host: Host) -> None:
        self._host = host
        host.on_session(self._again)
        self._again()
        self._finder = host.tasks.start("the search for journals", self._find(), vital=True)

    async def stop(self) -> None:
        tasks = [*self._tasks.values(), *([self._finder] if self._finder is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def complete(self, query: AuditQuery) -> AuditQuery:
        """The query with every journal's head as the service itself says it is now, once all has
        been read up to there, or patience is over. Causes are asked for after their effects, and
        nothing more of these is taken meanwhile: no claim is judged before what it stands on.
        """
        await self._look()
        causes = {n for n in self._tasks if self._services[n] in _CAUSES}
        heads = await self._reach(self._tasks.keys() - causes)
        self._taking.clear()
        try:
            heads |= await self._reach(causes)
        finally:
            self._taking.set()
        return AuditQuery(query.source, query.run_id, heads)

    async def _reach(self, names: Collection[str]) -> dict[str, int]:
        heads = await self._heads(names)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while any(self._read.get(name, 0) < head for name, head in heads.items()):
                    self._progress.clear()
                    await self._progress.wait()
        return heads

    def _again(self) -> None:
        """A session has begun, or is gone on with: the journals from where they were read to."""
        for task in self._tasks.values():
            task.cancel()
        if self._host is None:
            return
        self._number = self._host.live.number
        self._read = {}
        self._tasks = {}
        self._kept, self._until = {}, {}
        self._short.clear()
        if self._host.live.in_lockstep:
            self._begin(NETWORK)
        taking_part = self._awaited() if self._host.live.in_lockstep else ()
        for name, service in self._services.items():
            known = name in self._sources or name in taking_part
            if known or not scales(service) or self._has(name):
                self._begin(name)

    def _has(self, name: str) -> bool:
        """Has an instance that may be gone by now been read in this session?"""
        auditor: Any = self._host and self._host.component(AUDIT_CORRELATOR)
        return auditor is not None and auditor.read_to(name) > 0

    def _begin(self, name: str) -> None:
        if self._host is not None and name not in self._tasks:
            work = self._follow(name)
            self._tasks[name] = self._host.tasks.start(f"reading {name}", work, vital=True)

    async def _find(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> None:
        """Which journal is read from where, and whatever instance is new."""
        found: dict[str, str] = {}
        for service in SERVICES[AUDIT_CORRELATOR].calls:
            urls = await addresses(self._peers, service)
            if not scales(service):
                found[service] = urls[0]
                continue
            for url in urls:
                instance = await self._ask(url)
                name = name_of(service, str(instance.get("instance", "")))
                if instance and name in self._services:
                    found[name] = url
        self._sources = found
        for name in found:
            self._begin(name)

    async def _follow(self, name: str) -> None:
        host = self._host
        if host is None:
            return
        number = self._number
        auditor: Any = host.component(AUDIT_CORRELATOR)
        seq = auditor.read_to(name)
        # Kept, and not looked at any more when the process ended.
        while page := await stored(host.store.read, number, name, seq, _AT_ONCE):
            self._look_at(host, name, seq, page)
            seq += len(page)
        self._read[name] = seq
        while host.live.number == number:
            try:
                async for entries in self._pages(name, host.session.key):
                    await self._take(host, number, name, entries)
            except (httpx.HTTPError, StoreUnavailable, ValueError, OSError) as error:
                self._problems[name] = str(error) or type(error).__name__
            await asyncio.sleep(_RETRY)

    async def _pages(self, name: str, key: str) -> AsyncIterator[list[JournalEntry]]:
        service = self._services.get(name, TEST_COORDINATOR)
        url = self._url(name)
        if self._links.is_cut(service):
            raise OSError("partitioned")
        if not url:
            raise OSError("it does not answer")
        params: dict[str, Any] = {"after": self._read[name], "follow": True, "key": key}
        if self._host is not None and self._host.live.in_lockstep:
            params |= {"progress": True, **_source(name)}
        timeout = httpx.Timeout(5, read=30)
        async with (
            http.client(timeout=timeout, headers=self._headers) as client,
            client.stream("GET", f"{url}/journal", params=params) as answer,
        ):
            if answer.status_code == 410:
                gone = json.loads(await answer.aread())["detail"]
                raise ValueError(f"{gone}. Another session, which every run opens, is read whole")
            if answer.status_code == 416:
                lost = json.loads(await answer.aread())["detail"]
                self._note_loss(name, int(answer.headers.get(LENGTH, "0")), lost)
                raise ValueError(
                    f"entries were lost: {lost}. Another session, which every run"
                    " opens, is read whole"
                )
            if answer.status_code != 200:
                raise ValueError(f"{answer.status_code} from {answer.url.host}")
            instance = answer.headers.get(INSTANCE, "")
            if name != NETWORK and name_of(service, instance) != name:
                raise ValueError(f"another instance answers at {answer.url.host}")
            self._problems[name] = ""
            rest = b""
            async for chunk in answer.aiter_bytes():
                if self._links.is_cut(service):
                    raise OSError("partitioned")
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LINE:
                    raise ValueError(f"a line of more than {_LINE} bytes")
                until = [line for line in lines if line.startswith(_UNTIL)]
                told = [line for line in lines if not line.startswith(_UNTIL)]
                for first in range(0, len(told), _AT_ONCE):
                    yield [from_ndjson(line) for line in told[first : first + _AT_ONCE]]
                if until:
                    self._until[name] = int(until[-1][len(_UNTIL) : -1])
                    if self._host is not None and self._host.live.in_lockstep:
                        self._feed_along(self._host)

    def _note_loss(self, name: str, kept: int, lost: str) -> None:
        """Tell the auditor once in a session. In virtual time the run cannot go on anyway."""
        if self._host is not None and name not in self._short and not self._host.live.in_lockstep:
            self._short.add(name)
            loss = LossNoted(name, self._read[name], kept, lost)
            self._host.send(AUDIT_CORRELATOR, loss)

    async def _take(
        self, host: Host, number: int, name: str, entries: Sequence[JournalEntry]
    ) -> None:
        """Kept first, so that a replay finds what was read."""
        if self._services.get(name) not in _CAUSES:
            await self._taking.wait()
        after = self._read[name]
        written = [Written(name, after + i, e.body, e.hash) for i, e in enumerate(entries, 1)]
        await asyncio.to_thread(host.store.write, number, written)
        if host.live.number != number:
            return
        self._look_at(host, name, after, entries)
        self._read[name] = after + len(entries)
        self._progress.set()

    def _look_at(self, host: Host, name: str, after: int, entries: Sequence[JournalEntry]) -> None:
        """By the wall clock at once; in virtual time once all journals have come as far."""
        if host.live.in_lockstep:
            self._kept.setdefault(name, deque()).extend(entries)
        else:
            host.send(AUDIT_CORRELATOR, JournalBatch(name, after, tuple(entries)))

    def prepare(self, due: int) -> Awaitable[None] | None:
        """Before an instant of virtual time: when the auditor is asked at it, every journal is read
        up to there first.
        """
        host = self._host
        if host is None:
            return None
        queries = [m for m in host.kernel.due(AUDIT_CORRELATOR) if isinstance(m, AuditQuery)]
        return self._read_before(host, due, queries) if queries else None

    def _awaited(self) -> list[str]:
        """Whose journals are read to their ends in virtual time: of all who take part in the run,
        and of the network.
        """
        virtual = self._links.virtual
        participants = virtual.participants if virtual is not None else {}
        calls = SERVICES[AUDIT_CORRELATOR].calls
        return [*(n for n, service in participants.items() if service in calls), NETWORK]

    async def _read_before(self, host: Host, due: int, queries: Sequence[AuditQuery]) -> None:
        """Read everybody's journal up to ``due``, and that of a dismissed instance as far as it
        can be read: where its process is there, as the others'; where it is gone, what has been
        read of it before. The audit may be complete then all the same. Its process may never come
        back, and what it wrote last and nobody has read proves nothing and refutes nothing: what
        the others claim is judged by the journals of exchange and market data, which have every
        order that took effect. That it was dismissed is recorded with the run.
        """
        heads: dict[str, int] = {}
        while host.live.in_lockstep and host.live.number == self._number:
            names = self._awaited()
            for name in names:
                if name not in heads and (head := await self._head(name, before=due)) is not None:
                    heads[name] = head
            virtual = self._links.virtual
            for name in sorted(virtual.dismissed) if virtual is not None else ():
                head = await self._head(name, before=due)
                # Also this is journaled, so that whoever comes back reads as far again.
                heads[name] = head if head is not None else self._kept_before(host, name, due)
            read = all(self._read.get(name, 0) >= head for name, head in heads.items())
            if read and all(name in heads for name in names):
                break
            self._progress.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY):
                    await self._progress.wait()
        else:
            return
        self._feed(host, due)
        for query in queries:
            answered = AuditQuery(query.source, query.run_id, heads)
            host.kernel.replace_due(AUDIT_CORRELATOR, query, answered)

    def _feed_along(self, host: Host) -> None:
        """Feed the auditor what all journals have told, a slice of time after the other."""
        until = min(self._until.get(name, 0) for name in self._awaited())
        # Until then everybody may still write; and what is asked at an instant comes before it.
        self._feed(host, min(until, host.kernel.now))

    def _kept_before(self, host: Host, name: str, due: int) -> int:
        """Return how many entries of a journal have been read from before ``due``."""
        auditor: Any = host.component(AUDIT_CORRELATOR)
        read: int = auditor.read_to(name)
        return read + sum(1 for e in self._kept.get(name, ()) if time_of(e.body) < due)

    def _feed(self, host: Host, before: int) -> None:
        auditor: Any = host.component(AUDIT_CORRELATOR)
        journals = {
            name: (auditor.read_to(name), _taken_before(kept, before))
            for name, kept in self._kept.items()
        }
        for batch in slices(journals):
            host.kernel.feed(batch)

    async def _heads(self, names: Collection[str]) -> dict[str, int]:
        """A journal whose service does not answer counts as longer than what was read."""
        found = await asyncio.gather(*(self._head(name) for name in names))
        return {
            name: head if head is not None else self._read.get(name, 0) + 1
            for name, head in zip(names, found, strict=True)
        }

    def _url(self, name: str) -> str:
        """Where a journal is read, empty while its service does not answer; that of the network
        is the coordinator's.
        """
        return self._sources.get(TEST_COORDINATOR if name == NETWORK else name, "")

    async def _head(self, name: str, before: int | None = None) -> int | None:
        url = self._url(name)
        asked = {**_source(name), **({"before": before} if before is not None else {})}
        found = await self._ask(url, asked) if url else {}
        if not found:
            log.warning("no head of the journal of %s", name)
        if self._host is None or found.get("session") != self._host.session.key:
            return None
        if name != NETWORK and name_of(self._services[name], found["instance"]) != name:
            return None
        return int(found["length"])

    async def _ask(self, url: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """What a service says of its journal's head; nothing where it does not answer."""
        try:
            async with http.client(timeout=3, headers=self._headers) as client:
                answer = await client.get(f"{url}/journal/head", params=params)
            found: Mapping[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return {}
        return found


def _source(name: str) -> dict[str, str]:
    return {"source": NETWORK} if name == NETWORK else {}


def _taken_before(kept: deque[JournalEntry], time: int) -> Iterator[JournalEntry]:
    while kept and time_of(kept[0].body) < time:
        yield kept.popleft()
