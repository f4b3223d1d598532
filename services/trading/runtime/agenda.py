"""What is due when: for each instant, one inbox for each component.

In one process the messages of an inbox are in the order in which they were sent, because the
components act one after the other. Where the components are processes of their own, messages
arrive in any order; there each is kept with its :class:`Origin`, and an inbox is sorted by it when
its instant comes. Both give the same order.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from trading.messages import Message
from trading.messages.audit import JournalBatch
from trading.topology import SERVICES

Inbox = list[Message]

#: Between the ranks of two services: room for the instances of one.
_APART = 16
#: The components in the order in which they act within one instant. The network comes last.
ACTING_ORDER = {name: rank * _APART for rank, name in enumerate((*SERVICES, "network"))}
#: What does not come from a component comes after what does.
OUTSIDE = len(ACTING_ORDER) * _APART


def rank_of(service: str, name: str) -> int:
    """Return the rank of the instance ``name`` of a service: several act in the order of their
    numbers. KeyError for a service that is none.
    """
    number = name[len(service) + 1 :]
    return ACTING_ORDER[service] + (int(number) - 1 if number else 0)


class Origin(NamedTuple):
    """Where a message stands among those that arrive at the same instant: when it was sent
    (microseconds), the rank of its sender as in :data:`ACTING_ORDER`, and its number among what
    that sender has sent.
    """

    sent_at: int
    rank: int
    number: int


class Agenda:
    """The inboxes of ``size`` components, in the order of sending."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._times: list[int] = []
        self._buckets: dict[int, list[Inbox]] = {}

    @property
    def next_at(self) -> int | None:
        """When something is due next, None when nothing is."""
        return self._times[0] if self._times else None

    def pending(self) -> dict[int, list[Inbox]]:
        """What is due when, by component."""
        return dict(self._buckets)

    def inboxes(self, at: int) -> list[Inbox]:
        """The inboxes of the instant ``at``, one for each component, to be filled."""
        inboxes = self._buckets.get(at)
        if inboxes is None:
            inboxes = self._buckets[at] = [[] for _ in range(self._size)]
            heappush(self._times, at)
        return inboxes

    def put(self, at: int, index: int, message: Message, origin: Origin) -> None:
        """Let ``message`` arrive at component ``index`` at ``at``."""
        self.inboxes(at)[index].append(message)

    def take(self) -> tuple[int, list[Inbox]]:
        """Remove and return the next instant and its inboxes. IndexError when there is none."""
        now = heappop(self._times)
        return now, self._buckets.pop(now)

    def postpone(self, now: int) -> None:
        """Let everything that was due before ``now`` be due at ``now``, in its order."""
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
        """Remove all instants before ``time``; yields (instant, index, batches) of the journal
        batches that were due, for they are in no journal.
        """
        while self._times and self._times[0] < time:
            now, inboxes = self.take()
            for index, inbox in enumerate(inboxes):
                batches: list[Message] = [m for m in inbox if isinstance(m, JournalBatch)]
                if batches:
                    yield now, index, batches


class _Placed(NamedTuple):
    """A message with what decides its place in the inbox."""

    origin: Origin
    message: Any


class SortedAgenda(Agenda):
    """The inboxes of ``size`` components, each sorted by the messages' origins when it is taken."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._waiting: dict[int, list[list[_Placed]]] = {}

    def put(self, at: int, index: int, message: Message, origin: Origin) -> None:
        placed = self._waiting.get(at)
        if placed is None:
            placed = self._waiting[at] = [[] for _ in range(self._size)]
            self.inboxes(at)
        placed[index].append(_Placed(origin, message))

    def peek(self, index: int) -> list[Message]:
        """What component ``index`` gets at the next instant, in no order."""
        placed = self._waiting.get(self._times[0]) if self._times else None
        return [found.message for found in placed[index]] if placed is not None else []

    def replace(self, index: int, old: Message, new: Message) -> None:
        """Put ``new`` into the place of ``old`` at the next instant. ValueError where it is not."""
        placed = self._waiting[self._times[0]][index]
        position = next((i for i, found in enumerate(placed) if found.message is old), -1)
        if position < 0:
            raise ValueError(f"{type(old).__name__} is not due at the next instant")
        placed[position] = _Placed(placed[position].origin, new)

    def drop(self, unwanted: Callable[[int], bool]) -> None:
        """Remove what waits from senders whose rank is ``unwanted``. Its instants remain."""
        for placed in self._waiting.values():
            for found in placed:
                found[:] = [one for one in found if not unwanted(one.origin.rank)]

    def take(self) -> tuple[int, list[Inbox]]:
        now, inboxes = super().take()
        placed = self._waiting.pop(now, None)
        if placed is not None:
            for index, found in enumerate(placed):
                if len(found) > 1:
                    found.sort(key=_origin)
                inboxes[index] += [one.message for one in found]
        return now, inboxes

    def postpone(self, now: int) -> None:
        """Also sorts what was due: after that, time goes by the wall clock, and so do arrivals."""
        for at, placed in self._waiting.items():
            for index, found in enumerate(placed):
                found.sort(key=_origin)
                self._buckets[at][index] += [one.message for one in found]
        self._waiting.clear()
        super().postpone(now)

    def settle(self) -> None:
        """Sort what is due, and let everything later come in the order in which it arrives."""
        self.postpone(self._times[0] if self._times else 0)


def _origin(placed: _Placed) -> Origin:
    return placed.origin
