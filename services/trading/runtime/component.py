"""What a component is: a deterministic state machine, hosted by a runtime."""

from collections.abc import Sequence
from typing import Any, Protocol

from trading.messages import Message
from trading.messages.market import Ping, Pong


class Component(Protocol):
    """``on(message, now) -> messages``: no I/O, no wall clock, no global randomness.

    Same messages at the same times, same answers and same state, on every machine and for every
    PYTHONHASHSEED: no component iterates over a set, or reads a hash or an id.
    """

    name: str

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Take one message at simulated time ``now`` (microseconds, never going back) and answer
        with messages; :class:`~trading.messages.Wake` and :class:`~trading.messages.Delayed` are
        for the runtime. Never raises because of what a message says.
        """
        ...

    def state(self) -> Any:
        """All that decides future answers, as dicts with string keys, lists, ints, strings, bools
        and None only: what replay and snapshot tests compare.
        """
        ...


def ignored(component: Component) -> frozenset[type[Message]]:
    """The kinds of messages that a component says, in ``ignores``, never to look at: no runtime
    brings them to it, so that its journal does not say that it received them.
    """
    kinds: frozenset[type[Message]] = getattr(component, "ignores", frozenset())
    return kinds


def answer_ping(name: str, message: Ping, now: int) -> Pong:
    """What every reachable service says to a :class:`Ping`."""
    return Pong(to=message.source, source=name, nonce=message.nonce, event_time=now)
