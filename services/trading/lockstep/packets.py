"""What goes over a link in virtual time: numbered messages, and the words by which time passes."""

from collections.abc import Mapping
from typing import Union

import msgspec

from trading.runtime.replay import message_types


class Grant(msgspec.Struct, frozen=True, tag="grant"):
    """From the time keeper: do everything up to and including ``until``, once ``expected`` has
    been received (sender -> number of its last message). ``until`` is 0 where something is to be
    received only, and earlier than before where something is to be done again. ``inputs``: let
    what came from outside arrive at ``until``.
    """

    number: int
    until: int
    expected: Mapping[str, int] = {}
    inputs: bool = False


class Report(msgspec.Struct, frozen=True, tag="report"):
    """To the time keeper: what the grant with that number says is done. ``next_at``: when
    something is due next, -1: never. ``sent``: receiver -> number of the last message to it, and
    when the earliest of the new ones arrives. ``inputs``: something from outside waits.
    """

    number: int
    next_at: int
    sent: Mapping[str, tuple[int, int]] = {}
    inputs: bool = False


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """To the time keeper, first on every connection: where this service stands. ``sent``: receiver
    -> number of the last message. ``problem``: why it cannot go on with this run; empty: it can.
    """

    done: int
    next_at: int
    sent: Mapping[str, int] = {}
    inputs: bool = False
    problem: str = ""


class Wish(msgspec.Struct, frozen=True, tag="wish"):
    """To the time keeper: something from outside waits for a moment to arrive at."""


class Dismissed(msgspec.Struct, frozen=True, tag="dismissed"):
    """From the time keeper: the instance ``name`` takes part in the run no more. What it has sent
    and the receiver has not handled yet is lost; what it says later is said by nobody.
    """

    name: str


class Separate(msgspec.Struct, frozen=True, tag="separate"):
    """From the time keeper, while time stands still: hold connections to none of these ``peers``
    from now on, and to all others.
    """

    peers: tuple[str, ...] = ()


class Try(msgspec.Struct, frozen=True, tag="try"):
    """From the time keeper, while time stands still: try a connection to ``target``."""

    target: str
    number: int


class Tried(msgspec.Struct, frozen=True, tag="tried"):
    """The answer. ``fresh``: a new connection was possible; ``held``: the link is up."""

    number: int
    fresh: bool
    held: bool


Word = Grant | Report | Joined | Wish | Dismissed | Separate | Try | Tried


class Resume(msgspec.Struct, frozen=True):
    """First on every connection: the next message has number ``after + 1``. Those before it are
    not kept; the last of them arrived at ``forgotten_until``.
    """

    after: int
    forgotten_until: int


class SentFrame(msgspec.Struct, frozen=True, array_like=True):
    """One message: see :class:`trading.hosting.streams.Frame`."""

    sent_at: int
    arrival: int
    to: str
    message: Union[message_types()]  # type: ignore[valid-type]  # noqa: UP007


class Packet(msgspec.Struct, frozen=True, array_like=True):
    """One WebSocket message. ``first``: number of the first of ``frames``; ``durable_until``: the
    sender's journal is durable up to this simulated time.
    """

    first: int
    frames: list[SentFrame] = []
    words: list[Word] = []
    durable_until: int = 0
    resume: Resume | None = None


encode_packet = msgspec.json.Encoder().encode
decode_packet = msgspec.json.Decoder(Packet).decode
