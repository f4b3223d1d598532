"""What becomes of one type of one component's messages, and who looks on."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.audit import BatchRead, JournalBatch

Tap = Callable[[Any, int], None]
#: (source, destination, message, arrival) of what goes to a component that is elsewhere.
Outbound = Callable[[str, str, Any, int], None]


class Route(msgspec.Struct, gc=False):
    """What happens to one type of one component's messages: ``to`` are the indices of hosted
    receivers, ``away`` the names of others, ``lost`` how many receivers a partition cuts off.
    """

    journaled: bool
    direct: bool
    to: tuple[int, ...]
    away: tuple[str, ...]
    lost: int
    tap: Tap | None


def as_read(inbox: Iterable[Message]) -> list[Message]:
    """The auditor keeps the journals that it reads itself; its own says how far it has read."""
    return [
        BatchRead(m.source, m.after, len(m.entries)) if isinstance(m, JournalBatch) else m
        for m in inbox
    ]
