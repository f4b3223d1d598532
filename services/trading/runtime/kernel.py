"""The discrete-event kernel: hosts components in virtual time and moves their messages.

Everything that arrives at one instant is handled component by component, in a fixed order, so a
run is a function of its components, their seeds and what was sent from outside.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

import msgspec

from trading.messages import Delayed, Message, Start, Wake
from trading.messages.audit import AuditQuery, BatchRead, JournalBatch
from trading.messages.chaos import Probe
from trading.runtime.component import Component
from trading.runtime.journal import RECEIVED, Journal, MemoryJournal
from trading.runtime.network import Network
from trading.runtime.routes import DIRECT, NOT_JOURNALED, MessageType, destinations
from trading.topology import AUDIT_CORRELATOR
from trading.units import MILLISECOND

Tap = Callable[[Any, int], None]
#: (source, destination, message, arrival) of what goes to a component that is elsewhere.
Outbound = Callable[[str, str, Any, int], None]

_AUDIT_EVERY = 8192


class _Route(msgspec.Struct, gc=False):
    """What happens to one type of one component's messages."""

    journaled: bool
    direct: bool
    to: tuple[int, ...]
    away: tuple[str, ...]
    lost: int
    tap: Tap | None


class Kernel:
    """``latency``: of every link, microseconds. ``auditor``: the component that reads all other
    journals. ``taps``: called with each message of a type that any component sends.

    ``outbound``: called with (source, destination, message, arrival) for what goes to a component
    that is not hosted here; without it such messages go nowhere. With it the kernel hosts a part
    of an ecosystem: taps see what arrives, too, and the auditor gets the journals from outside.

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
        taps: Mapping[MessageType, Tap] | None = None,
        journal: Callable[[str], Journal] = MemoryJournal,
        outbound: Outbound | None = None,
        network: Network | None = None,
        started: bool = False,
    ) -> None:
        self.now = start
        self.delivered = 0
        self.lost = 0
        self.network = network or Network()
        hosted: list[Component] = [*components, self.network]
        self._components = hosted
        self._index = {c.name: i for i, c in enumerate(hosted)}
        self.journals = {c.name: journal(c.name) for c in hosted}
        self._journals = [self.journals[c.name] for c in hosted]
        self._auditor = self._index.get(auditor, -1)
        self._audited = [0] * len(hosted)
        self._unaudited = 0
        self._latency = latency
        self._taps = dict(taps or {})
        self._outbound = outbound
        self._times: list[int] = []
        self._buckets: dict[int, list[list[Message]]] = {}
        self._routes: list[dict[MessageType, _Route]] = [{} for _ in hosted]
        self._cut: set[tuple[int, int]] = set()
        self._network_version = self.network.version
        if not started:
            for component in hosted:
                self.send(component.name, Start(run_id), start)

    def send(self, to: str, message: Message, at: int | None = None) -> None:
        """Put a message from outside into a component's inbox. KeyError for an unknown one."""
        self._inboxes(self.now if at is None else at)[self._index[to]].append(message)

    @property
    def next_at(self) -> int | None:
        """When something happens next, None when nothing will."""
        return self._times[0] if self._times else None

    def step(self) -> bool:
        """Handle everything of the next instant. False when nothing is left to happen."""
        if not self._times:
            return False
        now = self.now = heappop(self._times)
        inboxes = self._buckets[now]
        for index, inbox in enumerate(inboxes):
            if inbox:
                self._deliver(index, inbox, now)
        del self._buckets[now]
        self._end_instant()
        return True

    def run(self, until: int) -> None:
        """Handle every instant up to and including ``until``."""
        while self._times and self._times[0] <= until:
            self.step()
        self.now = max(self.now, until)

    def leap(self, now: int) -> None:
        """It is ``now``: timers and messages that were due before are late, each of them once."""
        late = [at for at in self._times if at < now]
        if not late:
            return
        inboxes = self._inboxes(now)
        early: list[list[Message]] = [[] for _ in self._components]
        for at in sorted(late):
            for index, inbox in enumerate(self._buckets.pop(at)):
                early[index] += inbox
        for index, inbox in enumerate(inboxes):
            inbox[:0] = early[index]
        self._times = sorted(self._buckets)

    def frozen(self) -> dict[str, Any]:
        """All that a kernel with the same components' names needs to go on: see :meth:`thaw`."""
        return {
            "now": self.now,
            "components": self._components,
            "buckets": self._buckets,
            "audited": self._audited,
            "unaudited": self._unaudited,
        }

    def thaw(self, frozen: Mapping[str, Any]) -> None:
        """Go on from what another kernel's :attr:`frozen` was; its messages in flight arrive."""
        components: list[Component] = frozen["components"]
        if [c.name for c in components] != list(self._index):
            raise ValueError("a snapshot of other components")
        self.now = frozen["now"]
        self._components = components
        self.network = next(c for c in components if isinstance(c, Network))
        self._buckets = frozen["buckets"]
        self._times = sorted(self._buckets)
        self._audited = frozen["audited"]
        self._unaudited = frozen["unaudited"]
        self._rewire()

    def audit(self) -> None:
        """Hand the auditor what there is, without waiting until it is much."""
        if self._unaudited:
            self._feed_auditor(self.now)

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
        for now, name, messages in received:
            if now > self.now:
                self._end_instant()
                self._arrive_before(now)
                self.now = now
            index = self._index[name]
            inbox = self._inboxes(now)[index]
            batches: list[Message] = [m for m in inbox if isinstance(m, JournalBatch)]
            inbox.clear()
            self._deliver(index, batches + messages, now)
        self._end_instant()
        self._arrive_before(self.now + 1)

    def _end_instant(self) -> None:
        if self.network.version != self._network_version:
            self._rewire()
        if self._unaudited >= _AUDIT_EVERY:
            self._feed_auditor(self.now)

    def _arrive_before(self, time: int) -> None:
        """Empty the buckets before ``time``: what was in them is in the journals. The auditor's
        batches alone are not.
        """
        while self._times and self._times[0] < time:
            now = heappop(self._times)
            for index, inbox in enumerate(self._buckets[now]):
                batches: list[Message] = [m for m in inbox if isinstance(m, JournalBatch)]
                if batches:
                    self._deliver(index, batches, now)
            del self._buckets[now]

    def _inboxes(self, at: int) -> list[list[Message]]:
        inboxes = self._buckets.get(at)
        if inboxes is None:
            inboxes = self._buckets[at] = [[] for _ in self._components]
            heappush(self._times, at)
        return inboxes

    def _deliver(self, index: int, inbox: list[Message], now: int) -> None:
        journal = self._journals[index]
        on = self._components[index].on
        routes = self._routes[index]
        append = journal.append
        arrival = now + self._latency
        inboxes: list[list[Message]] | None = None
        before = journal.length
        received = inbox
        if index == self._auditor:
            received = _without_batches(inbox) if self._outbound is None else _as_read(inbox)
        if received:
            append(now, RECEIVED, received)
        self.delivered += len(inbox)
        if self._outbound is not None and self._taps:
            self._hear(inbox, now)
        for message in inbox:
            for output in on(message, now):
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
                if route.direct:
                    self._send_direct(index, output, arrival)
                    continue
                self.lost += route.lost
                if inboxes is None:
                    inboxes = self._inboxes(arrival)
                for to in route.to:
                    inboxes[to].append(output)
                if route.away:
                    self._send_away(index, route.away, output, arrival)
        self._unaudited += journal.length - before

    def _special(self, index: int, output: Message, now: int) -> None:
        """Timers, delays, and the question to the auditor."""
        if isinstance(output, Wake):
            self._inboxes(max(output.at, now + 1))[index].append(output)
        elif isinstance(output, Delayed):
            self._send_late(index, output.message, now, output.delay)
        elif isinstance(output, AuditQuery):
            self._journals[index].append(now, "AuditQuery", output)
            self._feed_auditor(now)
            heads = {
                name: journal.length
                for i, (name, journal) in enumerate(self.journals.items())
                if i != self._auditor
            }
            if self._auditor >= 0:
                question = msgspec.structs.replace(output, heads=heads)
                self._inboxes(now + self._latency)[self._auditor].append(question)
            else:
                self._send_away(index, (AUDIT_CORRELATOR,), output, now + self._latency)

    def _send_late(self, index: int, message: Message, now: int, delay: int) -> None:
        kind = type(message)
        route = self._routes[index].get(kind) or self._route(index, message, kind)
        if route is None:
            raise TypeError(f"{kind.__name__} cannot be delayed")
        if route.journaled:
            self._journals[index].append(now, kind.__name__, message)
        if route.tap is not None:
            route.tap(message, now)
        arrival = now + self._latency + max(delay, 0)
        if route.direct:
            self._send_direct(index, message, arrival)
            return
        self.lost += route.lost
        inboxes = self._inboxes(arrival)
        for to in route.to:
            inboxes[to].append(message)
        self._send_away(index, route.away, message, arrival)

    def _send_away(
        self, index: int, destinations: Iterable[str], message: Message, arrival: int
    ) -> None:
        if self._outbound is not None:
            for name in destinations:
                self._outbound(self._components[index].name, name, message, arrival)

    def _hear(self, inbox: Iterable[Message], now: int) -> None:
        """What other processes' components have sent."""
        for message in inbox:
            tap = self._taps.get(type(message))
            if tap is not None:
                tap(message, now)

    def _send_direct(self, index: int, message: Any, arrival: int) -> None:
        name = self.network.name if isinstance(message, Probe) else message.to
        to = self._index.get(name)
        if to is None:
            self._send_away(index, (name,), message, arrival)
            return
        if (index, to) in self._cut:
            self.lost += 1
            return
        self._inboxes(arrival)[to].append(message)

    def _route(self, index: int, output: Message, kind: MessageType) -> _Route | None:
        """The route of a type, from now on remembered; None for what the kernel does itself."""
        if isinstance(output, Wake | Delayed | AuditQuery):
            return None
        named = destinations(self._components[index].name, kind)
        wanted = [self._index[name] for name in named if name in self._index]
        reached = tuple(to for to in wanted if (index, to) not in self._cut)
        route = _Route(
            kind not in NOT_JOURNALED,
            kind in DIRECT,
            reached,
            tuple(name for name in named if name not in self._index),
            len(wanted) - len(reached),
            self._taps.get(kind),
        )
        self._routes[index][kind] = route
        return route

    def _rewire(self) -> None:
        self._network_version = self.network.version
        names = self._index
        self._cut = {(names[a], names[b]) for a, b in self.network.cut if a in names and b in names}
        for routes in self._routes:
            routes.clear()

    def _feed_auditor(self, now: int) -> None:
        """Hand the auditor what the journals have grown by since the last time."""
        self._unaudited = 0
        if self._auditor < 0 or self._outbound is not None:
            return
        inbox = self._inboxes(now + self._latency)[self._auditor]
        for index, journal in enumerate(self._journals):
            read = self._audited[index]
            if index != self._auditor and journal.length > read:
                inbox.append(JournalBatch(journal.source, read, tuple(journal.after(read))))
                self._audited[index] = journal.length


def _as_read(inbox: Iterable[Message]) -> list[Message]:
    """The auditor keeps the journals that it reads itself; its own says how far it has read."""
    return [
        BatchRead(m.source, m.after, len(m.entries)) if isinstance(m, JournalBatch) else m
        for m in inbox
    ]


def _without_batches(inbox: Iterable[Message]) -> list[Message]:
    """The auditor's copies of other journals are not journaled once more."""
    return [m for m in inbox if not isinstance(m, JournalBatch)]
