"""The discrete-event kernel: hosts components in virtual time and moves their messages.

Everything that arrives at one instant is handled component by component, in a fixed order, so a
run is a function of its components, their seeds and what was sent from outside. The kernel knows
neither a clock nor a network: its caller decides how far time may go, and carries the messages for
components that are hosted in other processes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from trading.messages import Delayed, Message, Start, Wake
from trading.messages.audit import JournalBatch
from trading.messages.chaos import Probe
from trading.runtime.agenda import ACTING_ORDER, OUTSIDE_RANK, Agenda, Inbox, Origin, SortedAgenda
from trading.runtime.audit_feed import AuditFeed
from trading.runtime.component import Component, ignored_types
from trading.runtime.delivery import InboxObserver, Outbound, Route, Tap, with_read_receipts
from trading.runtime.journal import RECEIVED, Journal, MemoryJournal
from trading.runtime.network import Network
from trading.runtime.routes import DIRECT, NOT_JOURNALED, MessageType, destinations
from trading.units import MILLISECOND, SECOND


class Kernel:
    """Hosts ``components`` from the simulated time ``start`` on (microseconds) and delivers their
    messages, each ``latency`` microseconds after it was sent. It counts in ``delivered`` the
    messages that components received, and in ``lost`` those that a partition dropped.

    ``auditor`` names the component that reads all other journals, every ``audit_every``
    microseconds. ``taps`` are called with each message of their type that any component sends, and
    ``observers``, by the name of a component, with the messages that it receives at an instant.
    ``journal`` makes the journal of a component from its name. ``started`` is true where the
    components' state is older than this kernel: then they get no ``Start`` with ``run_id``.

    ``outbound`` is called with (source, destination, message, arrival) for each message to a
    component that is not hosted here; without it such messages are dropped. With it the kernel
    hosts a part of an ecosystem: taps get incoming messages, too, and the auditor's batches come
    from outside. With ``sorted_inboxes``, messages from other processes may come in any order
    before their instant; inboxes are sorted as one process that hosts everything would fill them.
    """

    def __init__(
        self,
        components: Sequence[Component],
        *,
        start: int,
        run_id: str,
        latency: int = MILLISECOND,
        auditor: str = "",
        audit_every: int = SECOND,
        taps: Mapping[MessageType, Tap] | None = None,
        observers: Mapping[str, InboxObserver] | None = None,
        journal: Callable[[str], Journal] = MemoryJournal,
        outbound: Outbound | None = None,
        network: Network | None = None,
        started: bool = False,
        sorted_inboxes: bool = False,
    ) -> None:
        self.now = start
        self.delivered = 0
        self.lost = 0
        self.network = network or Network()
        hosted: list[Component] = [*components, self.network]
        self._components = hosted
        self._index = {c.name: i for i, c in enumerate(hosted)}
        self._ranks = [ACTING_ORDER.get(c.name, OUTSIDE_RANK) for c in hosted]
        self.journals = {c.name: journal(c.name) for c in hosted}
        self._journals = [self.journals[c.name] for c in hosted]
        self._auditor = self._index.get(auditor, -1)
        self._audit_feed = AuditFeed(
            self._journals,
            self._auditor if outbound is None else -1,
            start=start,
            period=audit_every,
        )
        self._latency = latency
        self._taps = dict(taps or {})
        self._observers = {self._index[n]: observe for n, observe in (observers or {}).items()}
        self._outbound = outbound
        self._sorted = sorted_inboxes
        self._agenda: Agenda = (SortedAgenda if sorted_inboxes else Agenda)(len(hosted))
        self._sent = 0
        self._ignored = [ignored_types(c) for c in hosted]
        self._routes: list[dict[MessageType, Route]] = [{} for _ in hosted]
        self._cut: set[tuple[str, str]] = set()
        self._network_version = self.network.version
        if not started:
            for component in hosted:
                self.send(component.name, Start(run_id), start)

    def send(self, to: str, message: Message, at: int | None = None) -> None:
        """Put a message from outside into a component's inbox, at the instant ``at`` or now. A
        message of a type that the component ignores is dropped. Raises KeyError if no component
        ``to`` is hosted here.
        """
        index = self._index[to]
        if type(message) not in self._ignored[index]:
            self._put(self.now if at is None else at, index, message, self.now, OUTSIDE_RANK)

    def arrive(self, to: str, message: Message, at: int, origin: Origin) -> None:
        """Put a message that a component of another process has sent into an inbox. Raises
        KeyError if no component ``to`` is hosted here.
        """
        index = self._index[to]
        if type(message) not in self._ignored[index]:
            self._agenda.put(at, index, message, origin)

    def place(self, to: str, message: Message, at: int) -> None:
        """Put a message from outside behind all others that a component receives at ``at``. Raises
        KeyError if no component ``to`` is hosted here.
        """
        self._put(at, self._index[to], message, at, OUTSIDE_RANK)

    @property
    def next_at(self) -> int | None:
        """The simulated time of the next event in microseconds; None if there is none."""
        return self._agenda.next_at

    def step(self) -> bool:
        """Handle everything of the next instant. Return False if there is no next instant."""
        if self._agenda.next_at is None:
            return False
        now, inboxes = self._agenda.take()
        self.now = now
        if self._auditor >= 0 and self._outbound is None and inboxes[self._auditor]:
            self._deliver_batches(self._audit_feed.complete_queries(inboxes[self._auditor]), now)
        for index, inbox in enumerate(inboxes):
            if inbox:
                self._deliver(index, inbox, now)
        self._end_instant()
        return True

    def run(self, until: int) -> None:
        """Handle every instant up to and including ``until``."""
        while (due := self._agenda.next_at) is not None and due <= until:
            self.step()
        self.now = max(self.now, until)

    def skip_to(self, now: int) -> None:
        """Skip to ``now`` after a pause: timers and messages that were due before arrive at
        ``now``, each of them once.
        """
        self._agenda.postpone(now)

    def keep_arrival_order(self) -> None:
        """Keep inboxes in the order of arrival from now on, since time follows the wall clock."""
        if isinstance(self._agenda, SortedAgenda):
            self._agenda.settle()
            self._sorted = False

    def inbox(self, name: str, at: int) -> Inbox:
        """Return what a component receives at ``at``, as a list that may be changed. Raises
        KeyError if the component is not hosted here.
        """
        return self._agenda.inboxes(at)[self._index[name]]

    def due(self, name: str) -> list[Message]:
        """Return what a component receives at the next instant. Needs sorted inboxes."""
        return self._sorted_agenda().peek(self._index[name])

    def replace_due(self, name: str, old: Message, new: Message) -> None:
        """Deliver ``new`` instead of ``old`` at the next instant. Needs sorted inboxes. Raises
        ValueError if ``old`` is not due then.
        """
        self._sorted_agenda().replace(self._index[name], old, new)

    def drop_from(self, rank: int) -> None:
        """Drop the undelivered messages of the sender with that rank. Needs sorted inboxes."""
        self._sorted_agenda().drop(lambda sender: sender == rank)

    def drop_remote_messages(self) -> None:
        """Drop the undelivered messages of other processes, which are going to send them again.
        Needs sorted inboxes.
        """
        own = {*self._ranks, OUTSIDE_RANK}
        self._sorted_agenda().drop(lambda sender: sender not in own)

    def snapshot(self) -> dict[str, Any]:
        """Return the state that :meth:`restore` of a kernel with the same components restores."""
        return {
            "now": self.now,
            "components": self._components,
            "agenda": self._agenda,
            "sorted": self._sorted,
            "sent": self._sent,
            "audited": self._audit_feed.positions,
            "audit_at": self._audit_feed.next_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the state that :meth:`snapshot` of another kernel returned, with its messages in
        flight. Raises ValueError if the names of the components differ.
        """
        components: list[Component] = state["components"]
        if [c.name for c in components] != list(self._index):
            raise ValueError("a snapshot of other components")
        self.now = state["now"]
        self._components = components
        self._ignored = [ignored_types(c) for c in components]
        self.network = next(c for c in components if isinstance(c, Network))
        self._agenda = state["agenda"]
        self._sorted = state["sorted"]
        self._sent = state["sent"]
        self._audit_feed.positions = state["audited"]
        self._audit_feed.next_at = state["audit_at"]
        self._apply_partitions()

    def feed_auditor(self, batch: JournalBatch) -> None:
        """Let the auditor read entries of a journal that is stored elsewhere. Raises LookupError
        if no auditor is hosted here.
        """
        if self._auditor < 0:
            raise LookupError("no auditor is hosted here")
        self._emit(self._auditor, self._components[self._auditor].on(batch, self.now), self.now)

    def replace_taps(self, taps: Mapping[MessageType, Tap]) -> None:
        """Replace all taps."""
        self._taps = dict(taps)
        self._clear_routes()

    @property
    def hosted(self) -> Sequence[Component]:
        """The components, in the order in which they act within one instant."""
        return self._components

    def component(self, name: str) -> Component:
        """Return a hosted component. Raises KeyError if it is not hosted here."""
        return self._components[self._index[name]]

    def replay(self, received: Iterable[tuple[int, str, list[Message]]]) -> None:
        """Repeat what the journals say was received: (time, component, messages), in the order in
        which it happened. Afterwards the messages are in flight that were in flight then.
        """
        begun = False
        for now, name, messages in received:
            if begun and now > self.now:
                self._end_instant()
            if now > self.now:
                self._drop_before(now)
                self.now = now
            begun = True
            index = self._index[name]
            inboxes = self._agenda.inboxes(now)
            batches: list[Message] = [m for m in inboxes[index] if isinstance(m, JournalBatch)]
            inboxes[index].clear()
            if index == self._auditor and self._outbound is None:
                self._deliver_batches(self._audit_feed.complete_queries(messages), now)
            self._deliver(index, batches + messages, now)
        if begun:
            self._end_instant()
        self._drop_before(self.now + 1)

    def _sorted_agenda(self) -> SortedAgenda:
        assert isinstance(self._agenda, SortedAgenda)  # noqa: S101 - a programming error
        return self._agenda

    def _end_instant(self) -> None:
        if self.network.version != self._network_version:
            self._apply_partitions()
        if self.now >= self._audit_feed.next_at:
            self._audit_feed.schedule_after(self.now)
            self._deliver_batches(self._audit_feed.batches(), self.now)

    def _drop_before(self, time: int) -> None:
        """Empty the inboxes before ``time``, whose messages are in the journals. Only the auditor's
        batches are not; these are delivered.
        """
        for now, index, batches in self._agenda.drop_before(time):
            self._deliver(index, batches, now)

    def _put(self, at: int, index: int, message: Message, now: int, rank: int) -> None:
        self._sent += 1
        self._agenda.put(at, index, message, Origin(now, rank, self._sent))

    def _deliver(self, index: int, inbox: Inbox, now: int) -> None:
        journaled = inbox
        if index == self._auditor and self._outbound is not None:
            journaled = with_read_receipts(inbox)
        if journaled:
            self._journals[index].append(now, RECEIVED, journaled)
        self.delivered += len(inbox)
        if index in self._observers:
            self._observers[index](inbox, now)
        if self._outbound is not None and self._taps:
            self._tap_arrivals(inbox, now)
        on = self._components[index].on
        for message in inbox:
            outputs = on(message, now)
            if outputs:
                self._emit(index, outputs, now)

    def _deliver_batches(self, batches: Iterator[JournalBatch], now: int) -> None:
        """Let the auditor read ``batches``, which its journal does not contain."""
        for batch in batches:
            self._emit(self._auditor, self._components[self._auditor].on(batch, now), now)

    def _emit(self, index: int, outputs: Iterable[Message], now: int) -> None:
        """Journal the messages that a component has decided on, and send them."""
        routes = self._routes[index]
        append = self._journals[index].append
        arrival = now + self._latency
        for output in outputs:
            kind = type(output)
            route = routes.get(kind)
            if route is None:
                route = self._add_route(index, output, kind)
                if route is None:
                    self._schedule(index, output, now)
                    continue
            if route.journaled:
                append(now, kind.__name__, output)
            if route.tap is not None:
                route.tap(output, now)
            self._send(index, route, output, now, arrival)

    def _send(self, index: int, route: Route, message: Message, now: int, arrival: int) -> None:
        if route.direct:
            self._send_direct(index, message, now, arrival)
            return
        self.lost += route.lost
        if route.to:
            if self._sorted:
                for to in route.to:
                    self._put(arrival, to, message, now, self._ranks[index])
            else:
                inboxes = self._agenda.inboxes(arrival)
                for to in route.to:
                    inboxes[to].append(message)
        if route.remote:
            self._send_remote(index, route.remote, message, arrival)

    def _schedule(self, index: int, output: Message, now: int) -> None:
        """Set the timer of a Wake, or send what a Delayed contains after its delay."""
        if isinstance(output, Wake):
            self._put(max(output.at, now + 1), index, output, now, self._ranks[index])
            return
        assert isinstance(output, Delayed)  # noqa: S101 - for the type checker
        message = output.message
        kind = type(message)
        route = self._routes[index].get(kind) or self._add_route(index, message, kind)
        if route is None:
            raise TypeError(f"{kind.__name__} cannot be delayed")
        if route.journaled:
            self._journals[index].append(now, kind.__name__, message)
        if route.tap is not None:
            route.tap(message, now)
        self._send(index, route, message, now, now + self._latency + max(output.delay, 0))

    def _send_remote(
        self, index: int, destinations: Iterable[str], message: Message, arrival: int
    ) -> None:
        if self._outbound is not None:
            for name in destinations:
                self._outbound(self._components[index].name, name, message, arrival)

    def _tap_arrivals(self, inbox: Iterable[Message], now: int) -> None:
        """Call the taps with what components of other processes have sent."""
        for message in inbox:
            tap = self._taps.get(type(message))
            if tap is not None:
                tap(message, now)

    def _send_direct(self, index: int, message: Any, now: int, arrival: int) -> None:
        name = self.network.name if isinstance(message, Probe) else message.to
        if self._is_cut(self._components[index].name, name):
            self.lost += 1
            return
        to = self._index.get(name)
        everywhere = name == self.network.name and self._sorted and not isinstance(message, Probe)
        if to is None or everywhere:
            self._send_remote(index, (name,), message, arrival)
        if to is None or type(message) in self._ignored[to]:
            return
        self._put(arrival, to, message, now, self._ranks[index])

    def _add_route(self, index: int, output: Message, kind: MessageType) -> Route | None:
        """Compute, store and return the route of a message type; None for a request to the kernel
        itself, which has no route.
        """
        if isinstance(output, Wake | Delayed):
            return None
        source = self._components[index].name
        named = destinations(source, kind)
        reached = [name for name in named if not self._is_cut(source, name)]
        hosted = [self._index[name] for name in reached if name in self._index]
        route = Route(
            kind not in NOT_JOURNALED,
            kind in DIRECT,
            tuple(to for to in hosted if kind not in self._ignored[to]),
            tuple(name for name in reached if name not in self._index),
            len(named) - len(reached),
            self._taps.get(kind),
        )
        self._routes[index][kind] = route
        return route

    def _is_cut(self, source: str, to: str) -> bool:
        """Does a partition drop messages between the two? Where time follows the wall clock, a
        partition closes connections to other processes instead, which their senders may notice.
        """
        return (source, to) in self._cut and (self._sorted or to in self._index)

    def _apply_partitions(self) -> None:
        self._network_version = self.network.version
        self._cut = self.network.cut
        self._clear_routes()

    def _clear_routes(self) -> None:
        for routes in self._routes:
            routes.clear()
