"""The coordinator's metrics for Prometheus: runs, faults and verdicts."""

from collections.abc import Callable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.api.test_coordinator.runs import Runs
from trading.hosting.host import Host
from trading.scenario.result import Outcome, Phase, Verdict
from trading.telemetry.families import Sample, gauges
from trading.test_coordinator import TestCoordinator
from trading.units import SECOND


class RunMetrics(Collector):
    """Computes the metrics from the coordinator on `host` and from `runs` when Prometheus collects
    them.
    """

    def __init__(self, host: Host, runs: Runs) -> None:
        self._host = host
        self._runs = runs

    def collect(self) -> list[Metric]:
        """Return the metrics; none before the host is ready."""
        if self._host.ready:
            return []
        # Between runs another component stands in for it.
        in_run = bool(self._host.session.run_id)
        coordinator = self._host.component(TestCoordinator) if in_run else None
        phase = coordinator.phase if coordinator is not None else ""
        outcomes = self._runs.outcomes
        verdict = self._runs.newest
        return [
            gauges("test_coordinator_run_phase", [((p,), float(p == phase)) for p in Phase]),
            gauges("test_coordinator_fault_active", _active(coordinator)),
            gauges("test_coordinator_verdicts", [((o,), outcomes[o]) for o in Outcome]),
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
    """Return for every fault of the run whether it is active. After the run none is, even if its
    end was never seen.
    """
    if coordinator is None:
        return []
    over = coordinator.done
    return [
        ((f.name, f.kind), float(bool(f.injected_at) and not f.ended_at and not over))
        for f in coordinator.observation.faults
    ]


def _seconds(verdict: Verdict | None, choose: Callable[[int, int], int]) -> list[Sample]:
    """Return a time of every detected expectation in seconds, by fault and expectation. `choose`
    picks it from the detection latency and its limit; of equal expectations the last one counts.
    """
    expectations = verdict.expectations if verdict is not None else ()
    times = {(e.of, e.label): choose(e.latency, e.within) for e in expectations if e.latency >= 0}
    return [(labels, time / SECOND) for labels, time in times.items()]
