"""What comes to a host from elsewhere, and what it says when it cannot take it."""

import asyncio
from typing import NamedTuple

from trading.messages import Message


class Unavailable(Exception):
    """The journal cannot be written now: nothing can be acknowledged."""


class Refused(Unavailable):
    """Nothing was taken: too much waits for the journal already."""


class Arrived(NamedTuple):
    """One message from another process. ``seq``: of the sender's journal, 0 where it has none;
    ``message`` None: it is for nobody here.
    """

    to: str
    message: Message | None
    arrival: int
    seq: int


class Ticket:
    """What was sent from outside. ``at``: simulated time of its arrival, once that is known."""

    def __init__(self, to: str, message: Message, at: int | None = None) -> None:
        self.to = to
        self.message = message
        self.at = at
        self.placed = asyncio.Event()
        if at is not None:
            self.placed.set()

    def place(self, at: int) -> None:
        self.at = at
        self.placed.set()
