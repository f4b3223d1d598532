"""The auditor's own ledger: what it has established, hash-chained as the journals are.

A line is ``[seq,time,"Type",payload]`` with ``sha256(previous hash + bytes)``, so what verifies a
journal verifies the ledger. The payload of a journal's entry is that entry, with its two hashes.
"""

from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.audit import Discrepancy, JournalEntry
from trading.runtime.journal import GENESIS

#: Lines kept in memory; what is older is forgotten, and the chain goes on.
MAX_LINES = 10_000

_encode = msgspec.json.Encoder(order="deterministic").encode


class Record(msgspec.Struct, gc=False):
    """An entry of a journal that matters, and what proves it: ``entry.hash`` is the SHA-256 of
    ``previous`` and ``entry.body``. ``message`` is what the body says, ``time`` when it was
    written; ``line``: its sequence number in the ledger, 0 until it has one.
    """

    source: str
    seq: int
    time: int
    kind: str
    message: Message
    entry: JournalEntry
    previous: bytes
    line: int = 0


class Answer(msgspec.Struct, gc=False):
    """What an :class:`~trading.messages.audit.AuditReport` said, without the details that the
    ledger has already.
    """

    run_id: str
    complete: bool
    events: int
    root: str
    coverage_ppm: int
    discrepancies: int
    false_alarms: int


What = Record | Discrepancy | Answer


class Line(msgspec.Struct, gc=False):
    """One line; its body is encoded again whenever it is asked for."""

    seq: int
    time: int
    what: What
    hash: bytes

    def entry(self) -> JournalEntry:
        return JournalEntry(_body(self.seq, self.time, self.what), self.hash)


class Ledger:
    """``length`` and ``head`` are the chain's; ``first`` is the oldest line that is still kept."""

    def __init__(self) -> None:
        self.length = 0
        self.head = GENESIS
        self._lines: deque[Line] = deque()
        self._records: dict[tuple[str, int], Record] = {}

    @property
    def first(self) -> int:
        return self.length - len(self._lines) + 1

    def append(self, time: int, what: What) -> None:
        self.length += 1
        self.head = sha256(self.head + _body(self.length, time, what)).digest()
        self._lines.append(Line(self.length, time, what, self.head))
        if isinstance(what, Record):
            what.line = self.length
            self._records[what.source, what.seq] = what
        if len(self._lines) > MAX_LINES:
            old = self._lines.popleft().what
            if isinstance(old, Record):
                del self._records[old.source, old.seq]

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """The lines above ``seq`` that are kept, oldest first."""
        skipped = max(0, seq - self.first + 1)
        return (line.entry() for line in islice(self._lines, skipped, None))

    def records(self) -> Iterator[Record]:
        """Of the journals' entries, oldest first."""
        return iter(self._records.values())

    def record(self, source: str, seq: int) -> Record | None:
        return self._records.get((source, seq))


def _body(seq: int, time: int, what: What) -> bytes:
    if not isinstance(what, Record):
        kind = "AuditReport" if isinstance(what, Answer) else "Discrepancy"
        return _encode((seq, time, kind, what))
    payload: dict[str, Any] = {
        "source": what.source,
        "seq": what.seq,
        "previous": what.previous.hex(),
        "hash": what.entry.hash.hex(),
        "entry": msgspec.Raw(what.entry.body),
    }
    return _encode((seq, time, what.kind, payload))
