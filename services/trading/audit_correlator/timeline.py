"""What matters of all journals, in one order: by time, service and sequence number.

Journals arrive one by one, in batches of any size. An entry goes to the ledger once every service's
journal has been read past its time, so the ledger's order, and with it its hashes, depends on the
journals alone and not on how they arrived.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import msgspec

from trading.audit_correlator.ledger import Answer, Ledger, Record
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

#: The types of entries that matter, in whose journal ever they are, and in one service's own.
EVERYWHERE: tuple[type[Message], ...] = (FaultApplied, FaultEnded)
OWN: dict[str, tuple[type[Message], ...]] = {
    EXCHANGE: (KillSwitchChanged,),
    RISK_MONITOR: (AlertFired, AlertResolved, AlertAcknowledged, BreakerChanged, SetKillSwitch),
    TEST_COORDINATOR: (InjectFault, RecoverFault, FaultInjected, FaultRecovered, PhaseChanged),
}

#: More than this does not wait for a journal that stays behind.
MAX_WAITING = 2_000

_AWAITED = tuple(name for name in SERVICES if name != AUDIT_CORRELATOR)
_RANK = {name: rank for rank, name in enumerate(_AWAITED)}

#: Time, rank, service, sequence number, and what tells two findings about one entry apart.
_Key = tuple[int, int, str, int, int]


class Timeline:
    """``read_to``: for each journal the time of its newest entry; ``report``: the newest one."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.read_to: dict[str, int] = {}
        self.report: AuditReport | None = None
        self._heads: dict[str, bytes] = {}
        self._waiting: list[tuple[_Key, Record | Discrepancy]] = []
        self._partitions: dict[tuple[str, str], int] = {}
        self._ended: dict[tuple[str, str], None] = {}
        self._broken: dict[str, None] = {}
        self._found: dict[tuple[Any, ...], None] = {}
        self._count = 0

    def add(self, source: str, entries: Sequence[JournalEntry], index: int, decoded: Any) -> None:
        """``decoded``: what ``entries[index]`` says."""
        previous = entries[index - 1].hash if index else self._heads.get(source, GENESIS)
        message: Message = decoded.payload
        record = Record(
            source, decoded.seq, decoded.time, decoded.kind, message, entries[index], previous
        )
        self._wait(record.time, source, record.seq, record)
        if isinstance(message, InjectFault) and message.to not in _RANK:
            self._partitions[message.to, message.fault_id] = record.time
        elif isinstance(message, FaultEnded) and source not in _RANK:
            self._ended[source, message.fault_id] = None

    def read(self, source: str, last: JournalEntry) -> None:
        """The journal has been read up to this entry."""
        self._heads[source] = last.hash
        self.read_to[source] = time_of(last.body)

    def find(self, found: Discrepancy, source: str, seq: int, time: int = 0) -> None:
        """Each discrepancy once. ``time``: of the entry that is wrong; as far as ``source`` has
        been read where there is none.
        """
        key = msgspec.structs.astuple(found)
        if key not in self._found:
            self._found[key] = None
            self._wait(time or self.read_to.get(source, 0), source, seq, found)

    def give_up(self, source: str) -> None:
        """The journal is broken: nothing more will come from it."""
        self._broken[source] = None

    def settle(self) -> None:
        """To the ledger with everything that no earlier entry can come before."""
        until = self._complete_to()
        waiting = self._waiting
        while waiting and (waiting[0][0][0] < until or len(waiting) > MAX_WAITING):
            (time, *_), what = heappop(waiting)
            self.ledger.append(time, what)

    def close(self, report: AuditReport, heads: dict[str, int]) -> None:
        """The report, after everything that it stands on: all findings, and the journals up to
        ``heads``.
        """
        self.report = report
        end = max(self.read_to.values(), default=0)
        for found in report.discrepancies:
            self.find(found, found.where.partition("/")[0], 0, end)
        later: list[tuple[_Key, Record | Discrepancy]] = []
        while self._waiting:
            key, what = heappop(self._waiting)
            if isinstance(what, Record) and what.seq > heads.get(what.source, 0):
                later.append((key, what))
            else:
                self.ledger.append(key[0], what)
        self._waiting = later
        self._partitions.clear()
        answer = Answer(
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
        """What has been read, and is not in the ledger yet."""
        return len(self._waiting)

    def records(self) -> list[Record]:
        """In the ledger's order; those that are not in it yet come last, in theirs."""
        waiting = [what for _, what in sorted(self._waiting, key=lambda item: item[0])]
        return [*self.ledger.records(), *(w for w in waiting if isinstance(w, Record))]

    def record(self, source: str, seq: int) -> Record | None:
        for _, what in self._waiting:
            if isinstance(what, Record) and (what.source, what.seq) == (source, seq):
                return what
        return self.ledger.record(source, seq)

    def state(self) -> dict[str, Any]:
        return {
            "ledger": [self.ledger.length, self.ledger.head.hex()],
            "waiting": len(self._waiting),
            "read_to": dict(self.read_to),
        }

    def _wait(self, time: int, source: str, seq: int, what: Record | Discrepancy) -> None:
        self._count += 1
        rank = _RANK.get(source, len(_RANK))
        heappush(self._waiting, ((time, rank, source, seq, self._count), what))

    def _complete_to(self) -> int:
        """Before this time every journal has been read. What plays partitions writes only while
        it has one to play; where its journal is not read, the report ends the waiting.
        """
        read = [self.read_to.get(name, 0) for name in _AWAITED if name not in self._broken]
        for key, asked in self._partitions.items():
            if key not in self._ended:
                read.append(max(asked, self.read_to.get(key[0], 0)))
        return min(read, default=0)
