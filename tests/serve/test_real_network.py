"""Tests virtual time with a real network: time waits for the platform and for slow links."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from httpx_sse import connect_sse

from tests.api.running import wait_for
from tests.serve.heads import heads_of, heads_of_text
from tests.serve.processes import Apart
from tests.serve.proxy import Proxy
from trading.topology import CUSTODIAN, EXCHANGE, RISK_MONITOR, SERVICES, TEST_COORDINATOR

pytestmark = pytest.mark.timeout(600)

SCENARIO = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: blind-monitor}
spec:
  description: The risk monitor cannot reach the exchange
  seed: 5
  steadyState: {for: 20s, within: 10m}
  faults:
    - name: cut
      at: 10s
      duration: 1m
      networkPartition: {between: [[risk-monitor, exchange]]}
  expect:
    - {alert: venue-down, subject: exchange, of: cut, within: 20s}
  recovery: {within: 5m}
"""


def between(path: Path, caller: str, callee: str, delay: float = 0.0) -> tuple[Apart, Proxy]:
    """Return seven services, and a proxy through which ``caller`` connects to ``callee``."""
    services = Apart(path / "data", NETWORK_PATIENCE="10")
    proxy = Proxy(SERVICES[callee].port + services.offset, delay)
    proxy.__enter__()
    services.of[caller] = {f"{callee.upper().replace('-', '_')}_URL": proxy.url}
    return services, proxy


@pytest.fixture
def separable(tmp_path: Path) -> Iterator[tuple[Apart, Proxy]]:
    services, proxy = between(tmp_path, RISK_MONITOR, EXCHANGE)
    try:
        services.start()
        yield services, proxy
    finally:
        services.stop()
        proxy.__exit__()


def played(
    services: Apart, run_id: str, platform: Mapping[str, Callable[[], None]]
) -> dict[str, Any]:
    """Follow a run as a platform does, and return its verdict.

    ``platform`` maps a step of the fault to the action that is called when its event arrives.
    """
    with (
        services.coordinator() as coordinator,
        connect_sse(coordinator, "GET", f"/runs/{run_id}/events", timeout=300) as events,
    ):
        for event in events.iter_sse():
            if event.event == "fault":
                platform.get(event.json()["step"], _no_action)()
            elif event.event == "verdict":
                verdict: dict[str, Any] = event.json()
                return verdict
    raise AssertionError("no verdict")


def _no_action() -> None:
    """Do nothing, as a platform does at most steps."""


def test_a_real_partition_has_the_simulated_one_s_timeline(
    separable: tuple[Apart, Proxy],
) -> None:
    services, proxy = separable
    run_id = services.run(SCENARIO, network="platform")
    verdict = played(services, run_id, {"applied": proxy.cut, "ended": proxy.connect})
    assert verdict["outcome"] == "Pass", verdict["reasons"]
    assert heads_of(verdict) == heads_of_text(SCENARIO)
    with services.coordinator() as coordinator:
        changes = coordinator.get(f"/runs/{run_id}").json()["real_network"]
    assert [(c["pair"], c["separated"]) for c in changes] == [
        ([RISK_MONITOR, EXCHANGE], True),
        ([RISK_MONITOR, EXCHANGE], False),
    ]
    assert all(change["asked"] <= change["seen"] for change in changes)
    (fault,) = verdict["faults"]
    assert [change["at"] for change in changes] == [fault["applied_at"], fault["ended_at"]]


def test_a_platform_that_does_nothing_is_no_evidence(separable: tuple[Apart, Proxy]) -> None:
    services, _ = separable
    verdict = services.verdict(services.run(SCENARIO, network="platform"))
    assert verdict["outcome"] == "Inconclusive"
    (reason, *_) = verdict["reasons"]
    assert reason == "the platform did not separate risk-monitor and exchange within 10 s"


def test_a_partition_that_does_not_hold_is_none(separable: tuple[Apart, Proxy]) -> None:
    """The platform separates the two, and connects them again in the middle of the fault."""
    services, proxy = separable
    text = SCENARIO.replace("steadyState", "clock: {speed: 5}\n  steadyState")
    run_id = services.run(text, network="platform")
    verdict = played(services, run_id, {"applied": proxy.cut, "injected": proxy.connect})
    assert verdict["outcome"] == "Inconclusive"
    assert "could connect to exchange again" in verdict["reasons"][0]


def test_a_gap_in_a_partition_is_none_of_its_ends(separable: tuple[Apart, Proxy]) -> None:
    """Such a gap occurs when a cluster rewrites its network rules because of another pod. Simulated
    time waits for its end, so that the gap may last as long as the machine needs.
    """
    services, proxy = separable

    def gap() -> None:
        proxy.connect()
        noticed = "during a partition: time stands still"
        wait_for("the gap to be noticed", lambda: noticed in services.log(TEST_COORDINATOR))
        proxy.cut()

    text = SCENARIO.replace("steadyState", "clock: {speed: 5}\n  steadyState")
    run_id = services.run(text, network="platform")
    platform = {"applied": proxy.cut, "injected": gap, "ended": proxy.connect}
    verdict = played(services, run_id, platform)
    assert verdict["outcome"] == "Pass", verdict["reasons"]
    assert heads_of(verdict) == heads_of_text(SCENARIO)
    with services.coordinator() as coordinator:
        changes = coordinator.get(f"/runs/{run_id}").json()["real_network"]
    assert [change["separated"] for change in changes] == [True, True, False]
    assert "and exchange holds again" in services.log(TEST_COORDINATOR)


def test_a_platform_that_does_not_connect_again_is_no_failure(
    separable: tuple[Apart, Proxy],
) -> None:
    """This run goes by the wall clock, which does not wait for the platform."""
    services, proxy = separable
    text = SCENARIO.replace("steadyState", "clock: {mode: wall, speed: 10}\n  steadyState")
    text = text.replace("recovery: {within: 5m}", "recovery: {within: 90s}")
    run_id = services.run(text, network="platform")
    verdict = played(services, run_id, {"applied": proxy.cut})
    assert verdict["outcome"] == "Inconclusive", verdict["reasons"]
    assert "did not connect again what cut had separated" in verdict["reasons"][0]
    assert not verdict["recovery"]["recovered"]


def test_a_slow_link_changes_nothing(tmp_path: Path) -> None:
    """200 ms each way between the risk monitor and the custodian."""
    services, proxy = between(tmp_path, RISK_MONITOR, CUSTODIAN, 0.2)
    try:
        services.start()
        verdict = services.verdict(services.run(SCENARIO), 500)
        assert heads_of(verdict) == heads_of_text(SCENARIO)
    finally:
        services.stop()
        proxy.__exit__()
