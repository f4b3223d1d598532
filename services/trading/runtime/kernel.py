"""The discrete-event kernel: hosts components in virtual time and moves their messages.

Everything that arrives at one instant is handled component by component, in a fixed order, so a
run is a function of its components, their seeds and what was sent from outside.

The auditor is fed beside the messages: at every full period of simulated time it is given what the
journals have grown by. When this happens follows from the instants alone, so a replay of the
journals feeds it at the same moments.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from trading.messages import Delayed, Message, Start, Wake
from trading.messages.audit import AuditQuery, JournalBatch
from trading.messages.chaos import Probe
from trading.runtime.agenda import ACTING_ORDER, OUTSIDE, Agenda, Inbox, Origin, SortedAgenda
from trading.runtime.component import Component, ignored
from trading.runtime.delivery import Outbound, Route, Tap, as_read
from trading.runtime.journal import RECEIVED, Journal, MemoryJournal
from trading.runtime.network import Network
from trading.runtime.routes import DIRECT, NOT_JOURNALED, MessageType, destinations
from trading.units import MILLISECOND, SECOND


class Kernel:
    """Hosts ``components`` and delivers their messages, each ``latency`` microseconds after it was
    sent. ``auditor``: the component that reads all other journals, every ``audit_every``
    microseconds. ``taps``: called with each message of a type that any component sends.

    ``outbound``: called with (source, destination, message, arrival) for what goes to a component
    that is not hosted here; without it such messages go nowhere. With it the kernel hosts a part
    of an ecosystem: taps see what arrives, too, and the auditor gets the journals from outside.
    ``sorted_inboxes``: what other processes send may arrive in any order before its instant;
    inboxes are sorted as one process that hosted everything would have filled them.

    ``delivered`` counts messages handed to components, ``lost`` those that a partition ate.
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
        self._ranks = [ACTING_ORDER.get(c.name, OUTSIDE) for c in hosted]
        self.journals = {c.name: journal(c.name) for c in hosted}
        self._journals = [self.journals[c.name] for c in hosted]
        self._auditor = self._index.get(auditor, -1)
        self._audited = [0] * len(hosted)
        self._audit_every = audit_every
        self._audit_at = start + audit_every
        self._latency = latency
        self._taps = dict(taps or {})
        self._outbound = outbound
        self._sorted = sorted_inboxes
        self._agenda: Agenda = (SortedAgenda if sorted_inboxes else Agenda)(len(hosted))
        self._sent = 0
        self._ignored = [ignored(c) for c in hosted]
        self._routes: list[dict[MessageType, Route]] = [{} for _ in hosted]
        self._cut: set[tuple[str, str]] = set()
        self._network_version = self.network.version
        if not started:
            for component in hosted:
                self.send(component.name, Start(run_id), start)

    def send(self, to: str, message: Message, at: int | None = None) -> None:
        """Put a message from outside into a component's inbox, unless the component ignores its
        kind. KeyError for an unknown one.
        """
        index = self._index[to]
        if type(message) not in self._ignored[index]:
            self._put(self.now if at is None else at, index, message, self.now, OUTSIDE)

    def arrive(self, to: str, message: Message, at: int, origin: Origin) -> None:
        """Put a message that another process's component has sent into an inbox. KeyError for an
        unknown component.
        """
        index = self._index[to]
        if type(message) not in self._ignored[index]:
            self._agenda.put(at, index, message, origin)

    def place(self, to: str, message: Message, at: int) -> None:
        """Put a message from outside behind all others that a component gets at ``at``. KeyError
        for an unknown component.
        """
        self._put(at, self._index[to], message, at, OUTSIDE)

    @property
    def next_at(self) -> int | None:
        """When something happens next, None when nothing will."""
        return self._agenda.next_at

    def step(self) -> bool:
        """Handle everything of the next instant. False when nothing is left to happen."""
        if self._agenda.next_at is None:
            return False
        now, inboxes = self._agenda.take()
        self.now = now
        if self._auditor >= 0 and self._outbound is None and inboxes[self._auditor]:
            self._complete_queries(inboxes[self._auditor], now)
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

    def leap(self, now: int) -> None:
        """It is ``now``: timers and messages that were due before are late, each of them once."""
        self._agenda.postpone(now)

    def follow_arrivals(self) -> None:
        """From now on inboxes are in the order of arrival: time goes by the wall clock."""
        if isinstance(self._agenda, SortedAgenda):
            self._agenda.settle()
            self._sorted = False

    def inbox(self, name: str, at: int) -> Inbox:
        """Return what a component gets at ``at``, to be changed. KeyError for an unknown one."""
        return self._agenda.inboxes(at)[self._index[name]]

    def due(self, name: str) -> list[Message]:
        """What a component gets at the next instant. Only with sorted inboxes."""
        assert isinstance(self._agenda, SortedAgenda)  # noqa: S101 - a programming error
        return self._agenda.peek(self._index[name])

    def replace_due(self, name: str, old: Message, new: Message) -> None:
        """Let a component get ``new`` instead of ``old`` at the next instant."""
        assert isinstance(self._agenda, SortedAgenda)  # noqa: S101 - a programming error
        self._agenda.replace(self._index[name], old, new)

    def lose(self, rank: int) -> None:
        """Drop what the sender of that rank has sent and nobody has got yet. Only with sorted
        inboxes.
        """
        assert isinstance(self._agenda, SortedAgenda)  # noqa: S101 - a programming error
        self._agenda.drop(lambda found: found == rank)

    def lose_arrivals(self) -> None:
        """Drop what other processes have sent and nobody has got yet: they send it again. Only
        with sorted inboxes.
        """
        assert isinstance(self._agenda, SortedAgenda)  # noqa: S101 - a programming error
        own = {*self._ranks, OUTSIDE}
        self._agenda.drop(lambda found: found not in own)

    def frozen(self) -> dict[str, Any]:
        """All that a kernel with the same components' names needs to go on: see :meth:`thaw`."""
        return {
            "now": self.now,
            "components": self._components,
            "agenda": self._agenda,
            "sorted": self._sorted,
            "sent": self._sent,
            "audited": self._audited,
            "audit_at": self._audit_at,
        }

    def thaw(self, frozen: Mapping[str, Any]) -> None:
        """Go on from what another kernel's :attr:`frozen` was; its messages in flight arrive."""
        components: list[Component] = frozen["components"]
        if [c.name for c in components] != list(self._index):
            raise ValueError("a snapshot of other components")
        self.now = frozen["now"]
        self._components = components
        self._ignored = [ignored(c) for c in components]
        self.network = next(c for c in components if isinstance(c, Network))
        self._agenda = frozen["agenda"]
        self._sorted = frozen["sorted"]
        self._sent = frozen["sent"]
        self._audited = frozen["audited"]
        self._audit_at = frozen["audit_at"]
        self._rewire()

    def feed(self, batch: JournalBatch) -> None:
        """Give the auditor entries of a journal that is kept elsewhere. LookupError without one."""
        if self._auditor < 0:
            raise LookupError("no auditor is hosted here")
        self._emit(self._auditor, self._components[self._auditor].on(batch, self.now), self.now)

    def retap(self, taps: Mapping[MessageType, Tap]) -> None:
        """Replace all taps."""
        self._taps = dict(taps)
        for routes in self._routes:
            routes.clear()

    @property
    def hosted(self) -> Sequence[Component]:
        """The components, in the order in which they act within one instant."""
        return self._components

    def component(self, name: str) -> Component:
        """A hosted component. KeyError for one that is elsewhere."""
        return self._components[self._index[name]]

    def replay(self, received: Iterable[tuple[int, str, list[Message]]]) -> None:
        """Do again what the journals say was received: (time, component, messages), in the order
        in which it happened. What was in flight after the last of them is in flight again.
        """
        begun = False
        for now, name, messages in received:
            if begun and now > self.now:
                self._end_instant()
            if now > self.now:
                self._arrive_before(now)
                self.now = now
            begun = True
            index = self._index[name]
            inboxes = self._agenda.inboxes(now)
            batches: list[Message] = [m for m in inboxes[index] if isinstance(m, JournalBatch)]
            inboxes[index].clear()
            if index == self._auditor and self._outbound is None:
                self._complete_queries(messages, now)
            self._deliver(index, batches + messages, now)
        if begun:
            self._end_instant()
        self._arrive_before(self.now + 1)

    def _end_instant(self) -> None:
        if self.network.version != self._network_version:
            self._rewire()
        if self.now >= self._audit_at:
            self._audit_at = self.now - self.now % self._audit_every + self._audit_every
            self._feed_auditor(self.now)

    def _arrive_before(self, time: int) -> None:
        """Empty the inboxes before ``time``: what was in them is in the journals. The auditor's
        batches alone are not.
        """
        for now, index, batches in self._agenda.drop_before(time):
            self._deliver(index, batches, now)

    def _put(self, at: int, index: int, message: Message, now: int, rank: int) -> None:
        self._sent += 1
        self._agenda.put(at, index, message, Origin(now, rank, self._sent))

    def _deliver(self, index: int, inbox: Inbox, now: int) -> None:
        received = inbox
        if index == self._auditor and self._outbound is not None:
            received = as_read(inbox)
        if received:
            self._journals[index].append(now, RECEIVED, received)
        self.delivered += len(inbox)
        if self._outbound is not None and self._taps:
            self._tap_arrivals(inbox, now)
        on = self._components[index].on
        for message in inbox:
            outputs = on(message, now)
            if outputs:
                self._emit(index, outputs, now)

    def _emit(self, index: int, outputs: Iterable[Message], now: int) -> None:
        """Journal what a component has decided, and send it."""
        routes = self._routes[index]
        append = self._journals[index].append
        arrival = now + self._latency
        for output in outputs:
            kind = type(output)
            route = routes.get(kind)
            if route is None:
                route = self._route(index, output, kind)
                if route is None:
                    self._special(index, output, now)
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
        if route.away:
            self._send_away(index, route.away, message, arrival)

    def _special(self, index: int, output: Message, now: int) -> None:
        """Timers and delays."""
        if isinstance(output, Wake):
            self._put(max(output.at, now + 1), index, output, now, self._ranks[index])
            return
        assert isinstance(output, Delayed)  # noqa: S101 - for the type checker
        message = output.message
        kind = type(message)
        route = self._routes[index].get(kind) or self._route(index, message, kind)
        if route is None:
            raise TypeError(f"{kind.__name__} cannot be delayed")
        if route.journaled:
            self._journals[index].append(now, kind.__name__, message)
        if route.tap is not None:
            route.tap(message, now)
        self._send(index, route, message, now, now + self._latency + max(output.delay, 0))

    def _send_away(
        self, index: int, destinations: Iterable[str], message: Message, arrival: int
    ) -> None:
        if self._outbound is not None:
            for name in destinations:
                self._outbound(self._components[index].name, name, message, arrival)

    def _tap_arrivals(self, inbox: Iterable[Message], now: int) -> None:
        """Let the taps see what other processes' components have sent."""
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
            self._send_away(index, (name,), message, arrival)
        if to is None or type(message) in self._ignored[to]:
            return
        self._put(arrival, to, message, now, self._ranks[index])

    def _route(self, index: int, output: Message, kind: MessageType) -> Route | None:
        """The route of a type, from now on remembered; None for what the kernel does itself."""
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
        """Is a message lost between the two? By the wall clock, connections to other processes
        end instead, and who sends may hear of it.
        """
        return (source, to) in self._cut and (self._sorted or to in self._index)

    def _rewire(self) -> None:
        self._network_version = self.network.version
        self._cut = self.network.cut
        for routes in self._routes:
            routes.clear()

    def _complete_queries(self, inbox: Inbox, now: int) -> None:
        """Let the auditor read every journal to its end before it is asked, and tell it where
        that is: what happened before this instant. In a replay the question says it already.
        """
        for position, message in enumerate(inbox):
            if isinstance(message, AuditQuery):
                heads = message.heads or {
                    journal.source: journal.length
                    for index, journal in enumerate(self._journals)
                    if index != self._auditor
                }
                self._feed_auditor(now, message.heads or None)
                inbox[position] = msgspec.structs.replace(message, heads=heads)

    def _feed_auditor(self, now: int, heads: Mapping[str, int] | None = None) -> None:
        """Hand the auditor what the journals have grown by since the last time; ``heads``: up to
        where.
        """
        if self._auditor < 0 or self._outbound is not None:
            return
        auditor = self._components[self._auditor]
        for index, journal in enumerate(self._journals):
            read = self._audited[index]
            head = journal.length if heads is None else heads.get(journal.source, 0)
            if index != self._auditor and head > read:
                # All that it tells, even if that is more than it has: then it is damaged.
                told = journal.after(read)
                entries = tuple(told if heads is None else islice(told, head - read))
                self._audited[index] = head
                batch = JournalBatch(journal.source, read, entries)
                self._emit(self._auditor, auditor.on(batch, now), now)
