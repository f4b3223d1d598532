"""The auditor's own ledger: its results in order, hash-chained as the journals are.

A line is ``[seq,time,"Type",payload]``, and its hash is the SHA-256 of the previous hash and these
bytes, so a tool that verifies a journal verifies the ledger, too. The payload for an entry of a
journal contains that entry and its two hashes.
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

#: Lines that are kept in memory; older ones are dropped, and the chain continues.
MAX_LINES = 10_000

_encode = msgspec.json.Encoder(order="deterministic").encode


class AuditRecord(msgspec.Struct, gc=False):
    """An entry of a journal that matters, with the proof that it belongs there.

    ``entry.hash`` is the SHA-256 of ``previous`` and ``entry.body``. ``message`` is the decoded
    body, and ``time`` is when it was written, in simulated microseconds. ``line`` is its sequence
    number in the ledger, 0 while it has none.
    """

    source: str
    seq: int
    time: int
    kind: str
    message: Message
    entry: JournalEntry
    previous: bytes
    line: int = 0


class ReportSummary(msgspec.Struct, gc=False):
    """The essentials of an :class:`~trading.messages.audit.AuditReport`: the details are in the
    ledger already.
    """

    run_id: str
    complete: bool
    events: int
    root: str
    coverage_ppm: int
    discrepancies: int
    false_alarms: int


Content = AuditRecord | Discrepancy | ReportSummary


class Line(msgspec.Struct, gc=False):
    """One line of the ledger; its body is encoded again whenever it is needed."""

    seq: int
    time: int
    content: Content
    hash: bytes

    def entry(self) -> JournalEntry:
        """Return the line in the form of a journal entry."""
        return JournalEntry(_body(self.seq, self.time, self.content), self.hash)


class AuditLedger:
    """Keeps the newest lines, and the hash chain over all of them.

    ``length`` is the sequence number of the newest line, and ``head`` its hash.
    """

    def __init__(self) -> None:
        self.length = 0
        self.head = GENESIS
        self._lines: deque[Line] = deque()
        self._records: dict[tuple[str, int], AuditRecord] = {}

    @property
    def first(self) -> int:
        """Return the sequence number of the oldest line that is kept."""
        return self.length - len(self._lines) + 1

    def append(self, time: int, content: Content) -> None:
        """Append a line; ``time`` is in simulated microseconds."""
        self.length += 1
        self.head = sha256(self.head + _body(self.length, time, content)).digest()
        self._lines.append(Line(self.length, time, content, self.head))
        if isinstance(content, AuditRecord):
            content.line = self.length
            self._records[content.source, content.seq] = content
        if len(self._lines) > MAX_LINES:
            oldest = self._lines.popleft().content
            if isinstance(oldest, AuditRecord):
                del self._records[oldest.source, oldest.seq]

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """Return the lines above ``seq`` that are kept, oldest first."""
        skipped = max(0, seq - self.first + 1)
        return (line.entry() for line in islice(self._lines, skipped, None))

    def records(self) -> Iterator[AuditRecord]:
        """Return the journal entries whose lines are kept, oldest first."""
        return iter(self._records.values())

    def record(self, source: str, seq: int) -> AuditRecord | None:
        """Return the entry ``seq`` of the journal of ``source``; None if its line is not kept."""
        return self._records.get((source, seq))


def _body(seq: int, time: int, content: Content) -> bytes:
    if not isinstance(content, AuditRecord):
        kind = "AuditReport" if isinstance(content, ReportSummary) else "Discrepancy"
        return _encode((seq, time, kind, content))
    payload: dict[str, Any] = {
        "source": content.source,
        "seq": content.seq,
        "previous": content.previous.hex(),
        "hash": content.entry.hash.hex(),
        "entry": msgspec.Raw(content.entry.body),
    }
    return _encode((seq, time, content.kind, payload))
