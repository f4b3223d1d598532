"""The operator's Prometheus metrics, shared by the handlers and all reconcilers."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The metrics in a ``registry`` of their own, which the operator's process serves."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "chaos_operator_reconcile_seconds",
            "One look at one scenario, with what it led to.",
            registry=self.registry,
        )
        self._policies = Gauge(
            "chaos_operator_partition_policies",
            "NetworkPolicies that play a fault now.",
            registry=self.registry,
        )
        self._policies_by_scenario: dict[str, int] = {}
        self._failures = Counter(
            "chaos_operator_failures_total",
            "Looks that failed and are tried again; while faults are taken back, too.",
            ["taking_back"],
            registry=self.registry,
        )
        self._verdicts = Counter(
            "chaos_operator_verdicts_total",
            "Scenarios that ended.",
            ["verdict"],
            registry=self.registry,
        )

    @contextmanager
    def reconciling(self) -> Iterator[None]:
        """Measure how long the body of a ``with`` statement takes."""
        with self._seconds.time():
            yield

    def policies(self, scenario: str, number: int) -> None:
        """Set how many policies ``scenario`` has in the cluster; the gauge is the sum of all."""
        counts = self._policies_by_scenario
        counts = {name: n for name, n in counts.items() if n and name != scenario}
        counts[scenario] = number
        self._policies_by_scenario = counts
        self._policies.set(sum(counts.values()))

    def failed(self, *, taking_back: bool) -> None:
        """Count a failed reconciliation. ``taking_back``: its scenario was aborted or deleted."""
        self._failures.labels(str(taking_back).lower()).inc()

    def ended(self, verdict: str) -> None:
        """Count a scenario that ended with ``verdict``."""
        self._verdicts.labels(verdict).inc()
