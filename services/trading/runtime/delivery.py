"""How the kernel delivers one type of one component's messages, and the types of its callbacks."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.audit import BatchRead, JournalBatch

#: Called with (message, simulated time in microseconds) when a component sends a message.
Tap = Callable[[Any, int], None]
#: Called with (messages, simulated time in microseconds) when a component receives messages.
InboxObserver = Callable[[Sequence[Message], int], None]
#: Called with (source, destination, message, arrival) for a message to another process.
Outbound = Callable[[str, str, Any, int], None]


class Route(msgspec.Struct, gc=False):
    """Says what happens to one type of one component's messages.

    ``journaled``: they are decisions, which go to the sender's journal. ``direct``: each names its
    receiver. ``to`` has the indices of hosted receivers, ``remote`` the names of others, and
    ``lost`` counts the receivers that a partition cuts off.
    """

    journaled: bool
    direct: bool
    to: tuple[int, ...]
    remote: tuple[str, ...]
    lost: int
    tap: Tap | None


def with_read_receipts(inbox: Iterable[Message]) -> list[Message]:
    """Return ``inbox`` with a receipt in the place of each batch of journal entries.

    The store of an auditor that is a process of its own contains the entries already, so its
    journal only says how far it has read.
    """
    return [
        BatchRead(m.source, m.after, len(m.entries)) if isinstance(m, JournalBatch) else m
        for m in inbox
    ]
