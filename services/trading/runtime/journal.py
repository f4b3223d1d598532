"""The append-only, hash-chained journal of what a component received and decided.

An entry's canonical bytes are the JSON array ``[seq,time,"Type",payload]``; its hash is
``sha256(previous hash + bytes)``, where the first entry uses 32 zero bytes as the previous hash. An
entry contains no wall time, so the same run gives the same journal, byte for byte. What a component
received in one step is one entry of type ``Received`` whose payload is the list of messages; each
event that it decided follows as an entry of its own. A replay of the ``Received`` entries gives all
other entries again.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from trading.messages import Message
from trading.messages.audit import JournalEntry

#: The hash before the first entry.
GENESIS = bytes(32)
#: Type of the entries that contain what a component received.
RECEIVED = "Received"

_SEGMENT_ENTRIES = 4096
_encode = msgspec.json.Encoder(order="deterministic").encode


class ChainBroken(ValueError):
    """Raised for a journal with an entry that does not match its hash or is out of sequence.
    ``seq`` is the sequence number of the first such entry, and ``why`` says what is wrong.
    """

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"entry {seq}: {why}")
        self.seq = seq
        self.why = why


class Journal(Protocol):
    """Stores the entries of one component: ``source`` is its name, ``length`` the number of
    entries, and ``head`` the hash of the last one.
    """

    source: str
    head: bytes
    length: int

    def append(self, now: int, kind: str, payload: Message | Sequence[Message]) -> bytes:
        """Append one entry at the simulated time ``now`` (microseconds) and return its hash."""
        ...

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """Yield the entries with a sequence number above ``seq``, oldest first."""
        ...


def encode_entry(seq: int, now: int, kind: str, payload: Message | Sequence[Message]) -> bytes:
    """Return the canonical bytes of an entry."""
    return _encode((seq, now, kind, payload))


class MemoryJournal:
    """Stores a journal in memory, with old entries compressed so that long runs stay small."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.head = GENESIS
        self.length = 0
        self._segments: list[bytes] = []
        self._bodies: list[bytes] = []
        self._hashes: list[bytes] = []
        self._sealed_hashes: list[bytes] = []

    def append(self, now: int, kind: str, payload: Message | Sequence[Message]) -> bytes:
        """Append one entry at the simulated time ``now`` (microseconds) and return its hash."""
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
        """Yield the entries with a sequence number above ``seq``, oldest first."""
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
        """Compress the older half of the open entries. The newer half stays uncompressed for those
        who follow the journal's end.
        """
        self._segments.append(zlib.compress(b"\n".join(self._bodies[:_SEGMENT_ENTRIES]), 1))
        self._sealed_hashes.append(b"".join(self._hashes[:_SEGMENT_ENTRIES]))
        del self._bodies[:_SEGMENT_ENTRIES]
        del self._hashes[:_SEGMENT_ENTRIES]


class DiscardingJournal:
    """Discards all entries, for a run of which nobody reads the journals."""

    head = GENESIS
    length = 0

    def __init__(self, source: str) -> None:
        self.source = source

    def append(self, now: int, kind: str, payload: Message | Sequence[Message]) -> bytes:
        """Return the hash before the first entry."""
        return GENESIS

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """Yield nothing."""
        return iter(())


def verify(
    entries: Iterable[JournalEntry], *, after: int = 0, head: bytes = GENESIS
) -> tuple[int, bytes]:
    """Check a hash chain, or its continuation after the entry number ``after`` with the hash
    ``head``, and return the last sequence number and hash. Raises ChainBroken at the first entry
    that is wrong.
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
    """Return the line of a journal file: ``{"hash":"<hex>","entry":[seq,time,"Type",payload]}``."""
    return b'{"hash":"%s","entry":%s}' % (entry.hash.hex().encode(), entry.body)


def from_ndjson(line: bytes) -> JournalEntry:
    """Parse a line of :func:`to_ndjson`. Raises ValueError for anything else."""
    if line[:9] != b'{"hash":"' or line[73:84] != b'","entry":[' or line[-2:] != b"]}":
        raise ValueError("not a journal line")
    return JournalEntry(line[83:-1], bytes.fromhex(line[9:73].decode()))


def kind_of(body: bytes) -> str:
    """Return the entry's type, without decoding its payload."""
    start = body.index(b'"') + 1
    return body[start : body.index(b'"', start)].decode()


def seq_of(body: bytes) -> int:
    """Return the entry's sequence number, without decoding its payload."""
    return int(body[1 : body.index(b",")])


def time_of(body: bytes) -> int:
    """Return the entry's simulated time in microseconds, without decoding its payload."""
    start = body.index(b",") + 1
    return int(body[start : body.index(b",", start)])


def decode(body: bytes) -> tuple[int, int, str, Any]:
    """Return ``(seq, time, type, payload)``, with the payload as plain dicts and lists."""
    seq, time, kind, payload = msgspec.json.decode(body)
    return seq, time, kind, payload
