"""The messages of a link, as JSON: one handshake in each direction, then lists of frames with
control frames between them.

A frame carries its sequence number in the sender's journal, so that a receiver recognises
duplicates, and the sender resends from its journal what the receiver has not got.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Union

import msgspec

from trading.hosting.live_session import OutboundMessage
from trading.messages.audit import JournalEntry
from trading.runtime.journal import kind_of, seq_of
from trading.runtime.replay import message_types
from trading.runtime.routes import DIRECT, NOT_JOURNALED, MessageType, destinations
from trading.units import MILLISECOND

#: Largest message on a link, bytes; it has at most MAX_FRAMES frames.
MAX_BYTES = 8 * 1024 * 1024
MAX_FRAMES = 500
#: Stands for a sequence number: the receiver wants nothing from before the link.
FROM_NOW = -1

_TYPES: dict[str, MessageType] = {kind.__name__: kind for kind in message_types()}


class Handshake(msgspec.Struct, frozen=True):
    """The handshake, which each side sends first.

    ``session`` is the key of the sender's session. ``after`` has, by journal of the receiver, the
    last sequence number that the sender has received. ``refused`` says why there is no link, and is
    empty if there is one. ``fences`` are fencing tokens by account, see
    :mod:`trading.links.fences`. ``virtual`` says whether the sender is in virtual time; then
    ``received`` is the number of the last message that it has received from the other side.
    """

    service: str
    session: str
    instance: str = ""
    after: Mapping[str, int] = {}
    refused: str = ""
    fences: Mapping[str, int] = {}
    virtual: bool = False
    received: int = 0


class ControlFrame(msgspec.Struct, frozen=True):
    """A message between the lists of frames. ``fences`` are the accounts that the sender claims
    from now on, with their fencing tokens, or None where it claims nothing new. ``fenced`` are the
    accounts that the receiver must give up, with the token of their newer owner.
    """

    fences: Mapping[str, int] | None = None
    fenced: Mapping[str, int] = {}


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One message. ``seq`` is its sequence number in the journal of the component ``source``, or 0
    for a message that is not journaled. ``to`` is the receiving component, and ``arrival`` the
    simulated time in microseconds at which it receives the message.
    """

    source: str
    seq: int
    to: str
    message: Union[message_types()]  # type: ignore[valid-type]  # noqa: UP007
    arrival: int


class _Entry(msgspec.Struct, array_like=True):
    seq: int
    time: int
    kind: str
    payload: msgspec.Raw


class _Addressed(msgspec.Struct):
    to: str = ""


encode = msgspec.json.Encoder().encode
decode_control = msgspec.json.Decoder(ControlFrame).decode
decode_handshake = msgspec.json.Decoder(Handshake).decode
decode_frames = msgspec.json.Decoder(list[Frame]).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_addressed = msgspec.json.Decoder(_Addressed).decode


def peer_of(to: str) -> str:
    """Return the service that hosts the component ``to``, for example ``exchange`` for the
    exchange's side of the network, ``network/exchange``.
    """
    return to.rpartition("/")[2]


def component_of(to: str) -> str:
    """Return the name under which its service hosts the component ``to``: ``network`` for
    ``network/exchange``.
    """
    return to.partition("/")[0]


def encode_outgoing(item: OutboundMessage) -> bytes:
    """Return the encoded frame of a message that this service has just sent."""
    seq = 0 if type(item.message) in NOT_JOURNALED else item.seq
    return encode((item.source, seq, component_of(item.to), item.message, item.arrival))


def frames_from_journal(source: str, peer: str, entries: Iterable[JournalEntry]) -> list[bytes]:
    """Return the encoded frames of the messages for ``peer`` among the entries of the journal of
    ``source``.
    """
    frames = []
    for entry in entries:
        kind = _TYPES.get(kind_of(entry.body))
        if kind is None or kind in NOT_JOURNALED:
            continue
        to = peer
        if kind in DIRECT:
            decoded = _decode_entry(entry.body)
            to = _decode_addressed(decoded.payload).to
            if peer_of(to) != peer:
                continue
        elif peer not in destinations(source, kind):
            continue
        else:
            decoded = _decode_entry(entry.body)
        frames.append(
            b'["%s",%d,"%s",%s,%d]'
            % (
                source.encode(),
                decoded.seq,
                component_of(to).encode(),
                bytes(decoded.payload),
                decoded.time + MILLISECOND,
            )
        )
    return frames


def newest_addressed(source: str, entries: Iterable[JournalEntry]) -> dict[str, int]:
    """Return the sequence number of the newest entry for each service that the entries of the
    journal of ``source`` have messages for.
    """
    newest: dict[str, int] = {}
    for entry in entries:
        kind = _TYPES.get(kind_of(entry.body))
        if kind is None or kind in NOT_JOURNALED:
            continue
        if kind in DIRECT:
            payload = _decode_entry(entry.body).payload
            peers: tuple[str, ...] = (peer_of(_decode_addressed(payload).to),)
        else:
            peers = destinations(source, kind)
        if peers:
            newest |= dict.fromkeys(peers, seq_of(entry.body))
    return newest


def join_frames(frames: Sequence[bytes]) -> bytes:
    """Return one message with these encoded frames."""
    return b"[" + b",".join(frames) + b"]"
