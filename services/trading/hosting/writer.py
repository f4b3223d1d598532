"""Writes what a host has decided, group by group, and tells those who wait for it.

In virtual time what follows from a journal can be computed again: there it is written behind, a
little later, unless somebody waits for it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

from trading.hosting.heads import HeadsFile
from trading.hosting.inputs import Unavailable
from trading.hosting.live import LiveSession, Outward, Published
from trading.hosting.store import JournalStore, Snapshot, StoreUnavailable

log = logging.getLogger(__name__)

#: Journal entries between two snapshots.
SNAPSHOT_EVERY = 100_000
#: In virtual time: wall seconds for which entries gather that nobody waits for.
WRITE_BEHIND = 0.2
#: Wall seconds until the next attempt to write, at first and at the longest.
_SOONEST, _LATEST = 0.2, 5.0
#: Wall seconds without a write after which it is tried whether the store takes anything.
PROBE_EVERY = 3.0
#: Kind and name of the document that is written then.
_PROBE = ("probe", "writable")
#: At the end: wall seconds between two attempts beyond which it gives up.
_PATIENCE = 1.0

Listener = Callable[[Sequence[Published]], None]
Sender = Callable[[Sequence[Outward]], None]


class _Source(Protocol):
    """What is written: a host's session."""

    @property
    def live(self) -> LiveSession: ...
    @property
    def virtual(self) -> bool: ...


class Writer:
    """``listeners`` get what was published once it is durable; ``sender``, where there is one, what
    is for other processes; ``wrote`` is told of each write: session, entries, snapshot; ``heads``,
    where there is one, notes how long the journals are by then.
    ``durable_until``: simulated time up to which everything is durable.
    ``unavailable``: why nothing can be written now; empty: it can. ``in_flight``: entries that are
    being written. ``lost``: at the end, what could not be written, and why; empty: all was.
    """

    def __init__(
        self,
        source: _Source,
        store: JournalStore,
        sender: Sender | None,
        wrote: Callable[[int, int, Snapshot | None], None],
        heads: HeadsFile | None,
    ) -> None:
        self.listeners: list[Listener] = []
        self.durable_until = 0
        self.unavailable = ""
        self.in_flight = 0
        self.lost = ""
        self._source = source
        self._store = store
        self._sender = sender
        self._wrote = wrote
        self._heads = heads
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = 0
        self._work = asyncio.Event()
        self._urgent = asyncio.Event()
        self._written = asyncio.Event()
        self._wrote_something = False
        self._stopping = False
        self._closed: Exception | None = None

    def note(self) -> None:
        """Look soon whether there is something to write or to tell."""
        live = self._source.live
        if live.pending or live.outbox or live.outward or self._waiting:
            self._work.set()
        if live.entries_since_snapshot >= SNAPSHOT_EVERY and not live.snapshot_wanted:
            live.snapshot_wanted = True
            self._work.set()

    def hurry(self) -> None:
        """Write at once."""
        self._urgent.set()
        self._work.set()

    def stop(self) -> None:
        """Let :meth:`run` end, with a snapshot."""
        self._stopping = True
        self.hurry()

    async def settled(self, at: int) -> None:
        """Wait until everything up to the simulated time ``at`` is decided and durable. Raises
        Unavailable when it cannot be.
        """
        if self._closed is not None:
            raise self._closed
        if self._stopping:
            raise Unavailable("stopping")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tickets += 1
        heappush(self._waiting, (at, self._tickets, future))
        self.hurry()
        await future

    async def more_written(self) -> None:
        """Wait until something more is durable."""
        await self._written.wait()

    def fail(self, error: Exception) -> None:
        """Tell those who wait that it will not be."""
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(error)

    def close(self, error: Exception) -> None:
        """Nothing is written any more: whoever waits, or comes to wait, gets ``error``."""
        self._closed = error
        self.fail(error)

    async def run(self) -> None:
        """Write what has been decided; then tell those who wait for it. Until :meth:`stop`."""
        while True:
            await self._work.wait()
            if self._source.virtual and not self._waiting and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), WRITE_BEHIND)
            self._urgent.clear()
            self._work.clear()
            live = self._source.live
            stopping = self._stopping
            processed = live.kernel.now
            entries, outbox, outward = live.take()
            snapshot = live.freeze() if live.snapshot_wanted or stopping else None
            if entries or snapshot is not None:
                await self._write(live, entries, snapshot)
                self._wrote(live.number, len(entries), snapshot)
            current = live is self._source.live
            if current:
                self.durable_until = max(self.durable_until, processed)
            written, self._written = self._written, asyncio.Event()
            written.set()
            for listener in list(self.listeners) if outbox else ():
                listener(outbox)
            if outward and self._sender is not None and current:
                self._sender(outward)
            while self._waiting and self._waiting[0][0] <= processed and current:
                future = heappop(self._waiting)[2]
                if not future.done():
                    future.set_result(None)
            if stopping:
                return

    async def watch(self) -> None:
        """Find out while nothing is to be written that nothing could be."""
        while not self._stopping:
            await asyncio.sleep(PROBE_EVERY)
            idle, self._wrote_something = not self._wrote_something, False
            if not idle or self._source.live.writing:
                continue
            try:
                await asyncio.to_thread(self._store.put, *_PROBE, b"")
            except StoreUnavailable as error:
                self._report(error)
            else:
                if not self._source.live.writing:
                    self._available()

    async def _write(
        self, live: LiveSession, entries: Sequence[Any], snapshot: Snapshot | None
    ) -> None:
        """Until it is written: what the store could not take is kept and tried again."""
        live.writing = True
        self.in_flight = len(entries)
        wait = _SOONEST
        stored = False

        def keep() -> None:
            nonlocal stored
            if not stored:
                self._store.write(live.number, entries, snapshot)
                stored = True
            if self._heads is not None and entries:
                self._heads.note(live.number, entries)

        while True:
            try:
                await asyncio.to_thread(keep)
            except Exception as error:
                # Of whatever kind: nothing else knows what this store may come to raise.
                self._report(error)
                self.fail(Unavailable(self.unavailable))
                if self._stopping and wait > _PATIENCE:
                    log.error("stopped with %d journal entries unwritten", len(entries))
                    self.lost = f"{len(entries)} entries could not be written: {error}"
                    break
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LATEST)
            else:
                self._wrote_something = True
                self._available()
                break
        self.in_flight = 0
        live.writing = False

    def _available(self) -> None:
        if self.unavailable:
            log.warning("the journal can be written again; %d entries waited", self.in_flight)
        self.unavailable = ""

    def _report(self, error: Exception) -> None:
        problem = f"journal: {error or type(error).__name__}"
        if problem != self.unavailable:
            known = isinstance(error, StoreUnavailable)
            log.error("the journal cannot be written: %s", error, exc_info=not known)
        self.unavailable = problem
