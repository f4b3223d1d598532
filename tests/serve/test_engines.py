"""Tests two trading engines that share the strategies.

The strategies of a killed engine move to the other one, and no strategy runs twice. Between runs
this goes by the wall clock, in virtual runs by simulated time.
"""

import signal
import socket
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.running import wait_for
from tests.redis_server import RedisServer
from tests.serve.processes import Apart
from trading.topology import SERVICES

pytestmark = pytest.mark.timeout(600)

ACCOUNTS = {"firm-mm", "firm-momentum", "firm-meanrev", "firm-index"}
ENGINES = ("trading-engine", "trading-engine-2")
#: Simulated seconds within which another engine takes over the strategies of a lost one.
TAKEOVER = 5
#: Wall-clock seconds for which an engine is stopped: longer than its links stay open.
PAUSE = 15
#: The fault does not concern the engines.
SCENARIO = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: blind-monitor}
spec:
  description: The risk monitor cannot reach the custodian
  seed: 5
  steadyState: {for: 20s, within: 5m}
  faults:
    - name: cut
      at: 20s
      duration: DURATION
      networkPartition: {between: [[risk-monitor, custodian]]}
  expect:
    - {alert: venue-down, subject: custodian, of: cut, within: 20s}
  recovery: {within: 5m}
"""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def engines(tmp_path: Path, redis: RedisServer) -> Iterator[Apart]:
    """Eight processes, two of them trading engines; the second has the label ``second``."""
    services = Apart(tmp_path / "data", REDIS_URL=redis.url)
    first = services.url["trading-engine"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    second = f"http://127.0.0.1:{port}"
    both = {"TRADING_ENGINE_URL": f"{first},{second}"}
    services.of = {"test-coordinator": both, "audit-correlator": both}
    services.url["second"] = second
    try:
        for name in SERVICES:
            services.begin(name)
        wait_for("the first engine", lambda: services.linked("trading-engine"))
        services.begin("trading-engine", "--port", str(port), label="second")
        for name in (*SERVICES, "second"):
            wait_for(name, lambda name=name: services.linked(name))
        yield services
    finally:
        services.stop()


def running(services: Apart, engine: str) -> set[str]:
    strategies: list[dict[str, Any]] = httpx.get(services.url[engine] + "/api/v1/strategies").json()
    return {s["account"] for s in strategies if s["state"] == "RUNNING"}


def split(services: Apart) -> bool:
    first, second = running(services, "trading-engine"), running(services, "second")
    return len(first) == len(second) == 2 and first | second == ACCOUNTS


def owners(entries: Sequence[Any]) -> dict[str, list[str]]:
    """Return the owners of all orders that the exchange accepted, in their order, by account.

    An owner is the prefix of the client order id, which includes the fencing number.
    """
    owners_by_account: dict[str, list[str]] = {}
    for entry in entries:
        if entry[2] == "ExecutionReport" and entry[3]["execution_type"] == "NEW":
            report = entry[3]
            if report["account"] in ACCOUNTS:
                owner = report["client_order_id"].rpartition("-")[0]
                owners_by_account.setdefault(report["account"], []).append(owner)
    return owners_by_account


def never_in_turns(services: Apart) -> None:
    """Check that no account was traded by two engines alternately."""
    for account, order_owners in owners(services.journal("exchange")).items():
        changes = [b for a, b in pairwise(order_owners) if a != b]
        assert len(changes) == len(set(changes)), f"{account} was traded by two: {changes}"


def run_of(services: Apart, run_id: str) -> dict[str, Any]:
    with services.coordinator() as coordinator:
        run: dict[str, Any] = coordinator.get(f"/runs/{run_id}").json()
    return run


def begin(services: Apart, duration: str, speed: int = 0) -> str:
    """Start a run and return its id.

    ``speed`` limits the simulated seconds per second, so that the run takes long enough.
    """
    text = SCENARIO.replace("DURATION", duration)
    if speed:
        text = text.replace("steadyState", f"clock: {{speed: {speed}}}\n  steadyState")
    return services.run(text)


def in_run(services: Apart, service: str, verdict: dict[str, Any]) -> list[Any]:
    """Return the entries of a service's journal up to the end of the run."""
    return [e for e in services.journal(service) if e[1] <= verdict["ended_at"]]


def assignments(entries: Sequence[Any]) -> list[tuple[int, dict[str, int]]]:
    """Return the assignments that an engine received: (simulated time, fence by account)."""
    return [
        (entry[1], message["accounts"])
        for entry in entries
        if entry[2] == "Received"
        for message in entry[3]
        if message["msg"] == "StrategiesAssigned"
    ]


def fires_for_the_fault_alone(services: Apart, verdict: dict[str, Any]) -> None:
    """Check that only the alert for the fault fired, even on a slow machine."""
    assert verdict["outcome"] == "Pass", verdict["reasons"]
    assert verdict["audit"]["complete"], verdict["audit"]
    assert verdict["audit"]["false_alarms"] == 0
    entries = in_run(services, "risk-monitor", verdict)
    fired = {(e[3]["rule"], e[3]["subject"]) for e in entries if e[2] == "AlertFired"}
    assert fired == {("venue-down", "custodian")}


def taken_over_in_time(
    services: Apart, run_id: str, verdict: dict[str, Any], lost: str, survivor: str
) -> None:
    """Check that the surviving engine took over all strategies within TAKEOVER.

    No later order of the lost engine may have reached the exchange. ``lost`` is the name of that
    engine in the run, ``survivor`` the label of the other's process.
    """
    dismissed = run_of(services, run_id)["dismissed"]
    assert list(dismissed) == [lost]
    (first, none), (second, half), (third, all_of_them) = assignments(
        in_run(services, survivor, verdict)
    )
    assert none == {}
    assert len(half) == 2
    assert half.items() < all_of_them.items() and all_of_them.keys() == ACCOUNTS
    assert first < second < dismissed[lost] < third <= dismissed[lost] + TAKEOVER * 1_000_000
    exchange = in_run(services, "exchange", verdict)
    new_fences = {str(fence) for account, fence in all_of_them.items() if account not in half}
    for account in ACCOUNTS - half.keys():
        at: dict[bool, list[int]] = {False: [], True: []}
        for _, moment, kind, report in exchange:
            is_new_order = kind == "ExecutionReport" and report["execution_type"] == "NEW"
            if is_new_order and report["account"] == account:
                at[report["client_order_id"].split("-")[1] in new_fences].append(moment)
        assert max(at[False], default=0) <= dismissed[lost] + 1000
        assert min(at[True], default=third) >= third
    running = {
        e[3]["account"]
        for e in in_run(services, survivor, verdict)
        if e[2] == "StrategyStateChanged" and e[1] == third and e[3]["state"] == "RUNNING"
    }
    assert running == ACCOUNTS - half.keys()
    never_in_turns(services)


def test_a_killed_engine_s_strategies_go_on_elsewhere(engines: Apart) -> None:
    wait_for("the strategies to be split", lambda: split(engines))
    engines.kill("trading-engine")
    wait_for("the takeover", lambda: running(engines, "second") == ACCOUNTS, 10)
    engines.start("trading-engine")
    wait_for("the strategies to be split again", lambda: split(engines))
    never_in_turns(engines)


def test_a_paused_engine_comes_back_to_a_venue_that_refuses_it(engines: Apart) -> None:
    wait_for("the strategies to be split", lambda: split(engines))
    engines.process["trading-engine"].send_signal(signal.SIGSTOP)
    wait_for("the takeover", lambda: running(engines, "second") == ACCOUNTS, 10)
    engines.process["trading-engine"].send_signal(signal.SIGCONT)
    wait_for("the strategies to be split again", lambda: split(engines))
    never_in_turns(engines)


def test_without_redis_everybody_keeps_what_it_has_and_says_so(
    engines: Apart, redis: RedisServer
) -> None:
    wait_for("the strategies to be split", lambda: split(engines))
    before = running(engines, "second")
    redis.kill()

    def reports_redis() -> bool:
        readiness = httpx.get(engines.url["second"] + "/ready").json()
        return bool(readiness["ready"]) and readiness["dependencies"]["redis"] != "ok"

    wait_for("the engine to say so", reports_redis)
    assert running(engines, "second") == before
    redis.start()
    wait_for("redis to be well", lambda: engines.linked("second"))
    assert split(engines)


def test_a_virtual_run_is_shared_and_the_same_every_time(engines: Apart) -> None:
    verdicts = [engines.verdict(begin(engines, "3m")) for _ in range(2)]
    for verdict in verdicts:
        fires_for_the_fault_alone(engines, verdict)
    heads = [verdict["audit"]["journals"] for verdict in verdicts]
    assert heads[0].keys() == {*SERVICES, "trading-engine-2", "network"}
    assert heads[0] == heads[1]
    assert verdicts[0]["audit"]["root"] == verdicts[1]["audit"]["root"]
    held = []
    for label in ("trading-engine", "second"):
        received = assignments(in_run(engines, label, verdicts[1]))
        assert [len(accounts) for _, accounts in received] == [0, 2]
        held.append(received[1][1])
    assert held[0].keys() | held[1].keys() == ACCOUNTS
    entries = in_run(engines, "exchange", verdicts[1])
    fences = {a: str(fence) for accounts in held for a, fence in accounts.items()}
    traded = owners(entries)
    assert "firm-mm" in traded
    for account, order_owners in traded.items():
        assert {owner.split("-")[1] for owner in order_owners} == {fences[account]}
    never_in_turns(engines)


def test_in_a_virtual_run_a_killed_engine_s_strategies_go_on_elsewhere(engines: Apart) -> None:
    run_id = begin(engines, "5m")
    wait_for("the fault", lambda: engines.phase(run_id) == "Active")
    engines.kill("trading-engine")
    verdict = engines.verdict(run_id)
    fires_for_the_fault_alone(engines, verdict)
    assert verdict["audit"]["journals"].keys() == {*SERVICES, "trading-engine-2", "network"} - {
        "trading-engine"
    }
    taken_over_in_time(engines, run_id, verdict, "trading-engine", "second")
    # The restarted engine takes part in the next run.
    engines.start("trading-engine")
    verdict = engines.verdict(begin(engines, "1m"))
    fires_for_the_fault_alone(engines, verdict)
    assert {*ENGINES} < verdict["audit"]["journals"].keys()


def test_in_a_virtual_run_a_paused_engine_comes_back_to_nobody_who_listens(
    engines: Apart,
) -> None:
    # At this speed the fault lasts at least 40 seconds.
    run_id = begin(engines, "10m", speed=15)
    wait_for("the fault", lambda: engines.phase(run_id) == "Active")
    paused = engines.process["second"]
    paused.send_signal(signal.SIGSTOP)
    time.sleep(PAUSE)
    paused.send_signal(signal.SIGCONT)
    assert engines.phase(run_id) == "Active", "the run was over before it came back"
    verdict = engines.verdict(run_id)
    fires_for_the_fault_alone(engines, verdict)
    taken_over_in_time(engines, run_id, verdict, "trading-engine-2", "trading-engine")
    assert "goes on without this process" in engines.log("second")
    wait_for("the strategies to be split again", lambda: split(engines))
