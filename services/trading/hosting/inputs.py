"""What arrives at a host from outside its process, and the errors when it cannot be accepted."""

import asyncio
from typing import NamedTuple, Protocol

from trading.messages import Message


class Unavailable(Exception):
    """The journal cannot be written now, so that nothing can be acknowledged."""


class BacklogFull(Unavailable):
    """An input was not accepted, since too many entries wait for the store already."""


class InboundMessage(NamedTuple):
    """A message from another process for the component ``to``.

    ``arrival`` is in simulated microseconds. ``seq`` is the number of the message's entry in the
    sender's journal, 0 where it has none. ``message`` is None where no component here is the
    receiver; then only ``seq`` counts.
    """

    to: str
    message: Message | None
    arrival: int
    seq: int


class LockstepDriver(Protocol):
    """Decides how far time advances in a lockstep session of this process."""

    def on_input(self) -> None:
        """Handle that an input waits for its arrival time."""
        ...

    def caught_up(self, before: int) -> bool:
        """Return whether everything from before a time was processed again after a restart."""
        ...


class Ticket:
    """A message that was sent to the component ``to`` from outside.

    ``at`` is the simulated time of its arrival; None until that is decided. The event ``placed`` is
    set when it is, or when it never will be, because another session was opened.
    """

    def __init__(self, to: str, message: Message, at: int | None = None) -> None:
        self.to = to
        self.message = message
        self.at = at
        self.placed = asyncio.Event()
        if at is not None:
            self.placed.set()

    def place(self, at: int) -> None:
        """Set the time of arrival and wake those who wait for it."""
        self.at = at
        self.placed.set()
