"""Messages from one service to another in virtual time, kept until the receiver cannot lose them.

The messages from one service to another in one session are a numbered stream. Since a service's
decisions follow from what it received, a service that recovers gives the same messages the same
numbers again. A receiver that recovers says up to which time it has recovered, and gets everything
again that arrives later.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple


class Frame(NamedTuple):
    """A message to the component ``to``, sent at ``sent_at`` and due at ``arrival``, both in
    simulated microseconds.
    """

    sent_at: int
    arrival: int
    to: str
    message: Any


class Stream:
    """The messages to one other service.

    ``last`` is the number of the newest message, 0 before the first. ``released`` is the number of
    the last that may be sent; later ones follow from something that could still be lost.
    ``forgotten_until`` is the latest arrival among the messages that are no longer kept.
    """

    def __init__(self) -> None:
        self.last = 0
        self.released = 0
        self.forgotten_until = 0
        self._kept: deque[Frame] = deque()

    @property
    def first_kept(self) -> int:
        """The number of the oldest message that is kept; ``last + 1`` if none is."""
        return self.last - len(self._kept) + 1

    def put(self, frame: Frame) -> None:
        """Append a message to the stream."""
        self.last += 1
        self._kept.append(frame)

    def release(self) -> None:
        """Allow all messages so far to be sent."""
        self.released = self.last

    def after(self, number: int) -> Iterator[Frame]:
        """Yield the kept messages with numbers above ``number``, oldest first."""
        return islice(self._kept, max(0, number + 1 - self.first_kept), None)

    def forget(self, durable_until: int) -> None:
        """Drop the messages that arrive at or before ``durable_until``, the time up to which the
        receiver's journal is durable. A message that arrives later keeps all messages after it.
        """
        frames = self._kept
        while frames and frames[0].arrival <= durable_until:
            self.forgotten_until = max(self.forgotten_until, frames.popleft().arrival)
