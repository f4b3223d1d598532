"""What the coordinator says to Prometheus of runs, faults and verdicts."""

from collections.abc import Callable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.api.test_coordinator.runs import Runs
from trading.hosting.host import Host
from trading.scenario.result import ABORTED, ERROR, FAIL, INCONCLUSIVE, PASS, PHASES, Verdict
from trading.telemetry.families import Sample, gauges
from trading.test_coordinator import TestCoordinator
from trading.topology import TEST_COORDINATOR
from trading.units import SECOND

_OUTCOMES = (PASS, FAIL, INCONCLUSIVE, ABORTED, ERROR)


class RunMetrics(Collector):
    def __init__(self, host: Host, runs: Runs) -> None:
        self._host = host
        self._runs = runs

    def collect(self) -> list[Metric]:
        if self._host.ready:
            return []
        found = self._host.component(TEST_COORDINATOR)
        coordinator = found if isinstance(found, TestCoordinator) else None
        phase = coordinator.phase if coordinator is not None else ""
        outcomes = self._runs.outcomes
        verdict = self._runs.newest
        return [
            gauges("test_coordinator_run_phase", [((p,), float(p == phase)) for p in PHASES]),
            gauges("test_coordinator_fault_active", _active(coordinator)),
            gauges("test_coordinator_verdicts", [((o,), outcomes[o]) for o in _OUTCOMES]),
            gauges(
                "test_coordinator_detection_latency_seconds",
                _seconds(verdict, lambda latency, within: latency),
            ),
            gauges(
                "test_coordinator_detection_limit_seconds",
                _seconds(verdict, lambda latency, within: within),
            ),
        ]


def _active(coordinator: TestCoordinator | None) -> list[Sample]:
    """Once all is over a fault that was never seen to end is not active either."""
    if coordinator is None:
        return []
    over = coordinator.done
    return [
        ((f.name, f.kind), float(bool(f.injected_at) and not f.ended_at and not over))
        for f in coordinator.observation.faults
    ]


def _seconds(verdict: Verdict | None, which: Callable[[int, int], int]) -> list[Sample]:
    """By fault and expectation, of those that were detected; one that stands there twice counts
    with its last."""
    found = verdict.expectations if verdict is not None else ()
    kept = {(e.of, e.label): which(e.latency, e.within) for e in found if e.latency >= 0}
    return [(labels, time / SECOND) for labels, time in kept.items()]
