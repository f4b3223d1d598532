"""What a service has sent to others in virtual time, until the receiver cannot lose it any more.

The messages from one service to another in one session are a numbered stream. Since a service's
decisions follow from what it received, it gives the same messages the same numbers again when it
comes back from its journal. A receiver that comes back says up to when it has come back; it gets
everything again that arrives later.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple


class Frame(NamedTuple):
    """One message on its way: sent at ``sent_at``, to arrive at ``arrival`` (microseconds of
    simulated time) at the component ``to``.
    """

    sent_at: int
    arrival: int
    to: str
    message: Any


class Stream:
    """The messages to one other service. ``last``: number of the newest, 0 before the first.
    ``released``: number of the last that may be sent; those behind it follow from something that
    could be lost still. ``forgotten_until``: latest arrival of those that are no longer kept.
    """

    def __init__(self) -> None:
        self.last = 0
        self.released = 0
        self.forgotten_until = 0
        self._kept: deque[Frame] = deque()

    @property
    def first_kept(self) -> int:
        """Number of the oldest message that is kept; ``last + 1`` when none is."""
        return self.last - len(self._kept) + 1

    def put(self, frame: Frame) -> None:
        """Add a message to the end."""
        self.last += 1
        self._kept.append(frame)

    def release(self) -> None:
        """Let everything so far be sent."""
        self.released = self.last

    def after(self, number: int) -> Iterator[Frame]:
        """The kept messages with a number above ``number``, oldest first."""
        return islice(self._kept, max(0, number + 1 - self.first_kept), None)

    def forget(self, durable_until: int) -> None:
        """Drop what arrived up to a time at which the receiver's journal is durable. A message
        that arrives late keeps those behind it.
        """
        kept = self._kept
        while kept and kept[0].arrival <= durable_until:
            self.forgotten_until = max(self.forgotten_until, kept.popleft().arrival)
