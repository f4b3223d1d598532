"""Hosts components in one process: time, inputs, durable journals, and who waits for them.

The kernel decides at once; nobody outside hears of a decision before it is durable. While one
group of entries is being written the next one gathers, so that many commands share one fsync.

Time goes in one of three ways. Between runs, and in runs by the wall clock, the kernel does what
is due by :attr:`Host.clock`. In a virtual run in one process it does one instant after the other,
as fast as the machine allows. In a virtual run of several processes somebody else says how far it
may go (:mod:`trading.lockstep`), and calls :meth:`Host.advance`.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from trading.hosting.clock import Anchor, SimClock
from trading.hosting.heads import HeadsFile
from trading.hosting.inputs import Arrived, Refused, Ticket, Unavailable
from trading.hosting.keeping import Addressed, Keeper
from trading.hosting.live import LiveSession
from trading.hosting.patience import stored
from trading.hosting.pump import Pump
from trading.hosting.session import Session, encode_session
from trading.hosting.session_factory import Make, Projection, SessionFactory
from trading.hosting.store import JournalStore, StoreUnavailable
from trading.hosting.writer import Listener, Sender, Writer
from trading.messages import Message
from trading.messages.audit import LossNoted
from trading.runtime.kernel import Kernel
from trading.runtime.network import Network
from trading.runtime.tasks import Tasks

log = logging.getLogger(__name__)

#: Unwritten journal entries at which the kernel waits for the store, and commands are refused.
BACKLOG = 20_000
#: How long the kernel and the writer may take to end, wall seconds.
_END = 5.0
#: Wall seconds that the clock may be behind what has been done already.
_BEHIND = 10.0
ANCHOR = "anchor"


class Host:
    """``make``: the components of a session. ``projections``: their makers by name, fresh ones
    for every session. ``published``: types of messages that listeners get, once durable.

    ``sender``: where the other components are in other processes, it gets what is for them, once
    durable; ``network``: what plays partitions there. ``retention`` and ``addressed``: see
    :class:`~trading.hosting.keeping.Keeper`; ``heads`` and ``accept_loss``: see
    :class:`~trading.hosting.session_factory.SessionFactory`. ``snapshot_key``: authenticates
    snapshots; None: one that only this process knows.
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
        network: Callable[[Session], Network] = lambda session: Network(),
        retention: int | None = None,
        addressed: Addressed | None = None,
        snapshot_key: bytes | None = None,
        heads: HeadsFile | None = None,
        accept_loss: bool = False,
    ) -> None:
        self.store = store
        self.keeper = Keeper(store, retention, addressed)
        self._idle = idle
        self.sessions = SessionFactory(
            make,
            store,
            projections=projections or {},
            published=published,
            auditor=auditor,
            alone=sender is not None,
            network=network,
            snapshot_key=snapshot_key or secrets.token_bytes(32),
            heads=heads,
            accept_loss=accept_loss,
        )
        self._writer = Writer(self, store, sender, self.keeper.wrote, heads)
        self._pump = Pump(self, self._writer)
        self._live: LiveSession | None = None
        self._session_listeners: list[Callable[[], None]] = []
        self._clock_listeners: list[Callable[[], None]] = []
        #: Everything that goes on beside requests in this process.
        self.tasks = Tasks(self._break)
        self._own: list[asyncio.Task[None]] = []
        self._stopping = False
        self._by_wall = False
        self._opened = 0.0
        self._lock = asyncio.Lock()
        self._inputs: list[Ticket] = []
        #: Called when there are inputs for a kernel that somebody else's word drives.
        self.on_input: Callable[[], None] = lambda: None
        #: In virtual time that somebody else drives: has everything before a time been done?
        self.caught_up: Callable[[int], bool] = lambda before: True
        self.clock = SimClock(0)
        #: What the clock follows, where it follows one.
        self.anchor: Anchor | None = None
        #: What is wrong with this machine's clock, by others' word; empty: nothing.
        self.clock_problem: Callable[[], str] = str
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
    def unavailable(self) -> str:
        """Why the journal cannot be written now; empty: it can."""
        return self._writer.unavailable

    @property
    def lost(self) -> str:
        """After :meth:`stop`: what could not be written, and why; empty: everything was."""
        return self.tasks.problem or self._writer.lost

    @property
    def durable_until(self) -> int:
        """Simulated time up to which everything decided is durable."""
        return self._writer.durable_until

    @property
    def ready(self) -> str:
        """What keeps the host from taking commands; empty when nothing does."""
        if self._live is None:
            return "starting"
        return (
            self.tasks.problem or self._writer.unavailable or self.clock_problem() or self._behind()
        )

    def _behind(self) -> str:
        """Does time stand still because the clock shows less than the journal? Empty: no."""
        behind = (self.kernel.now - self.now) / self.clock.speed / 1e6
        if behind < _BEHIND:
            return ""
        return f"this machine's clock is {behind:.0f} s behind the journal: time stands still"

    @property
    def virtual(self) -> bool:
        """Does simulated time wait for everybody now, instead of following the wall clock?"""
        return self._live is not None and self.live.session.virtual and not self._by_wall

    @property
    def now(self) -> int:
        """The simulated time, microseconds."""
        return self.kernel.now if self.virtual else self.clock.now()

    @property
    def speed(self) -> float:
        """Simulated seconds per wall second; in a virtual run, so far."""
        if not self.virtual:
            return self.clock.speed
        simulated = (self.kernel.now - self.session.plan.start) / 1e6
        return max(1.0, simulated / max(time.monotonic() - self._opened, 1.0))

    def component(self, name: str) -> Any:
        return self.live.kernel.component(name)

    def projection(self, name: str) -> Any:
        return self.live.projections[name]

    async def start(self) -> None:
        """Go on with the newest session, or open the first one; a loss that was accepted becomes an
        entry of its journal. Raises StoreUnavailable, CannotRecover.
        """
        live = await asyncio.to_thread(self.sessions.newest)
        if live is None:
            await self._open(self._idle())
        else:
            self._live = live
            self._writer.durable_until = live.kernel.now
            self._set_clock(live.session, live.kernel.now)
            anchor = await asyncio.to_thread(self.store.document, ANCHOR, str(live.number))
            if anchor is not None:
                self.anchor = msgspec.json.decode(anchor, type=Anchor)
                self._go_by_wall()
                self.clock.follow(self.anchor)
            if self.anchor is not None:
                live.kernel.leap(self.clock.now())
            self._begun()
        for loss in self.sessions.losses:
            self.send(self.kernel.hosted[0].name, LossNoted(*loss))
        self._own = [
            self.tasks.start("the kernel", self._pump.run(), vital=True),
            self.tasks.start("the journal's writer", self._writer.run(), vital=True),
        ]
        self.tasks.start("the watch over the store", self._writer.watch(), vital=True)

    async def stop(self) -> None:
        """Write what is not written yet, with a snapshot, and end. Nothing decided is lost."""
        self._stopping = True
        self._pump.stop()
        self._writer.stop()
        await asyncio.wait(self._own, timeout=_END)
        await self.tasks.stop()
        self._writer.fail(Unavailable("stopping"))
        await self.keeper.stop()
        await asyncio.to_thread(self.store.close)
        if self.sessions.heads is not None:
            self.sessions.heads.close()

    async def open(self, session: Session) -> None:
        """End this session and open another: fresh components, fresh journals."""
        async with self._lock:
            await self._open(session)

    @property
    def full(self) -> bool:
        """Do so many entries wait for the store that nothing more may be decided?"""
        return len(self.live.pending) + self._writer.in_flight > BACKLOG

    def command(self, to: str, message: Message) -> Ticket:
        """As :meth:`send`, for clients. Raises Refused while too much is unwritten."""
        if self.full:
            raise Refused(self._writer.unavailable or "the journal is behind")
        return self.send(to, message)

    def send(self, to: str, message: Message) -> Ticket:
        """Give a component a message from outside; :meth:`settled` takes the ticket."""
        if self.virtual and self.live.in_lockstep:
            ticket = Ticket(to, message)
            self._inputs.append(ticket)
            self.on_input()
            return ticket
        at = self._arrival()
        self.live.kernel.send(to, message, at)
        self._pump.look()
        return Ticket(to, message, at)

    @property
    def has_inputs(self) -> bool:
        """Does anything from outside wait for the moment at which it arrives?"""
        return bool(self._inputs)

    def place_inputs(self, at: int) -> bool:
        """Let what was sent from outside arrive at ``at``; False: there was nothing. Nobody may
        hear of what follows from it before it is :meth:`durable`.
        """
        inputs, self._inputs = self._inputs, []
        for ticket in inputs:
            self.live.kernel.send(ticket.to, ticket.message, at)
            ticket.place(at)
        return bool(inputs)

    def advance(self, until: int) -> None:
        """Do everything that is due up to and including ``until``."""
        self.live.kernel.run(until)
        self._writer.note()

    def deliver(self, peer: str, arrived: Sequence[Arrived]) -> None:
        """What came over a link from ``peer``, in its order. Raises StoreUnavailable while too much
        is unwritten: the peer keeps it, and sends it again.
        """
        if self.full:
            raise StoreUnavailable(self._writer.unavailable or "the journal is behind")
        self.live.deliver(peer, arrived, self._arrival())
        self._pump.look()

    def _arrival(self) -> int:
        """When something from outside arrives: now, and after all that has been done."""
        kernel, now = self.live.kernel, self.now
        return max(kernel.now + 1, min(now, kernel.next_at or now))

    async def settled(self, what: Ticket | int) -> None:
        """Wait until everything up to a ticket's arrival, or to a simulated time, has been decided
        and is durable. Raises Unavailable when it cannot be: the command may, or may not, have
        been taken.
        """
        if self._stopping:
            raise Unavailable("stopping")
        if isinstance(what, Ticket):
            await what.placed.wait()
            if what.at is None:
                raise Unavailable("another session was opened")
            what = what.at
        await self._writer.settled(what)

    async def durable(self) -> None:
        """Wait until everything decided so far is durable."""
        if self.live.pending or self.live.writing:
            await self.settled(self.live.kernel.now)

    async def more_written(self) -> None:
        """Wait until something more is durable."""
        await self._writer.more_written()

    async def follow(self, anchor: Anchor, heads: Mapping[str, int] | None = None) -> None:
        """From now on time goes as everybody's who follows ``anchor``, after a restart too. After
        virtual time, ``heads`` says how long everybody's journal was: all that they have for this
        service has arrived.
        """
        if self.virtual:
            for peer, length in (heads or {}).items():
                if peer not in self.kernel.journals:
                    self.live.mark(peer, length, self.kernel.now + 1)
        number = str(self.live.number)
        await stored(self.store.put, ANCHOR, number, msgspec.json.encode(anchor))
        self.anchor = anchor
        self._go_by_wall()
        self.clock.follow(anchor)
        self._pump.look()

    def pace(self, speed: float) -> None:
        """From now on simulated time goes on with the wall clock, at ``speed``."""
        now = self.kernel.now if self.virtual else max(self.kernel.now, self.clock.now())
        self._go_by_wall()
        self.clock.set(now, speed)
        self._pump.look()

    def _go_by_wall(self) -> None:
        """End virtual time in this session, for good."""
        self._by_wall = True
        if self.live.in_lockstep:
            self.live.leave_lockstep()
            self.place_inputs(self.live.kernel.now + 1)
            for hook in self._clock_listeners:
                hook()

    def _break(self, problem: str) -> None:
        """What the process cannot do without has failed: nothing is acknowledged any more."""
        self._writer.close(Unavailable(problem))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear of published messages, in order, once they are durable; returns how to stop."""
        self._writer.listeners.append(listener)
        return lambda: self._writer.listeners.remove(listener)

    def count(self, kinds: Iterable[type[Message]], listener: Listener) -> None:
        """Before the start: publish these types, too, and listen to whatever is published."""
        self.sessions.published |= frozenset(kinds)
        self.listen(listener)

    def on_session(self, hook: Callable[[], None]) -> None:
        """Be called whenever a session has been opened, or gone on with."""
        self._session_listeners.append(hook)

    def on_wall_clock(self, hook: Callable[[], None]) -> None:
        """Be called when a session that several processes were in together goes on by the wall
        clock.
        """
        self._clock_listeners.append(hook)

    async def _open(self, session: Session) -> None:
        while self._live is not None and (self._live.pending or self._live.writing):
            self._writer.hurry()
            await asyncio.sleep(0.001)
        spec = encode_session(session)
        self._live = await asyncio.to_thread(self.sessions.fresh, session, spec)
        self._by_wall = False
        self._writer.durable_until = session.plan.start - 1
        for ticket in self._inputs:
            ticket.placed.set()
        self._inputs.clear()
        self._set_clock(session, session.plan.start)
        self._writer.fail(Unavailable("another session was opened"))
        self._begun()
        self._pump.look()

    def _set_clock(self, session: Session, now: int) -> None:
        self.anchor = session.anchor
        if session.anchor is not None:
            self.clock.follow(session.anchor)
        else:
            self.clock.set(now, session.plan.speed or 1.0)

    def _begun(self) -> None:
        self._opened = time.monotonic()
        for hook in self._session_listeners:
            hook()
