"""What goes over a link: a greeting each, then lists of frames, as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Union

import msgspec

from trading.hosting.live import Outward
from trading.messages.audit import JournalEntry
from trading.runtime.journal import kind_of, seq_of
from trading.runtime.replay import message_types
from trading.runtime.routes import DIRECT, NOT_JOURNALED, MessageType, destinations
from trading.units import MILLISECOND

#: Largest message on a link, bytes; its frames are at most FRAMES.
MAX_BYTES = 8 * 1024 * 1024
FRAMES = 500
#: Instead of a sequence number: nothing from before.
FROM_NOW = -1

_TYPES: dict[str, MessageType] = {kind.__name__: kind for kind in message_types()}


class Greeting(msgspec.Struct, frozen=True):
    """First words of either side. ``session``: its key; ``after``: by journal, up to where the
    sender has heard; ``refused``: why there is no link; ``fences``: by account, see
    :mod:`trading.links.fences`. ``virtual``: does time wait for everybody; then ``received`` is
    the number of the last message that the sender of the greeting has.
    """

    service: str
    session: str
    instance: str = ""
    after: Mapping[str, int] = {}
    refused: str = ""
    fences: Mapping[str, int] = {}
    virtual: bool = False
    received: int = 0


class Note(msgspec.Struct, frozen=True):
    """Between the frames. ``fences``: what the sender claims now; ``fenced``: what it must let go
    of, for somebody newer has it.
    """

    fences: Mapping[str, int] | None = None
    fenced: Mapping[str, int] = {}


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """``source``: whose journal ``seq`` counts in (0: nothing that a journal has); ``to``: the
    component; ``arrival``: simulated time.
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
decode_note = msgspec.json.Decoder(Note).decode
decode_greeting = msgspec.json.Decoder(Greeting).decode
decode_frames = msgspec.json.Decoder(list[Frame]).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_addressed = msgspec.json.Decoder(_Addressed).decode


def peer_of(to: str) -> str:
    """The service that hosts the component ``to``: ``network/exchange`` is the exchange's side."""
    return to.rpartition("/")[2]


def component_of(to: str) -> str:
    return to.partition("/")[0]


def live(item: Outward) -> bytes:
    """A frame of what has just been decided."""
    seq = 0 if type(item.message) in NOT_JOURNALED else item.seq
    return encode((item.source, seq, component_of(item.to), item.message, item.arrival))


def kept(source: str, peer: str, entries: Iterable[JournalEntry]) -> list[bytes]:
    """Frames of what a journal has for ``peer``."""
    found = []
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
        found.append(
            b'["%s",%d,"%s",%s,%d]'
            % (
                source.encode(),
                decoded.seq,
                component_of(to).encode(),
                bytes(decoded.payload),
                decoded.time + MILLISECOND,
            )
        )
    return found


def addressed(source: str, entries: Iterable[JournalEntry]) -> dict[str, int]:
    """Whom the entries of a journal are for: by service, the sequence number of the newest."""
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


def joined(frames: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(frames) + b"]"
