"""Services killed in the middle: every fault ends, nothing acknowledged is lost or made twice."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.load import Load
from tests.api.running import wait_for
from tests.api.test_up import KILLS
from tests.serve.processes import Apart

pytestmark = pytest.mark.timeout(900)

#: A lease of a minute is six seconds long: time for a service to come back.
CRASH = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: short-crash}
spec:
  description: Every coin falls by 15 % within two minutes
  seed: 11
  clock: {speed: 10}
  steadyState: {for: 30s, within: 10m}
  faults:
    - name: crash
      at: 10s
      duration: 4m
      marketShock: {symbols: ["*"], change: -15%, over: 2m}
  expect:
    - {alert: drawdown, of: crash, within: 3m}
    - {breaker: HALTED, of: crash, within: 3m}
  recovery: {within: 5m}
"""
OUTAGE = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: long-outage}
spec:
  description: The exchange is dark for an hour
  clock: {speed: 20}
  steadyState: {for: 30s, within: 10m}
  faults:
    - {name: dark, at: 5s, duration: 1h, exchangeOutage: {mode: partition}}
  expect:
    - {alert: venue-down, of: dark, within: 1m}
  recovery: {within: 5m}
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Apart]:
    services = Apart(tmp_path / "data")
    try:
        services.start()
        yield services
    finally:
        services.stop()


@pytest.mark.parametrize("victim", ["test-coordinator", "risk-monitor", "audit-correlator"])
def test_a_run_survives_the_death_of_a_service(fresh: Apart, victim: str) -> None:
    """Killed while the fault is on, and started again: the run goes on to its verdict."""
    run_id = fresh.run(CRASH)
    wait_for("the fault", lambda: fresh.phase(run_id) == "Active")
    fresh.kill(victim)
    fresh.start(victim)
    verdict = fresh.verdict(run_id)
    fault = verdict["faults"][0]
    assert fault["ended_at"] and fault["recovered_at"], verdict
    audit = verdict["audit"]
    assert audit["complete"], audit
    assert audit["discrepancies"] == [], audit
    if victim != "risk-monitor":
        assert verdict["outcome"] == "Pass", verdict["reasons"]


def test_a_fault_ends_though_nobody_comes_back_for_it(fresh: Apart) -> None:
    """The coordinator dies for good: the exchange ends its outage by the lease."""
    run_id = fresh.run(OUTAGE)
    wait_for("the fault", lambda: fresh.phase(run_id) == "Active")
    fresh.kill("test-coordinator")

    def trading_again() -> bool:
        url = fresh.url["exchange"] + "/api/v3/ticker/bookTicker?symbol=BTCUSDT"
        try:
            return bool(float(httpx.get(url, timeout=2).json()["bidPrice"]))
        except (httpx.HTTPError, ValueError, KeyError):
            return False

    wait_for("the exchange", trading_again)
    ended = [e[3] for e in fresh.journal("exchange") if e[2] == "FaultEnded"]
    assert [e["reason"] for e in ended] == ["LEASE_EXPIRED"]


def test_orders_and_settlements_survive_kills_of_the_venue_and_the_custodian(
    fresh: Apart,
) -> None:
    acknowledged: dict[str, int] = {}
    for number in range(KILLS):
        wait_for("a book", lambda: quoted(fresh))
        load = Load(fresh.exchange(), f"k{number}")
        load.wait(fresh.url["risk-monitor"], 5 + 7 * (number % 5))
        fresh.kill("exchange", "custodian")
        load.stop()
        acknowledged |= load.acknowledged
        fresh.start("exchange", "custodian")
        client = fresh.exchange()
        client.signed("DELETE", "openOrders", symbol="BTCUSDT")
        client.http.close()
    made: dict[str, set[int]] = {}
    for entry in fresh.journal("exchange"):
        if entry[2] == "ExecutionReport" and entry[3]["order_id"]:
            made.setdefault(entry[3]["client_order_id"], set()).add(entry[3]["order_id"])
    assert {n: made.get(n) for n in acknowledged} == {n: {i} for n, i in acknowledged.items()}
    trades = [e[3]["trade_id"] for e in fresh.journal("exchange") if e[2] == "Trade"]
    assert trades == list(range(1, len(trades) + 1))

    def learnt() -> Any:
        received = [e[3] for e in fresh.journal("custodian") if e[2] == "Received"]
        ids = [m["trade_id"] for batch in received for m in batch if m["msg"] == "Trade"]
        return ids if len(ids) >= len(trades) else None

    ids = wait_for("the custodian to learn every trade", learnt)
    assert ids == list(range(1, len(ids) + 1))


def quoted(services: Apart) -> bool:
    url = services.url["exchange"] + "/api/v3/ticker/bookTicker?symbol=BTCUSDT"
    return bool(float(httpx.get(url).json()["bidPrice"]))


def test_ctrl_c_keeps_everything(fresh: Apart) -> None:
    fresh.kill("risk-monitor", number=signal.SIGINT)
    assert fresh.log("risk-monitor").splitlines()[-1] == "stopped; everything is kept"
    fresh.start("risk-monitor")
    url = fresh.url["risk-monitor"] + "/api/portfolio"
    wait_for("the portfolio", lambda: httpx.get(url).json()["known"])
    assert set(fresh.stop().values()) == {0}
    assert "Traceback" not in "".join(fresh.log(name) for name in fresh.process)
