"""The interface of a component: a deterministic state machine that a runtime hosts."""

from collections.abc import Sequence
from typing import Any, Protocol

from trading.messages import Message
from trading.messages.market import Ping, Pong


class Component(Protocol):
    """A state machine ``on(message, now) -> messages`` without I/O, wall clock or global
    randomness.

    The same messages at the same times give the same answers and the same state, on every machine
    and for every PYTHONHASHSEED. Therefore no component iterates over a set, or reads a hash or
    an id.
    """

    name: str

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Handle one message at simulated time ``now`` (microseconds, never decreasing) and return
        messages to send; :class:`~trading.messages.Wake` and :class:`~trading.messages.Delayed`
        are requests to the runtime. Never raises because of the content of a message.
        """
        ...

    def state(self) -> Any:
        """Return all that decides future answers, as dicts with string keys, lists, ints, strings,
        bools and None only. Tests of replay and snapshots compare it.
        """
        ...


def ignored_types(component: Component) -> frozenset[type[Message]]:
    """Return the types of messages in the component's attribute ``ignores``; none if it has no
    such attribute. No runtime delivers them to it, so its journal does not contain them.
    """
    types: frozenset[type[Message]] = getattr(component, "ignores", frozenset())
    return types


def answer_ping(name: str, message: Ping, now: int) -> Pong:
    """Return the answer of every reachable service to a :class:`Ping`."""
    return Pong(to=message.source, source=name, nonce=message.nonce, event_time=now)
