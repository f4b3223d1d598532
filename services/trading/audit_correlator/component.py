"""The audit correlator as a component: it reads every journal, and reports what does not agree.

No service's statement is taken for granted: hash chains are verified, balances and values are
computed again from the trades, and alerts are matched with faults.
"""

from collections.abc import Callable, Sequence
from typing import Any

from trading.audit_correlator.chains import Chains
from trading.audit_correlator.reconciler import JournalReconciler
from trading.audit_correlator.timeline import AuditTimeline
from trading.messages import Message, Wake
from trading.messages.audit import (
    AuditQuery,
    AuditReport,
    Correlation,
    Discrepancy,
    JournalBatch,
    LossNoted,
)
from trading.messages.market import Ping
from trading.runtime.component import answer_ping
from trading.runtime.faults import FaultBoard, fault_handlers, no_effect
from trading.topology import AUDIT_CORRELATOR
from trading.units import SECOND
from trading.universe import Universe

#: A query is answered after this time even if entries are missing.
QUERY_TIMEOUT = 30 * SECOND

_QUERY_TOPIC = "audit-query/"


class AuditCorrelator:
    """Reads a :class:`~trading.messages.audit.JournalBatch` of every service, and answers audit
    queries.

    ``universe`` says which accounts and assets exist. A query is answered with an
    :class:`~trading.messages.audit.AuditReport` when every journal has been read up to the heads in
    the query, or after :data:`QUERY_TIMEOUT` with what has been read. ``timeline`` has the entries
    that matter, and the ledger. ``version`` increases whenever the results change.
    """

    name = AUDIT_CORRELATOR

    def __init__(self, universe: Universe) -> None:
        self._chains = Chains()
        self.timeline = AuditTimeline()
        self._reconciler = JournalReconciler(universe, self.timeline)
        self._waiting: dict[str, AuditQuery] = {}
        self.version = 0
        self._faults = FaultBoard(self.name, (), no_effect, no_effect)
        self._handlers: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            JournalBatch: self._on_batch,
            AuditQuery: self._on_query,
            LossNoted: self._on_loss,
            Wake: self._on_wake,
            Ping: self._on_ping,
            **fault_handlers(self._faults.on),
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Process a message, and return the messages that follow from it."""
        handler = self._handlers.get(type(message))
        return handler(message, now) if handler is not None else ()

    def state(self) -> dict[str, Any]:
        """Return everything that decides later messages, as plain values."""
        return {
            "chains": self._chains.state(),
            "reconciler": self._reconciler.state(),
            "timeline": self.timeline.state(),
            "waiting": sorted(self._waiting),
        }

    def read_to(self, source: str) -> int:
        """Return the sequence number of the last verified entry of a journal."""
        return self._chains.length(source)

    def positions(self) -> dict[str, int]:
        """Return the sequence number of the last verified entry of every journal, by name."""
        return self._chains.lengths()

    def discrepancies(self) -> list[Discrepancy]:
        """Return the discrepancies so far; claims about trades that were not read yet are not
        checked.
        """
        return [*self._chains.discrepancies({}), *self._reconciler.discrepancies()]

    def correlations(self) -> tuple[Correlation, ...]:
        """Return, for each fault so far, its effect, its first alert and its recovery."""
        return self._reconciler.correlator.correlations()

    def false_alarms(self) -> int:
        """Return how many alerts so far are not explained by a fault."""
        return self._reconciler.correlator.false_alarms()

    @property
    def chains(self) -> Chains:
        """Return the hash chains of all journals."""
        return self._chains

    def answer_now(self, run_id: str, now: int) -> Sequence[Message]:
        """Answer a query now with what has been read; return nothing if it has been answered."""
        query = self._waiting.pop(run_id, None)
        return [self._report(query, now)] if query is not None else ()

    def _on_batch(self, message: JournalBatch, now: int) -> Sequence[Message]:
        for entries in self._chains.accept(message):
            self._reconciler.process(message.source, entries)
        broken = self._chains.broken(message.source)
        if broken is not None:
            self.timeline.stop_waiting_for(message.source)
            self.timeline.add_discrepancy(broken, message.source, broken.expected)
        self.version += 1
        answers = self._answer_ready(now)
        self.timeline.flush()
        return answers

    def _on_loss(self, message: LossNoted, now: int) -> Sequence[Message]:
        self._reconciler.note_loss(message.journal or self.name, message, now)
        self.version += 1
        self.timeline.flush()
        return ()

    def _on_ping(self, message: Ping, now: int) -> Sequence[Message]:
        return (answer_ping(self.name, message, now),)

    def _on_query(self, message: AuditQuery, now: int) -> Sequence[Message]:
        self._waiting[message.run_id] = message
        out = self._answer_ready(now)
        return out or [Wake(now + QUERY_TIMEOUT, _QUERY_TOPIC + message.run_id)]

    def _on_wake(self, message: Wake, now: int) -> Sequence[Message]:
        return self.answer_now(message.topic.removeprefix(_QUERY_TOPIC), now)

    def _answer_ready(self, now: int) -> list[Message]:
        ready = [q for q in self._waiting.values() if not self._chains.missing(q.heads)]
        for query in ready:
            del self._waiting[query.run_id]
        return [self._report(query, now) for query in ready]

    def _report(self, query: AuditQuery, now: int) -> AuditReport:
        chains = self._chains
        incomplete = chains.discrepancies(query.heads)
        mismatches, correlations, false_alarms = self._reconciler.finish()
        report = AuditReport(
            query.source,
            query.run_id,
            not incomplete and bool(query.heads),
            chains.events,
            chains.root(),
            chains.coverage_ppm(query.heads),
            (*incomplete, *mismatches),
            correlations,
            false_alarms,
            now,
        )
        self.timeline.close(report, query.heads)
        self.version += 1
        return report
