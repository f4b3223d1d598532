"""The append-only, hash-chained journal that every component's decisions go to.

An entry's canonical bytes are the JSON array ``[seq,time,"Type",payload]``; its hash is
``sha256(previous hash + bytes)``, the first previous hash being 32 zero bytes. No wall time is in
it, so the same run gives the same journal, byte for byte. What a component received in one step is
one entry of type ``Received`` whose payload is the list of messages; each event that it decided
follows as an entry of its own. Replaying the ``Received`` entries gives everything else again.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from trading.messages import Message
from trading.messages.audit import JournalEntry

GENESIS = bytes(32)
RECEIVED = "Received"

_SEGMENT_ENTRIES = 4096
_encode = msgspec.json.Encoder(order="deterministic").encode


class ChainBroken(ValueError):
    """An entry that is not what its hash says, or out of sequence. ``seq`` names the first."""

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"entry {seq}: {why}")
        self.seq = seq
        self.why = why


class Journal(Protocol):
    """Where a runtime keeps one component's entries; ``head`` is the last hash."""

    source: str
    head: bytes
    length: int

    def append(self, now: int, kind: str, payload: Message | Sequence[Message]) -> bytes:
        """Append one entry and return its hash."""
        ...

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """The entries with a sequence number above ``seq``, oldest first."""
        ...


def encode_entry(seq: int, now: int, kind: str, payload: Message | Sequence[Message]) -> bytes:
    """The canonical bytes of an entry."""
    return _encode((seq, now, kind, payload))


class MemoryJournal:
    """A journal in memory; old entries are kept compressed, so that long runs stay small."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.head = GENESIS
        self.length = 0
        self._segments: list[bytes] = []
        self._bodies: list[bytes] = []
        self._hashes: list[bytes] = []
        self._sealed_hashes: list[bytes] = []

    def append(self, now: int, kind: str, payload: Message | Sequence[Message]) -> bytes:
        """Append one entry and return its hash."""
        seq = self.length + 1
        body = _encode((seq, now, kind, payload))
        self.head = head = sha256(self.head + body).digest()
        self.length = seq
        self._bodies.append(body)
        self._hashes.append(head)
        if len(self._bodies) >= 2 * _SEGMENT_ENTRIES:
            self._seal()
        return head

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """The entries with a sequence number above ``seq``, oldest first."""
        first_open = len(self._segments) * _SEGMENT_ENTRIES
        start = seq
        while start < first_open:
            index, offset = divmod(start, _SEGMENT_ENTRIES)
            bodies = zlib.decompress(self._segments[index]).split(b"\n")
            hashes = self._sealed_hashes[index]
            for i in range(offset, _SEGMENT_ENTRIES):
                yield JournalEntry(bodies[i], hashes[32 * i : 32 * i + 32])
            start = (index + 1) * _SEGMENT_ENTRIES
        for body, head in zip(
            self._bodies[start - first_open :], self._hashes[start - first_open :], strict=True
        ):
            yield JournalEntry(body, head)

    def _seal(self) -> None:
        """Of the open entries the older half: whoever reads along finds the newest unpacked."""
        self._segments.append(zlib.compress(b"\n".join(self._bodies[:_SEGMENT_ENTRIES]), 1))
        self._sealed_hashes.append(b"".join(self._hashes[:_SEGMENT_ENTRIES]))
        del self._bodies[:_SEGMENT_ENTRIES]
        del self._hashes[:_SEGMENT_ENTRIES]


def verify(
    entries: Iterable[JournalEntry], *, after: int = 0, head: bytes = GENESIS
) -> tuple[int, bytes]:
    """Check a chain (or its continuation after ``after``, whose hash was ``head``).

    Returns the last sequence number and hash. Raises ChainBroken at the first entry that is wrong.
    """
    seq = after
    for entry in entries:
        seq += 1
        if not entry.body.startswith(b"[%d," % seq):
            raise ChainBroken(seq, "sequence number is not the next one")
        head = sha256(head + entry.body).digest()
        if head != entry.hash:
            raise ChainBroken(seq, "hash does not match the content")
    return seq, head


def to_ndjson(entry: JournalEntry) -> bytes:
    """One line of a journal file: ``{"hash":"<hex>","entry":[seq,time,"Type",payload]}``."""
    return b'{"hash":"%s","entry":%s}' % (entry.hash.hex().encode(), entry.body)


def from_ndjson(line: bytes) -> JournalEntry:
    """The reverse of :func:`to_ndjson`. ValueError for anything else."""
    if line[:9] != b'{"hash":"' or line[73:84] != b'","entry":[' or line[-2:] != b"]}":
        raise ValueError("not a journal line")
    return JournalEntry(line[83:-1], bytes.fromhex(line[9:73].decode()))


def kind_of(body: bytes) -> str:
    """The entry's type, without decoding its payload."""
    start = body.index(b'"') + 1
    return body[start : body.index(b'"', start)].decode()


def seq_of(body: bytes) -> int:
    """The entry's sequence number, without decoding its payload."""
    return int(body[1 : body.index(b",")])


def time_of(body: bytes) -> int:
    """The entry's simulated time in microseconds, without decoding its payload."""
    start = body.index(b",") + 1
    return int(body[start : body.index(b",", start)])


def decode(body: bytes) -> tuple[int, int, str, Any]:
    """``(seq, time, type, payload)``; the payload as plain dicts and lists."""
    seq, time, kind, payload = msgspec.json.decode(body)
    return seq, time, kind, payload
