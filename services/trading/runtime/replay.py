"""Rebuilds a component's state from its journal, by handing it again what it received. A component
is deterministic, so its journal's ``Received`` entries are enough.
"""

from collections.abc import Iterable, Sequence
from typing import Union

import msgspec

from trading.messages import (
    Message,
    Start,
    Wake,
    audit,
    chaos,
    custody,
    market,
    monitors,
    orders,
    risk,
    strategy,
)
from trading.messages.audit import JournalEntry
from trading.messages.base import Delivered
from trading.runtime.component import Component
from trading.runtime.journal import RECEIVED, kind_of


def message_types() -> tuple[type[Message], ...]:
    """Return the types of all messages that a component can receive."""
    modules = (market, orders, custody, risk, strategy, chaos, audit, monitors)
    types: list[type[Message]] = [Start, Wake, Delivered]
    for module in modules:
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Message)
                and value.__module__ == module.__name__
            ):
                types.append(value)
    return tuple(types)


class _Received(msgspec.Struct, array_like=True):
    seq: int
    time: int
    kind: str
    messages: msgspec.Raw


_entry = msgspec.json.Decoder(_Received)
_messages = msgspec.json.Decoder(list[Union[message_types()]])  # type: ignore[misc]  # noqa: UP007


def decode_received(entry: JournalEntry) -> tuple[int, list[Message]]:
    """Return ``(time, messages)`` of one ``Received`` entry; the time is in simulated microseconds.
    Raises msgspec.DecodeError for anything else.
    """
    decoded = _entry.decode(entry.body)
    return decoded.time, _messages.decode(decoded.messages)


def replay(entries: Iterable[JournalEntry], component: Component) -> list[Sequence[Message]]:
    """Hand ``component`` what the entries say it received, and return its answers in order."""
    answers: list[Sequence[Message]] = []
    for entry in entries:
        if kind_of(entry.body) == RECEIVED:
            now, messages = decode_received(entry)
            answers.extend(component.on(message, now) for message in messages)
    return answers
