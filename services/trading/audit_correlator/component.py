"""The audit correlator: reads every journal, believes none of them, compares all."""

from collections.abc import Callable, Sequence
from typing import Any

from trading.audit_correlator.chains import Chains
from trading.audit_correlator.reconciler import Reconciler
from trading.audit_correlator.timeline import Timeline
from trading.messages import Message, Wake
from trading.messages.audit import (
    AuditQuery,
    AuditReport,
    Correlation,
    Discrepancy,
    JournalBatch,
    LossNoted,
)
from trading.messages.chaos import InjectFault, RecoverFault, RenewFault
from trading.messages.market import Ping
from trading.runtime.component import answer_ping
from trading.runtime.faults import FaultBoard, no_effect
from trading.topology import AUDIT_CORRELATOR
from trading.units import SECOND
from trading.universe import Universe

#: How long a query waits for entries that are still in transit.
PATIENCE = 30 * SECOND

_QUERY_TOPIC = "audit-query/"


class AuditCorrelator:
    """Reads :class:`JournalBatch` of every service; answers an :class:`AuditQuery` when it has
    read each journal to its head, or after :data:`PATIENCE` with what it has.

    ``timeline`` has what matters of the journals, and the ledger; ``version`` changes whenever
    there is something new to tell.
    """

    name = AUDIT_CORRELATOR

    def __init__(self, universe: Universe) -> None:
        self._chains = Chains()
        self.timeline = Timeline()
        self._reconciler = Reconciler(universe, self.timeline)
        self._waiting: dict[str, AuditQuery] = {}
        self.version = 0
        self._faults = FaultBoard(self.name, (), no_effect, no_effect)
        self._handlers: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            JournalBatch: self._on_batch,
            AuditQuery: self._on_query,
            LossNoted: self._on_loss,
            Wake: self._on_wake,
            Ping: self._on_ping,
            InjectFault: self._faults.on,
            RenewFault: self._faults.on,
            RecoverFault: self._faults.on,
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        handler = self._handlers.get(type(message))
        return handler(message, now) if handler is not None else ()

    def state(self) -> dict[str, Any]:
        return {
            "chains": self._chains.state(),
            "reconciler": self._reconciler.state(),
            "timeline": self.timeline.state(),
            "waiting": sorted(self._waiting),
        }

    def read_to(self, source: str) -> int:
        """Last sequence number of a journal that has been read, and whose chain holds."""
        return self._chains.length(source)

    def discrepancies(self) -> list[Discrepancy]:
        """What has been found so far; claims that still wait for their trades are not judged."""
        return [*self._chains.discrepancies({}), *self._reconciler.discrepancies()]

    def correlations(self) -> tuple[Correlation, ...]:
        """What led to what, so far."""
        return self._reconciler.correlator.correlations()

    def false_alarms(self) -> int:
        """Alerts that no fault explains, so far."""
        return self._reconciler.correlator.false_alarms()

    @property
    def chains(self) -> Chains:
        return self._chains

    def give_up(self, run_id: str, now: int) -> Sequence[Message]:
        """Answer a query now, with what has been read; nothing if it has been answered."""
        query = self._waiting.pop(run_id, None)
        return [self._report(query, now)] if query is not None else ()

    def _on_batch(self, message: JournalBatch, now: int) -> Sequence[Message]:
        for entries in self._chains.take(message):
            self._reconciler.take(message.source, entries)
        broken = self._chains.broken(message.source)
        if broken is not None:
            self.timeline.give_up(message.source)
            self.timeline.find(broken, message.source, broken.expected)
        self.version += 1
        answers = self._answer_ready(now)
        self.timeline.settle()
        return answers

    def _on_loss(self, message: LossNoted, now: int) -> Sequence[Message]:
        self._reconciler.note_loss(message.journal or self.name, message, now)
        self.version += 1
        self.timeline.settle()
        return ()

    def _on_ping(self, message: Ping, now: int) -> Sequence[Message]:
        return (answer_ping(self.name, message, now),)

    def _on_query(self, message: AuditQuery, now: int) -> Sequence[Message]:
        self._waiting[message.run_id] = message
        out = self._answer_ready(now)
        return out or [Wake(now + PATIENCE, _QUERY_TOPIC + message.run_id)]

    def _on_wake(self, message: Wake, now: int) -> Sequence[Message]:
        return self.give_up(message.topic.removeprefix(_QUERY_TOPIC), now)

    def _answer_ready(self, now: int) -> list[Message]:
        ready = [q for q in self._waiting.values() if not self._chains.missing(q.heads)]
        for query in ready:
            del self._waiting[query.run_id]
        return [self._report(query, now) for query in ready]

    def _report(self, query: AuditQuery, now: int) -> AuditReport:
        chains = self._chains
        incomplete = chains.discrepancies(query.heads)
        found, correlations, false_alarms = self._reconciler.finish()
        report = AuditReport(
            query.source,
            query.run_id,
            not incomplete and bool(query.heads),
            chains.events,
            chains.root(),
            chains.coverage_ppm(query.heads),
            (*incomplete, *found),
            correlations,
            false_alarms,
            now,
        )
        self.timeline.close(report, query.heads)
        self.version += 1
        return report
