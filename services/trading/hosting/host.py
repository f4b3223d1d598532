"""Hosts components in one process: time, inputs, durable journals, and who waits for them.

The kernel decides at once; nobody outside hears of a decision before it is durable. While one
group of entries is being written the next one gathers, so that many commands share one fsync.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any, NamedTuple, Protocol

import msgspec

from trading.hosting.clock import Anchor, SimClock
from trading.hosting.live import LiveSession, Outward, Published
from trading.hosting.session import Session, decode_session, encode_session
from trading.hosting.store import JournalStore, Snapshot, StoreUnavailable
from trading.messages import Message
from trading.messages.base import Delivered
from trading.runtime.component import Component
from trading.runtime.kernel import Kernel
from trading.runtime.network import Network

log = logging.getLogger(__name__)

#: How long the kernel may work before others get a turn, wall seconds.
TURN = 0.02
#: How far behind its clock the kernel may fall before simulated time waits for it, wall seconds.
SLACK = 0.25
#: Journal entries between two snapshots.
SNAPSHOT_EVERY = 100_000
#: Wall seconds between two looks of an auditor in the same process.
AUDIT_EVERY = 1.0
_RETRY = 0.5
ANCHOR = "anchor"

Make = Callable[[Session], Sequence[Component]]
Listener = Callable[[Sequence[Published]], None]
Sender = Callable[[Sequence[Outward]], None]


class Arrived(NamedTuple):
    """One message from another process. ``seq``: of the sender's journal, 0 where it has none;
    ``message`` None: it is for nobody here.
    """

    to: str
    message: Message | None
    arrival: int
    seq: int


class Projection(Protocol):
    """Something that an API keeps by listening to messages: part of every snapshot."""

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]: ...


class Unavailable(Exception):
    """The journal cannot be written now: nothing can be acknowledged."""


class Host:
    """``make``: the components of a session. ``projections``: their makers by name, fresh ones
    for every session. ``published``: types of messages that listeners get, once durable.

    ``sender``: where the other components are in other processes, it gets what is for them, once
    durable; ``network``: what plays partitions there.
    """

    def __init__(
        self,
        make: Make,
        store: JournalStore,
        *,
        idle: Callable[[], Session],
        projections: Mapping[str, Callable[[Session], Projection]] | None = None,
        published: Iterable[type[Message]] = (),
        auditor: str = "",
        sender: Sender | None = None,
        network: Callable[[], Network] = Network,
    ) -> None:
        self.store = store
        self._make = make
        self._idle = idle
        self._projections = projections or {}
        self._published = frozenset(published)
        self._auditor = auditor
        self._sender = sender
        self._network = network
        self._live: LiveSession | None = None
        self._listeners: list[Listener] = []
        self._session_listeners: list[Callable[[], None]] = []
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = 0
        self._input = asyncio.Event()
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._lock = asyncio.Lock()
        self.clock = SimClock(0)
        #: What the clock follows, where it follows one.
        self.anchor: Anchor | None = None
        self.unavailable = ""
        #: By name: what is wrong with something that the service needs; empty: nothing.
        self.dependencies: Callable[[], Mapping[str, str]] = dict

    @property
    def live(self) -> LiveSession:
        if self._live is None:
            raise Unavailable("not started yet")
        return self._live

    @property
    def session(self) -> Session:
        return self.live.session

    @property
    def kernel(self) -> Kernel:
        return self.live.kernel

    @property
    def ready(self) -> str:
        """What keeps the host from taking commands; empty when nothing does."""
        if self._live is None:
            return "starting"
        return self.unavailable

    def component(self, name: str) -> Any:
        return self.live.kernel.component(name)

    def projection(self, name: str) -> Any:
        return self.live.projections[name]

    async def start(self) -> None:
        """Go on with the newest session, or open the first one."""
        found = await asyncio.to_thread(self.store.newest_session)
        if found is None:
            await self._open(self._idle())
        else:
            number, spec = found
            live = self._prepare(decode_session(spec), number)
            await asyncio.to_thread(live.recover)
            self._live = live
            self._set_clock(live.session, live.kernel.now)
            if live.session.anchor is not None:
                kept = await asyncio.to_thread(self.store.documents, ANCHOR)
                if str(number) in kept:
                    self.anchor = msgspec.json.decode(kept[str(number)], type=Anchor)
                    self.clock.follow(self.anchor)
                live.kernel.leap(self.clock.now())
            self._begun()
        self._tasks = [asyncio.create_task(self._pump()), asyncio.create_task(self._flush())]

    async def stop(self) -> None:
        """Write what is not written yet, with a snapshot, and end. Nothing decided is lost."""
        self._stopping = True
        self._input.set()
        self._work.set()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
        self._fail(Unavailable("stopping"))
        await asyncio.to_thread(self.store.close)

    async def open(self, session: Session) -> None:
        """End this session and open another: fresh components, fresh journals."""
        async with self._lock:
            await self._open(session)

    def send(self, to: str, message: Message) -> int:
        """Give a component a message from outside; returns the simulated time of its arrival."""
        at = self._arrival()
        self.live.kernel.send(to, message, at)
        self._input.set()
        return at

    def deliver(self, peer: str, arrived: Sequence[Arrived]) -> None:
        """What came over a link from ``peer``, in its order. With the last of what arrives at one
        moment it is noted up to where the peer's journal has been heard: both are kept, or none.
        """
        live, soonest = self.live, self._arrival()
        latest = max(soonest, live.marked.get(peer, 0))
        seq = 0
        for item in arrived:
            at = max(soonest, item.arrival)
            if at > latest:
                self._mark(peer, seq, latest)
                latest = at
            seq = max(seq, item.seq)
            if item.message is not None:
                live.kernel.send(item.to, item.message, at)
        self._mark(peer, seq, latest)
        self._input.set()

    def _mark(self, peer: str, seq: int, at: int) -> None:
        live = self.live
        if seq > live.heard.get(peer, 0):
            live.heard[peer] = seq
            live.marked[peer] = at
            live.kernel.send(live.kernel.hosted[0].name, Delivered(peer, seq), at)

    def _arrival(self) -> int:
        """When something from outside arrives: now, and after all that has been done."""
        kernel, now = self.live.kernel, self.clock.now()
        return max(kernel.now + 1, min(now, kernel.next_at or now))

    async def settled(self, at: int) -> None:
        """Wait until everything up to the simulated time ``at`` has been decided and is durable.
        Raises Unavailable when it cannot be: the command may, or may not, have been taken.
        """
        if self._stopping:
            raise Unavailable("stopping")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tickets += 1
        heappush(self._waiting, (at, self._tickets, future))
        self._work.set()
        await future

    async def durable(self) -> None:
        """Wait until everything decided so far is durable."""
        if self.live.pending or self.live.writing:
            await self.settled(self.live.kernel.now)

    async def follow(self, anchor: Anchor) -> None:
        """From now on time goes as everybody's who follows ``anchor``, after a restart too."""
        number = str(self.live.number)
        await asyncio.to_thread(self.store.put, ANCHOR, number, msgspec.json.encode(anchor))
        self.anchor = anchor
        self.clock.follow(anchor)
        self._input.set()

    def pace(self, speed: float) -> None:
        """From now on simulated time goes on at ``speed``."""
        self.clock.set(max(self.kernel.now, self.clock.now()), speed)
        self._input.set()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear of published messages, in order, once they are durable; returns how to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def count(self, kinds: Iterable[type[Message]], listener: Listener) -> None:
        """Before the start: publish these types, too, and listen to whatever is published."""
        self._published |= frozenset(kinds)
        self.listen(listener)

    def on_session(self, hook: Callable[[], None]) -> None:
        """Be called whenever a session has been opened, or gone on with."""
        self._session_listeners.append(hook)

    async def _open(self, session: Session) -> None:
        while self._live is not None and (self._live.pending or self._live.writing):
            self._work.set()
            await asyncio.sleep(0.001)
        number = await asyncio.to_thread(self.store.open_session, encode_session(session))
        live = self._prepare(session, number)
        live.begin()
        self._live = live
        self._set_clock(session, session.plan.start)
        self._fail(Unavailable("another session was opened"))
        self._begun()
        self._input.set()

    def _set_clock(self, session: Session, now: int) -> None:
        self.anchor = session.anchor
        if session.anchor is not None:
            self.clock.follow(session.anchor)
        else:
            self.clock.set(now, session.plan.speed)

    def _prepare(self, session: Session, number: int) -> LiveSession:
        return LiveSession(
            session,
            number,
            self.store,
            self._make(session),
            {name: make(session) for name, make in self._projections.items()},
            self._published,
            auditor=self._auditor,
            alone=self._sender is not None,
            network=self._network(),
        )

    def _begun(self) -> None:
        for hook in self._session_listeners:
            hook()

    async def _pump(self) -> None:
        """Let the kernel do what is due, and sleep until something is."""
        clock = asyncio.get_running_loop().time
        audited = 0.0
        while not self._stopping:
            live = self.live
            kernel = live.kernel
            self._input.clear()
            until, turn = self.clock.now(), clock() + TURN
            if clock() - audited > AUDIT_EVERY:
                audited = clock()
                kernel.audit()
            due = kernel.next_at
            while due is not None and due <= until and clock() < turn:
                kernel.step()
                due = kernel.next_at
            if live.pending or live.outbox or live.outward or self._waiting:
                self._work.set()
            if live.entries_since_snapshot >= SNAPSHOT_EVERY and not live.snapshot_wanted:
                live.snapshot_wanted = True
                self._work.set()
            if due is not None and due <= until:
                if live.session.anchor is None:
                    self.clock.hold(kernel.now, SLACK)
                await asyncio.sleep(0)
                continue
            timeout = self.clock.seconds_until(due) if due is not None else 60.0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._input.wait(), timeout)

    async def _flush(self) -> None:
        """Write what has been decided; then tell those who wait for it."""
        while True:
            await self._work.wait()
            self._work.clear()
            live = self.live
            stopping = self._stopping
            processed = live.kernel.now
            entries, outbox, outward = live.take()
            snapshot = live.freeze() if live.snapshot_wanted or stopping else None
            if entries or snapshot is not None:
                await self._write(live, entries, snapshot)
            for listener in list(self._listeners) if outbox else ():
                listener(outbox)
            if outward and self._sender is not None and live is self._live:
                self._sender(outward)
            while self._waiting and self._waiting[0][0] <= processed and live is self._live:
                future = heappop(self._waiting)[2]
                if not future.done():
                    future.set_result(None)
            if stopping:
                return

    async def _write(
        self, live: LiveSession, entries: Sequence[Any], snapshot: Snapshot | None
    ) -> None:
        """Until it is written: what the store could not take is kept and tried again."""
        live.writing = True
        attempts = 0
        while True:
            try:
                await asyncio.to_thread(self.store.write, live.number, entries, snapshot)
            except StoreUnavailable as error:
                if not self.unavailable:
                    log.error("the journal cannot be written: %s", error)
                self.unavailable = f"journal: {error}"
                self._fail(Unavailable(self.unavailable))
                attempts += 1
                if self._stopping and attempts > 3:
                    log.error("stopped with %d journal entries unwritten", len(entries))
                    break
                await asyncio.sleep(_RETRY)
            else:
                if self.unavailable:
                    log.warning("the journal is written again; %d entries", len(entries))
                self.unavailable = ""
                break
        live.writing = False

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(error)
