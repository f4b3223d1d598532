"""Hosts the components of one process and makes their decisions durable before they are visible.

The kernel decides immediately, but nothing outside the process sees a decision before its journal
entries are written. While one group of entries is written, the next one gathers, so that many
commands share one fsync.

Simulated time advances in one of three ways. Between runs, and in runs with the wall clock, the
kernel processes what is due according to :attr:`Host.clock`. In a virtual run of one process it
processes one instant after the other, as fast as the machine allows. In a virtual run of several
processes a coordinator decides how far time may advance (:mod:`trading.lockstep`), and calls
:meth:`Host.advance`.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from trading.hosting.clock import ClockAnchor, SimClock
from trading.hosting.heads import HeadsFile
from trading.hosting.inputs import (
    BacklogFull,
    InboundMessage,
    LockstepDriver,
    Ticket,
    Unavailable,
)
from trading.hosting.maintenance import Addressed, Keeper
from trading.hosting.pump import Pump
from trading.hosting.session import Session, encode_session
from trading.hosting.session_factory import ComponentFactory, Projection, SessionFactory
from trading.hosting.session_view import SessionView
from trading.hosting.store import JournalStore, StoreUnavailable
from trading.hosting.store_retry import retry_while_unavailable
from trading.hosting.writer import Listener, Sender, Writer
from trading.messages import Message
from trading.messages.audit import LossNoted
from trading.runtime.network import Network
from trading.runtime.tasks import BackgroundTasks

#: Unwritten journal entries at which the kernel waits for the store and commands are refused.
BACKLOG = 20_000
#: Wall seconds that the kernel and the writer have to end after a stop.
_STOP_TIMEOUT = 5.0
#: Wall seconds that the clock may lag behind the journal before the host reports not ready.
_MAX_CLOCK_LAG = 10.0
#: Kind of the stored documents that record which clock a session follows, by session number.
ANCHOR = "anchor"


class Host(SessionView):
    """Runs the components of one process, with their clock, their inputs and their journals.

    ``make`` builds the components of a session. ``idle`` returns the session to open where the
    store has none. ``projections`` maps names to factories of projections; every session gets
    fresh ones. Listeners receive the message types in ``published``, once the messages are
    durable. ``auditor`` names the hosted component that reads the journals, if there is one.

    ``sender`` is given where the other components run in other processes: it receives the durable
    messages for them. ``network`` builds the component that simulates partitions. For
    ``retention`` (bytes) and ``addressed`` see :class:`~trading.hosting.maintenance.Keeper`, for
    ``heads`` and ``accept_loss`` :class:`~trading.hosting.session_factory.SessionFactory`.
    ``snapshot_key`` authenticates snapshots; without it only this process can use them.
    ``clock_problem`` returns what other processes noticed of this machine's clock, empty for
    nothing.
    """

    def __init__(
        self,
        make: ComponentFactory,
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
        clock_problem: Callable[[], str] = str,
    ) -> None:
        super().__init__()
        self.store = store
        self.keeper = Keeper(store, retention, addressed)
        self._idle_session = idle
        self.sessions = SessionFactory(
            make,
            store,
            projections=projections or {},
            published=published,
            auditor=auditor,
            distributed=sender is not None,
            network=network,
            snapshot_key=snapshot_key or secrets.token_bytes(32),
            heads=heads,
            accept_loss=accept_loss,
        )
        self._writer = Writer(self, store, sender, self.keeper.wrote, heads)
        self._pump = Pump(self, self._writer)
        self._session_listeners: list[Callable[[], None]] = []
        self._clock_listeners: list[Callable[[], None]] = []
        #: The background tasks of this process.
        self.tasks = BackgroundTasks(self._on_vital_failure)
        self._main_tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._follows_wall_clock = False
        self._opened_at = 0.0
        self._lock = asyncio.Lock()
        #: Inputs of a lockstep session that do not have an arrival time yet.
        self._inputs: list[Ticket] = []
        self._driver: LockstepDriver | None = None
        self.clock = SimClock(0)
        #: The shared clock that the host follows; None where it has a clock of its own.
        self.anchor: ClockAnchor | None = None
        self._clock_problem = clock_problem
        self._dependencies: list[Callable[[], Mapping[str, str]]] = []

    @property
    def unavailable(self) -> str:
        """The reason why the journal cannot be written now; empty if it can be written."""
        return self._writer.unavailable

    @property
    def lost(self) -> str:
        """After :meth:`stop`: what could not be written, and why; empty if everything was."""
        return self.tasks.problem or self._writer.lost

    @property
    def durable_until(self) -> int:
        """The simulated time, in microseconds, up to which all decisions are durable."""
        return self._writer.durable_until

    @property
    def ready(self) -> str:
        """The reason why the host cannot take commands now; empty if it can."""
        if self._live is None:
            return "starting"
        return (
            self.tasks.problem
            or self._writer.unavailable
            or self._clock_problem()
            or self._clock_lag_problem()
        )

    def _clock_lag_problem(self) -> str:
        """Return a problem if the clock is far behind the journal, so that time stands still."""
        lag = (self.processed_until - self.now) / self.clock.speed / 1e6
        if lag < _MAX_CLOCK_LAG:
            return ""
        return f"this machine's clock is {lag:.0f} s behind the journal: time stands still"

    @property
    def virtual(self) -> bool:
        """Whether simulated time is independent of the wall clock now."""
        return self._live is not None and self.session.virtual and not self._follows_wall_clock

    @property
    def now(self) -> int:
        """The simulated time, in microseconds."""
        return self.processed_until if self.virtual else self.clock.now()

    @property
    def speed(self) -> float:
        """Simulated seconds per wall second; in a virtual run the average since its beginning."""
        if not self.virtual:
            return self.clock.speed
        simulated = (self.processed_until - self.session.plan.start) / 1e6
        return max(1.0, simulated / max(time.monotonic() - self._opened_at, 1.0))

    def add_dependencies(self, problems: Callable[[], Mapping[str, str]]) -> None:
        """Let ``problems`` report dependencies of the service; see :meth:`dependencies`."""
        self._dependencies.append(problems)

    def dependencies(self) -> dict[str, str]:
        """Return the problem of each dependency of the service by name; an empty text for none."""
        problems = {"journal": self.unavailable or self.keeper.problem}
        for report in self._dependencies:
            problems |= report()
        return problems

    async def start(self) -> None:
        """Recover the newest session, or open the first one, and start processing.

        Accepted losses are journaled in the session. Raises StoreUnavailable, CannotRecover.
        """
        live = await asyncio.to_thread(self.sessions.newest)
        if live is None:
            await self._open(self._idle_session())
        else:
            self._live = live
            self._writer.durable_until = live.processed_until
            self._set_clock(live.session, live.processed_until)
            anchor = await asyncio.to_thread(self.store.document, ANCHOR, str(live.number))
            if anchor is not None:
                self.anchor = msgspec.json.decode(anchor, type=ClockAnchor)
                self._switch_to_wall_clock()
                self.clock.follow(self.anchor)
            if self.anchor is not None:
                live.kernel.skip_to(self.clock.now())
            self._notify_session_started()
        for loss in self.sessions.losses:
            self.send(self.kernel.hosted[0].name, LossNoted(*loss))
        self._main_tasks = [
            self.tasks.start("the kernel", self._pump.run(), vital=True),
            self.tasks.start("the journal's writer", self._writer.run(), vital=True),
        ]
        self.tasks.start("the watch over the store", self._writer.watch(), vital=True)

    async def stop(self) -> None:
        """Write the remaining entries and a snapshot, end all tasks, and close the store."""
        self._stopping = True
        self._pump.stop()
        self._writer.stop()
        await asyncio.wait(self._main_tasks, timeout=_STOP_TIMEOUT)
        await self.tasks.stop()
        self._writer.fail(Unavailable("stopping"))
        await self.keeper.stop()
        await asyncio.to_thread(self.store.close)
        if self.sessions.heads is not None:
            self.sessions.heads.close()

    async def open(self, session: Session) -> None:
        """End the running session and open ``session`` with fresh components and journals."""
        async with self._lock:
            await self._open(session)

    @property
    def full(self) -> bool:
        """Whether so many entries wait for the store that nothing more may be decided."""
        return self.unwritten + self._writer.in_flight > BACKLOG

    def command(self, to: str, message: Message) -> Ticket:
        """Send a client's command. Raises BacklogFull while too many entries are unwritten."""
        if self.full:
            raise BacklogFull(self._writer.unavailable or "the journal is behind")
        return self.send(to, message)

    def send(self, to: str, message: Message) -> Ticket:
        """Send a message from outside; return a ticket that :meth:`settled` waits for.

        In a lockstep session the coordinator decides when the message arrives.
        """
        if self.virtual and self.in_lockstep:
            ticket = Ticket(to, message)
            self._inputs.append(ticket)
            if self._driver is not None:
                self._driver.on_input()
            return ticket
        at = self._arrival_time()
        self.kernel.send(to, message, at)
        self._pump.wake()
        return Ticket(to, message, at)

    def drive(self, driver: LockstepDriver) -> None:
        """Let ``driver`` decide how far time advances in the running lockstep session."""
        self._driver = driver

    def caught_up(self, before: int) -> bool:
        """Return whether everything from before a time was processed again after a restart."""
        return self._driver is None or self._driver.caught_up(before)

    @property
    def has_inputs(self) -> bool:
        """Whether inputs of a lockstep session wait for their arrival time."""
        return bool(self._inputs)

    def place_inputs(self, at: int) -> bool:
        """Let all waiting inputs arrive at the simulated time ``at``.

        Returns False if there were none. What follows from the inputs must not become visible
        before it is :meth:`durable`.
        """
        inputs, self._inputs = self._inputs, []
        for ticket in inputs:
            self.kernel.send(ticket.to, ticket.message, at)
            ticket.place(at)
        return bool(inputs)

    def advance(self, until: int) -> None:
        """Process everything that is due up to and including the simulated time ``until``."""
        self.kernel.run(until)
        self._writer.wake()

    def deliver(self, peer: str, arrived: Sequence[InboundMessage]) -> None:
        """Accept the messages that arrived over the link from ``peer``, in the order of sending.

        Raises StoreUnavailable while the backlog of unwritten entries is full: the peer keeps the
        messages and sends them again.
        """
        if self.full:
            raise StoreUnavailable(self._writer.unavailable or "the journal is behind")
        self.live.deliver(peer, arrived, self._arrival_time())
        self._pump.wake()

    def _arrival_time(self) -> int:
        """Return the arrival time of an input: now, but after everything already processed."""
        kernel, now = self.kernel, self.now
        return max(kernel.now + 1, min(now, kernel.next_at or now))

    async def committed(self, what: Ticket | int) -> None:
        """Wait until everything up to a ticket's arrival, or up to a simulated time, is durable.

        Raises Unavailable when that cannot be achieved; the command may or may not have been
        accepted then.
        """
        if self._stopping:
            raise Unavailable("stopping")
        if isinstance(what, Ticket):
            await what.placed.wait()
            if what.at is None:
                raise Unavailable("another session was opened")
            what = what.at
        await self._writer.wait_durable_until(what)

    async def durable(self) -> None:
        """Wait until everything decided so far is durable."""
        if not self.live.all_written:
            await self.committed(self.processed_until)

    async def more_written(self) -> None:
        """Wait for the next write to the store."""
        await self._writer.more_written()

    async def follow(self, anchor: ClockAnchor, heads: Mapping[str, int] | None = None) -> None:
        """Let simulated time follow ``anchor``, as all other services do; also after a restart.

        After virtual time ``heads`` tells the length of every service's journal: all messages
        up to there have arrived at this service.
        """
        if self.virtual:
            for peer, length in (heads or {}).items():
                if peer not in self.journals:
                    self.live.mark(peer, length, self.processed_until + 1)
        number = str(self.session_number)
        await retry_while_unavailable(self.store.put, ANCHOR, number, msgspec.json.encode(anchor))
        self.anchor = anchor
        self._switch_to_wall_clock()
        self.clock.follow(anchor)
        self._pump.wake()

    def set_speed(self, speed: float) -> None:
        """Let simulated time follow the wall clock from now on, at ``speed``."""
        now = self.processed_until if self.virtual else max(self.processed_until, self.clock.now())
        self._switch_to_wall_clock()
        self.clock.set(now, speed)
        self._pump.wake()

    def _switch_to_wall_clock(self) -> None:
        """End virtual time in this session for good."""
        self._follows_wall_clock = True
        if self.in_lockstep:
            self.live.leave_lockstep()
            self.place_inputs(self.processed_until + 1)
            for hook in self._clock_listeners:
                hook()

    def _on_vital_failure(self, problem: str) -> None:
        """Stop acknowledging anything, since a vital task has failed."""
        self._writer.close(Unavailable(problem))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with durable published messages; return a function to remove it."""
        self._writer.listeners.append(listener)
        return lambda: self._writer.listeners.remove(listener)

    def count(self, kinds: Iterable[type[Message]], listener: Listener) -> None:
        """Before :meth:`start`: publish further types, and listen to all published messages."""
        self.sessions.published |= frozenset(kinds)
        self.listen(listener)

    def on_session(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` whenever a session has been opened or recovered."""
        self._session_listeners.append(hook)

    def on_wall_clock(self, hook: Callable[[], None]) -> None:
        """Call ``hook`` when a session in lockstep switches to the wall clock."""
        self._clock_listeners.append(hook)

    async def _open(self, session: Session) -> None:
        while self._live is not None and not self._live.all_written:
            self._writer.hurry()
            await asyncio.sleep(0.001)
        spec = encode_session(session)
        live = await asyncio.to_thread(self.sessions.fresh, session, spec)
        if self._live is not None:
            self._live.end()
        self._live = live
        self._follows_wall_clock = False
        self._writer.durable_until = session.plan.start - 1
        for ticket in self._inputs:
            ticket.placed.set()
        self._inputs.clear()
        self._set_clock(session, session.plan.start)
        self._writer.fail(Unavailable("another session was opened"))
        self._notify_session_started()
        self._pump.wake()

    def _set_clock(self, session: Session, now: int) -> None:
        self.anchor = session.anchor
        if session.anchor is not None:
            self.clock.follow(session.anchor)
        else:
            self.clock.set(now, session.plan.speed or 1.0)

    def _notify_session_started(self) -> None:
        self._opened_at = time.monotonic()
        for hook in self._session_listeners:
            hook()
