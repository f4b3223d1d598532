"""The packets of a link in virtual time: numbered messages, and the control messages between the
time keeper and the participants.

Times are simulated microseconds. The tags and the order of the fields are the wire format.
"""

from collections.abc import Mapping
from typing import Union

import msgspec

from trading.runtime.replay import message_types


class Grant(msgspec.Struct, frozen=True, tag="grant"):
    """From the time keeper: permission to handle everything up to and including ``until``.

    ``number`` identifies the grant. The participant first waits for the messages in ``expected``,
    which has the number of the last message by sender. ``until`` is 0 where it shall only receive
    these, and earlier than before where it must repeat instants after a restart. With ``inputs``,
    what came from outside arrives at ``until``.
    """

    number: int
    until: int
    expected: Mapping[str, int] = {}
    inputs: bool = False


class Report(msgspec.Struct, frozen=True, tag="report"):
    """To the time keeper: the grant with that number is completed.

    ``next_at`` is the next instant at which the participant has something to do, or -1 if there is
    none. ``sent`` has, by receiver, the number of the last message to it and the arrival of the
    earliest new one. ``inputs`` says whether something from outside waits for an instant.
    """

    number: int
    next_at: int
    sent: Mapping[str, tuple[int, int]] = {}
    inputs: bool = False


class Joined(msgspec.Struct, frozen=True, tag="joined"):
    """To the time keeper, first on every connection: how far this participant is.

    ``done`` is the last instant that it has handled; ``next_at`` and ``inputs`` are as in
    :class:`Report`. ``sent`` has the number of the last message by receiver. ``problem`` says why
    the participant cannot continue the run, and is empty if it can.
    """

    done: int
    next_at: int
    sent: Mapping[str, int] = {}
    inputs: bool = False
    problem: str = ""


class Wish(msgspec.Struct, frozen=True, tag="wish"):
    """To the time keeper: something from outside waits for an instant to arrive at."""


class Dismissed(msgspec.Struct, frozen=True, tag="dismissed"):
    """From the time keeper: the instance ``name`` does not take part in the run any more. Its
    messages that are not handled yet are lost, and later ones are ignored.
    """

    name: str


class Separate(msgspec.Struct, frozen=True, tag="separate"):
    """From the time keeper, while time stands still: close the connections to these ``peers`` and
    open none, until another such message; connections to all others are allowed.
    """

    peers: tuple[str, ...] = ()


class Try(msgspec.Struct, frozen=True, tag="try"):
    """From the time keeper, while time stands still: try to connect to the service ``target``."""

    target: str
    number: int


class Tried(msgspec.Struct, frozen=True, tag="tried"):
    """The response to a :class:`Try`: whether a ``fresh`` connection succeeded, and whether the
    link that was ``held`` open still works.
    """

    number: int
    fresh: bool
    held: bool


#: A control message.
Control = Grant | Report | Joined | Wish | Dismissed | Separate | Try | Tried


class Resume(msgspec.Struct, frozen=True):
    """First on every connection: the next message has the number ``after + 1``. The sender does not
    store earlier ones any more; the last of these arrived at ``forgotten_until``.
    """

    after: int
    forgotten_until: int


class SentFrame(msgspec.Struct, frozen=True, array_like=True):
    """One message, as :class:`trading.hosting.streams.Frame` describes it."""

    sent_at: int
    arrival: int
    to: str
    message: Union[message_types()]  # type: ignore[valid-type]  # noqa: UP007


class Packet(msgspec.Struct, frozen=True, array_like=True):
    """One WebSocket message: ``frames``, of which the first has the number ``first``, followed by
    ``controls``. The sender's journal is durable up to ``durable_until``. The first packet on a
    connection has a ``resume``.
    """

    first: int
    frames: list[SentFrame] = []
    controls: list[Control] = []
    durable_until: int = 0
    resume: Resume | None = None


encode_packet = msgspec.json.Encoder().encode
decode_packet = msgspec.json.Decoder(Packet).decode
