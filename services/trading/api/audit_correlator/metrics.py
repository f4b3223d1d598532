"""The auditor's metrics for Prometheus: how far it has read, and what it has found."""

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.audit_correlator import AuditCorrelator
from trading.hosting.host import Host
from trading.messages.audit import Correlation
from trading.telemetry.families import Sample, gauge, gauges
from trading.units import SECOND


class AuditMetrics(Collector):
    """Computes the metrics from the auditor on `host` when Prometheus collects them."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def collect(self) -> list[Metric]:
        """Return the metrics; none before the host is ready."""
        if self._host.ready:
            return []
        auditor = self._host.component(AuditCorrelator)
        chains = auditor.chains
        lengths = chains.lengths()
        delays = [s for c in auditor.correlations() for s in _delays(c)]
        return [
            gauges("audit_journal_read", [((name,), read) for name, read in lengths.items()]),
            gauge("audit_events", chains.events),
            gauge("audit_chains_broken", len([n for n in lengths if chains.broken(n)])),
            gauge("audit_discrepancies", len(auditor.discrepancies())),
            gauge("audit_unexplained_alerts", auditor.false_alarms()),
            gauges("audit_fault_delay_seconds", delays),
        ]


def _delays(correlation: Correlation) -> list[Sample]:
    """Return the seconds from the application of a fault to its effect, its first alert and its
    recovery, as far as these have happened.
    """
    times = (
        ("effect", correlation.effect),
        ("alert", correlation.first_alert),
        ("recovery", correlation.recovered),
    )
    return [
        ((correlation.fault_id, until), (at - correlation.applied) / SECOND)
        for until, at in times
        if at and correlation.applied
    ]
