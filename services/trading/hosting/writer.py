"""Writes what a host has decided, in groups, and then publishes it and wakes those who wait.

In virtual time, what follows from a journal can be computed again. There entries are written with a
short delay, unless a caller waits for them.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

from trading.hosting.heads import HeadsFile
from trading.hosting.inputs import Unavailable
from trading.hosting.live_session import LiveSession, OutboundMessage, PublishedMessage
from trading.hosting.store import JournalStore, Snapshot, StoreUnavailable

log = logging.getLogger(__name__)

#: Journal entries between two snapshots.
SNAPSHOT_EVERY = 100_000
#: In virtual time: wall seconds for which entries gather while no caller waits for them.
WRITE_BEHIND = 0.2
#: Wall seconds until the next attempt to write: the first delay, and the longest.
_RETRY_DELAY, _MAX_RETRY_DELAY = 0.2, 5.0
#: Wall seconds without a write after which the writer checks that the store accepts writes.
PROBE_EVERY = 3.0
#: Kind and name of the document that this check writes.
_PROBE = ("probe", "writable")
#: While stopping: the writer gives up when the delay between two attempts exceeds this.
_MAX_STOP_RETRY_DELAY = 1.0

#: Receives published messages once they are durable, in order.
Listener = Callable[[Sequence[PublishedMessage]], None]
#: Receives messages for other processes once they are durable.
Sender = Callable[[Sequence[OutboundMessage]], None]


class _Host(Protocol):
    """What the writer needs of a host."""

    @property
    def live(self) -> LiveSession: ...
    @property
    def virtual(self) -> bool: ...


class Writer:
    """Writes the entries of the running session of ``source``, a host, to ``store``.

    ``sender``, if given, receives the messages for other processes once they are durable.
    ``wrote`` is called after each write with the session's number, the number of entries and the
    snapshot. ``heads``, if given, records the journals' lengths after each write.

    ``listeners`` receive published messages once they are durable. ``durable_until`` is the
    simulated time up to which everything is durable, ``unavailable`` the reason why nothing can
    be written now (empty if it can), ``in_flight`` the number of entries being written, and
    ``lost`` says after the end what could not be written, and why (empty if everything was).
    """

    def __init__(
        self,
        source: _Host,
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
        self._on_write = wrote
        self._heads = heads
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = 0
        self._work = asyncio.Event()
        self._urgent = asyncio.Event()
        self._written = asyncio.Event()
        self._wrote_something = False
        self._stopping = False
        self._closed: Exception | None = None

    def wake(self) -> None:
        """Wake :meth:`run` if there is something to write or to publish."""
        live = self._source.live
        if live.has_output or self._waiting:
            self._work.set()
        if live.request_snapshot_after(SNAPSHOT_EVERY):
            self._work.set()

    def hurry(self) -> None:
        """Write at once, without waiting for further entries."""
        self._urgent.set()
        self._work.set()

    def stop(self) -> None:
        """Let :meth:`run` end after a last write with a snapshot."""
        self._stopping = True
        self.hurry()

    async def wait_durable_until(self, at: int) -> None:
        """Wait until everything up to the simulated time ``at`` is decided and durable.

        Raises Unavailable when that cannot be achieved.
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
        """Wait for the next write to the store."""
        await self._written.wait()

    def fail(self, error: Exception) -> None:
        """Raise ``error`` in all calls of :meth:`wait_durable_until` that wait now."""
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(error)

    def close(self, error: Exception) -> None:
        """Raise ``error`` in all calls of :meth:`wait_durable_until`, present and future ones."""
        self._closed = error
        self.fail(error)

    async def run(self) -> None:
        """Write what has been decided, then publish it and wake waiters, until :meth:`stop`."""
        while True:
            await self._work.wait()
            if self._source.virtual and not self._waiting and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._urgent.wait(), WRITE_BEHIND)
            self._urgent.clear()
            self._work.clear()
            live = self._source.live
            stopping = self._stopping
            processed = live.processed_until
            entries, outbox, outward = live.drain()
            snapshot = live.take_snapshot() if live.snapshot_requested or stopping else None
            if entries or snapshot is not None:
                await self._write(live, entries, snapshot)
                self._on_write(live.number, len(entries), snapshot)
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
        """Check regularly, while nothing is written, that the store accepts writes."""
        while not self._stopping:
            await asyncio.sleep(PROBE_EVERY)
            idle, self._wrote_something = not self._wrote_something, False
            if not idle or self._source.live.writing:
                continue
            try:
                await asyncio.to_thread(self._store.put, *_PROBE, b"")
            except StoreUnavailable as error:
                self._report_unavailable(error)
            else:
                if not self._source.live.writing:
                    self._report_available()

    async def _write(
        self, live: LiveSession, entries: Sequence[Any], snapshot: Snapshot | None
    ) -> None:
        """Write entries and snapshot, and retry until it succeeds or the process stops."""
        live.writing = True
        self.in_flight = len(entries)
        delay = _RETRY_DELAY
        stored = False

        def write() -> None:
            nonlocal stored
            if not stored:
                self._store.write(live.number, entries, snapshot)
                stored = True
            if self._heads is not None and entries:
                self._heads.note(live.number, entries)

        while True:
            try:
                await asyncio.to_thread(write)
            except Exception as error:
                # All kinds of errors: a store may raise any, and no other code handles them.
                self._report_unavailable(error)
                self.fail(Unavailable(self.unavailable))
                if self._stopping and delay > _MAX_STOP_RETRY_DELAY:
                    log.error("stopped with %d journal entries unwritten", len(entries))
                    self.lost = f"{len(entries)} entries could not be written: {error}"
                    break
                await asyncio.sleep(delay)
                delay = min(2 * delay, _MAX_RETRY_DELAY)
            else:
                self._wrote_something = True
                self._report_available()
                break
        self.in_flight = 0
        live.writing = False

    def _report_available(self) -> None:
        if self.unavailable:
            log.warning("the journal can be written again; %d entries waited", self.in_flight)
        self.unavailable = ""

    def _report_unavailable(self, error: Exception) -> None:
        problem = f"journal: {error or type(error).__name__}"
        if problem != self.unavailable:
            expected = isinstance(error, StoreUnavailable)
            log.error("the journal cannot be written: %s", error, exc_info=not expected)
        self.unavailable = problem
