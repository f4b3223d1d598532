"""The entries of all journals that matter, in one order: by time, service and sequence number.

Journals arrive one by one, in batches of any size. An entry is appended to the ledger once the
journals of all services have been read past its time. So the order of the ledger, and with it its
hashes, depends on the journals alone and not on the order of their arrival.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import msgspec

from trading.audit_correlator.ledger import AuditLedger, AuditRecord, ReportSummary
from trading.messages import Message
from trading.messages.audit import AuditReport, Discrepancy, JournalEntry
from trading.messages.chaos import (
    FaultApplied,
    FaultEnded,
    FaultInjected,
    FaultRecovered,
    InjectFault,
    PhaseChanged,
    RecoverFault,
)
from trading.messages.orders import KillSwitchChanged, SetKillSwitch
from trading.messages.risk import AlertAcknowledged, AlertFired, AlertResolved, BreakerChanged
from trading.runtime.journal import GENESIS, time_of
from trading.topology import AUDIT_CORRELATOR, EXCHANGE, RISK_MONITOR, SERVICES, TEST_COORDINATOR

#: The types of entries that matter: in every journal, and in the journal of one service.
EVERYWHERE: tuple[type[Message], ...] = (FaultApplied, FaultEnded)
OWN: dict[str, tuple[type[Message], ...]] = {
    EXCHANGE: (KillSwitchChanged,),
    RISK_MONITOR: (AlertFired, AlertResolved, AlertAcknowledged, BreakerChanged, SetKillSwitch),
    TEST_COORDINATOR: (InjectFault, RecoverFault, FaultInjected, FaultRecovered, PhaseChanged),
}

#: If more entries than this wait for a journal that stays behind, the oldest ones wait no longer.
MAX_WAITING = 2_000

_AWAITED = tuple(name for name in SERVICES if name != AUDIT_CORRELATOR)
_RANK = {name: rank for rank, name in enumerate(_AWAITED)}

#: Sort key: time, rank, service, sequence number, and a counter that makes the key unique.
_Key = tuple[int, int, str, int, int]


class AuditTimeline:
    """Collects journal entries and discrepancies, and appends them to the ledger in order.

    ``read_to`` has, for each journal, the time of the newest entry that was read, in simulated
    microseconds. ``report`` is the newest audit report, None before the first.
    """

    def __init__(self) -> None:
        self.ledger = AuditLedger()
        self.read_to: dict[str, int] = {}
        self.report: AuditReport | None = None
        self._heads: dict[str, bytes] = {}
        self._waiting: list[tuple[_Key, AuditRecord | Discrepancy]] = []
        self._partitions: dict[tuple[str, str], int] = {}
        self._ended: dict[tuple[str, str], None] = {}
        self._broken: dict[str, None] = {}
        self._reported: dict[tuple[Any, ...], None] = {}
        self._count = 0

    def add(self, source: str, entries: Sequence[JournalEntry], index: int, decoded: Any) -> None:
        """Add ``entries[index]`` of the journal of ``source``; ``decoded`` is what it contains."""
        previous = entries[index - 1].hash if index else self._heads.get(source, GENESIS)
        message: Message = decoded.payload
        record = AuditRecord(
            source, decoded.seq, decoded.time, decoded.kind, message, entries[index], previous
        )
        self._wait(record.time, source, record.seq, record)
        if isinstance(message, InjectFault) and message.to not in _RANK:
            self._partitions[message.to, message.fault_id] = record.time
        elif isinstance(message, FaultEnded) and source not in _RANK:
            self._ended[source, message.fault_id] = None

    def mark_read(self, source: str, last: JournalEntry) -> None:
        """Record that the journal of ``source`` has been read up to the entry ``last``."""
        self._heads[source] = last.hash
        self.read_to[source] = time_of(last.body)

    def add_discrepancy(
        self, discrepancy: Discrepancy, source: str, seq: int, time: int = 0
    ) -> None:
        """Add a discrepancy, unless it has been added before.

        ``time`` is that of the invalid entry; without one, the time up to which ``source`` has been
        read is used.
        """
        key = msgspec.structs.astuple(discrepancy)
        if key not in self._reported:
            self._reported[key] = None
            self._wait(time or self.read_to.get(source, 0), source, seq, discrepancy)

    def stop_waiting_for(self, source: str) -> None:
        """Stop waiting for a journal that is broken: nothing more will be read from it."""
        self._broken[source] = None

    def flush(self) -> None:
        """Append to the ledger what no entry that is still to be read can precede."""
        until = self._complete_to()
        waiting = self._waiting
        while waiting and (waiting[0][0][0] < until or len(waiting) > MAX_WAITING):
            (time, *_), content = heappop(waiting)
            self.ledger.append(time, content)

    def close(self, report: AuditReport, heads: dict[str, int]) -> None:
        """Append an audit report to the ledger, after everything that it is based on: all
        discrepancies, and the journals up to ``heads``.
        """
        self.report = report
        end = max(self.read_to.values(), default=0)
        for discrepancy in report.discrepancies:
            self.add_discrepancy(discrepancy, discrepancy.where.partition("/")[0], 0, end)
        later: list[tuple[_Key, AuditRecord | Discrepancy]] = []
        while self._waiting:
            key, content = heappop(self._waiting)
            if isinstance(content, AuditRecord) and content.seq > heads.get(content.source, 0):
                later.append((key, content))
            else:
                self.ledger.append(key[0], content)
        self._waiting = later
        self._partitions.clear()
        answer = ReportSummary(
            report.run_id,
            report.complete,
            report.events,
            report.root,
            report.coverage_ppm,
            len(report.discrepancies),
            report.false_alarms,
        )
        self.ledger.append(end, answer)

    @property
    def waiting(self) -> int:
        """Return how many entries and discrepancies are not in the ledger yet."""
        return len(self._waiting)

    def records(self) -> list[AuditRecord]:
        """Return the journal entries in the order of the ledger; those that wait come last."""
        waiting = [content for _, content in sorted(self._waiting, key=lambda item: item[0])]
        return [*self.ledger.records(), *(w for w in waiting if isinstance(w, AuditRecord))]

    def record(self, source: str, seq: int) -> AuditRecord | None:
        """Return the entry ``seq`` of the journal of ``source``; None if it is not kept."""
        for _, content in self._waiting:
            if isinstance(content, AuditRecord) and (content.source, content.seq) == (source, seq):
                return content
        return self.ledger.record(source, seq)

    def state(self) -> dict[str, Any]:
        """Return how far the timeline is, as plain values."""
        return {
            "ledger": [self.ledger.length, self.ledger.head.hex()],
            "waiting": len(self._waiting),
            "read_to": dict(self.read_to),
        }

    def _wait(self, time: int, source: str, seq: int, content: AuditRecord | Discrepancy) -> None:
        self._count += 1
        rank = _RANK.get(source, len(_RANK))
        heappush(self._waiting, ((time, rank, source, seq, self._count), content))

    def _complete_to(self) -> int:
        """Return the time before which every journal has been read.

        A process that plays partitions writes a journal only while it plays one, so it is waited
        for from the request to the end of a partition. If its journal is not read, the audit report
        ends the wait.
        """
        read = [self.read_to.get(name, 0) for name in _AWAITED if name not in self._broken]
        for key, requested_at in self._partitions.items():
            if key not in self._ended:
                read.append(max(requested_at, self.read_to.get(key[0], 0)))
        return min(read, default=0)
