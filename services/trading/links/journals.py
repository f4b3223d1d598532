"""The auditor's side of ``GET /journal``: every journal, kept before it is looked at."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import httpx

from trading.hosting.host import Host
from trading.hosting.store import StoreUnavailable, Written
from trading.links.board import Links
from trading.links.instances import INSTANCE, LOOK_EVERY, addresses, name_of, scales
from trading.links.peers import Peers
from trading.messages.audit import AuditQuery, JournalBatch, JournalEntry
from trading.runtime.journal import from_ndjson
from trading.topology import AUDIT_CORRELATOR, EXCHANGE, INSTANCES, MARKET_DATA, SERVICES

log = logging.getLogger(__name__)

#: Wall seconds that a query waits for journals that are behind.
PATIENCE = 8.0
_RETRY = 0.2
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
        self._taking = asyncio.Event()
        self._taking.set()

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
        self._finder = asyncio.create_task(self._find())

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
        for name, service in self._services.items():
            if name in self._sources or not scales(service) or self._has(name):
                self._begin(name)

    def _has(self, name: str) -> bool:
        """Has an instance that may be gone by now been read in this session?"""
        auditor: Any = self._host and self._host.component(AUDIT_CORRELATOR)
        return auditor is not None and auditor.read_to(name) > 0

    def _begin(self, name: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._follow(name))

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
        while page := await asyncio.to_thread(host.store.read, number, name, seq, _AT_ONCE):
            host.send(AUDIT_CORRELATOR, JournalBatch(name, seq, tuple(page)))
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
        if self._links.is_cut(self._services[name]):
            raise OSError("partitioned")
        if name not in self._sources:
            raise OSError("it does not answer")
        params: dict[str, Any] = {"after": self._read[name], "follow": True, "key": key}
        timeout = httpx.Timeout(5, read=30)
        async with (
            httpx.AsyncClient(trust_env=False, timeout=timeout, headers=self._headers) as client,
            client.stream("GET", f"{self._sources[name]}/journal", params=params) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"{answer.status_code} from {answer.url.host}")
            if name_of(self._services[name], answer.headers.get(INSTANCE, "")) != name:
                raise ValueError(f"another instance answers at {answer.url.host}")
            self._problems[name] = ""
            rest = b""
            async for chunk in answer.aiter_bytes():
                if self._links.is_cut(self._services[name]):
                    raise OSError("partitioned")
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LINE:
                    raise ValueError(f"a line of more than {_LINE} bytes")
                for first in range(0, len(lines), _AT_ONCE):
                    yield [from_ndjson(line) for line in lines[first : first + _AT_ONCE]]

    async def _take(
        self, host: Host, number: int, name: str, entries: Sequence[JournalEntry]
    ) -> None:
        """Kept first, so that a replay finds what was read."""
        if self._services[name] not in _CAUSES:
            await self._taking.wait()
        after = self._read[name]
        written = [Written(name, after + i, e.body, e.hash) for i, e in enumerate(entries, 1)]
        await asyncio.to_thread(host.store.write, number, written)
        if host.live.number != number:
            return
        host.send(AUDIT_CORRELATOR, JournalBatch(name, after, tuple(entries)))
        self._read[name] = after + len(entries)
        self._progress.set()

    async def _heads(self, names: Collection[str]) -> dict[str, int]:
        """A journal whose service does not answer counts as longer than what was read."""
        found = await asyncio.gather(*(self._head(name) for name in names))
        return {
            name: head if head is not None else self._read.get(name, 0) + 1
            for name, head in zip(names, found, strict=True)
        }

    async def _head(self, name: str) -> int | None:
        found = await self._ask(self._sources[name]) if name in self._sources else {}
        if not found:
            log.warning("no head of the journal of %s", name)
        if self._host is None or found.get("session") != self._host.session.key:
            return None
        if name_of(self._services[name], found["instance"]) != name:
            return None
        return int(found["length"])

    async def _ask(self, url: str) -> Mapping[str, Any]:
        """What a service says of its journal's head; nothing where it does not answer."""
        try:
            async with httpx.AsyncClient(
                trust_env=False, timeout=3, headers=self._headers
            ) as client:
                answer = await client.get(f"{url}/journal/head")
            found: Mapping[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return {}
        return found
