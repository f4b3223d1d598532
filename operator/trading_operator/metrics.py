"""The operator's own metrics."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
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
        self._live: dict[str, int] = {}
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
        with self._seconds.time():
            yield

    def policies(self, scenario: str, number: int) -> None:
        self._live = {name: n for name, n in self._live.items() if n and name != scenario}
        self._live[scenario] = number
        self._policies.set(sum(self._live.values()))

    def failed(self, *, taking_back: bool) -> None:
        self._failures.labels(str(taking_back).lower()).inc()

    def ended(self, verdict: str) -> None:
        self._verdicts.labels(verdict).inc()
