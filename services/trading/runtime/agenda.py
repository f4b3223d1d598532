"""What is due when: for each instant, one inbox for each component.

In one process the messages of an inbox are in the order in which they were sent, because the
components act one after the other. Where the components are processes of their own, messages
arrive in any order; there each is stored with its :class:`Origin`, and an inbox is sorted by it
when its instant comes. Both give the same order.

Snapshots contain agendas as pickles: the names of their attributes are part of that format.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from trading.messages import Message
from trading.messages.audit import JournalBatch
from trading.topology import SERVICES

Inbox = list[Message]

#: Distance between the ranks of two services, which leaves room for the instances of one.
_RANKS_PER_SERVICE = 16
#: Rank of each component: the order in which they act within one instant. The network is last.
ACTING_ORDER = {
    name: position * _RANKS_PER_SERVICE for position, name in enumerate((*SERVICES, "network"))
}
#: Rank of everything that no component has sent: it comes after what components have sent.
OUTSIDE_RANK = len(ACTING_ORDER) * _RANKS_PER_SERVICE


def rank_of(service: str, name: str) -> int:
    """Return the rank of the instance ``name`` of a service; the instances of one service act in
    the order of their numbers. Raises KeyError if there is no such service.
    """
    number = name[len(service) + 1 :]
    return ACTING_ORDER[service] + (int(number) - 1 if number else 0)


class Origin(NamedTuple):
    """Decides the place of a message among those that arrive at the same instant: when it was sent
    (simulated microseconds), the rank of its sender as in :data:`ACTING_ORDER`, and its number
    among the messages of that sender.
    """

    sent_at: int
    rank: int
    number: int


class Agenda:
    """Keeps the inboxes of ``size`` components, each in the order in which it was filled."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._times: list[int] = []
        self._buckets: dict[int, list[Inbox]] = {}

    @property
    def next_at(self) -> int | None:
        """The earliest instant with inboxes, in microseconds; None if there is none."""
        return self._times[0] if self._times else None

    def pending(self) -> dict[int, list[Inbox]]:
        """Return all inboxes: by instant, a list with one inbox for each component."""
        return dict(self._buckets)

    def inboxes(self, at: int) -> list[Inbox]:
        """Return the inboxes of the instant ``at``, one for each component, to be filled; empty
        ones if nothing is due then.
        """
        inboxes = self._buckets.get(at)
        if inboxes is None:
            inboxes = self._buckets[at] = [[] for _ in range(self._size)]
            heappush(self._times, at)
        return inboxes

    def put(self, at: int, index: int, message: Message, origin: Origin) -> None:
        """Let ``message`` arrive at the component with that index at ``at``."""
        self.inboxes(at)[index].append(message)

    def take(self) -> tuple[int, list[Inbox]]:
        """Remove and return the next instant and its inboxes. Raises IndexError if there is
        none.
        """
        now = heappop(self._times)
        return now, self._buckets.pop(now)

    def postpone(self, now: int) -> None:
        """Move everything that was due before ``now`` to ``now``, in its order and in front of
        what is due then.
        """
        late = sorted(at for at in self._times if at < now)
        if not late:
            return
        inboxes = self.inboxes(now)
        earlier: list[Inbox] = [[] for _ in range(self._size)]
        for at in late:
            for index, inbox in enumerate(self._buckets.pop(at)):
                earlier[index] += inbox
        for index, inbox in enumerate(inboxes):
            inbox[:0] = earlier[index]
        self._times = list(self._buckets)
        heapify(self._times)

    def drop_before(self, time: int) -> Iterator[tuple[int, int, list[Message]]]:
        """Remove all instants before ``time``, and yield (instant, index, batches) of the journal
        batches that were due, because no journal contains these.
        """
        while self._times and self._times[0] < time:
            now, inboxes = self.take()
            for index, inbox in enumerate(inboxes):
                batches: list[Message] = [m for m in inbox if isinstance(m, JournalBatch)]
                if batches:
                    yield now, index, batches


class _Placed(NamedTuple):
    """A message with its origin, which decides its place in the inbox."""

    origin: Origin
    message: Any


class SortedAgenda(Agenda):
    """Keeps the inboxes of ``size`` components, and sorts each by the messages' origins when its
    instant is taken.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._waiting: dict[int, list[list[_Placed]]] = {}

    def put(self, at: int, index: int, message: Message, origin: Origin) -> None:
        """Let ``message`` arrive at the component with that index at ``at``, in the place that its
        origin decides.
        """
        waiting = self._waiting.get(at)
        if waiting is None:
            waiting = self._waiting[at] = [[] for _ in range(self._size)]
            self.inboxes(at)
        waiting[index].append(_Placed(origin, message))

    def peek(self, index: int) -> list[Message]:
        """Return what a component receives at the next instant, in no particular order."""
        waiting = self._waiting.get(self._times[0]) if self._times else None
        return [placed.message for placed in waiting[index]] if waiting is not None else []

    def replace(self, index: int, old: Message, new: Message) -> None:
        """Put ``new`` into the place of ``old`` at the next instant. Raises ValueError if ``old``
        is not due then.
        """
        waiting = self._waiting[self._times[0]][index]
        position = next((i for i, placed in enumerate(waiting) if placed.message is old), -1)
        if position < 0:
            raise ValueError(f"{type(old).__name__} is not due at the next instant")
        waiting[position] = _Placed(waiting[position].origin, new)

    def drop(self, unwanted: Callable[[int], bool]) -> None:
        """Remove the waiting messages of senders for whose rank ``unwanted`` is true. Their
        instants remain.
        """
        for inboxes in self._waiting.values():
            for waiting in inboxes:
                waiting[:] = [p for p in waiting if not unwanted(p.origin.rank)]

    def take(self) -> tuple[int, list[Inbox]]:
        """Remove and return the next instant and its sorted inboxes. Raises IndexError if there
        is none.
        """
        now, inboxes = super().take()
        waiting_inboxes = self._waiting.pop(now, None)
        if waiting_inboxes is not None:
            for index, waiting in enumerate(waiting_inboxes):
                if len(waiting) > 1:
                    waiting.sort(key=_origin)
                inboxes[index] += [placed.message for placed in waiting]
        return now, inboxes

    def postpone(self, now: int) -> None:
        """Sort everything that waits, then move what was due before ``now`` to ``now``. Afterwards
        time follows the wall clock, and messages are handled in the order of arrival.
        """
        for at, inboxes in self._waiting.items():
            for index, waiting in enumerate(inboxes):
                waiting.sort(key=_origin)
                self._buckets[at][index] += [placed.message for placed in waiting]
        self._waiting.clear()
        super().postpone(now)

    def settle(self) -> None:
        """Sort what waits, and keep later messages in the order of arrival."""
        self.postpone(self._times[0] if self._times else 0)


def _origin(placed: _Placed) -> Origin:
    return placed.origin
