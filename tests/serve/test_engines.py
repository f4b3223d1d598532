"""Two trading engines share the strategies; a killed one's are taken over, none runs twice."""

import signal
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.running import wait_for
from tests.redis_server import RedisServer
from tests.serve.processes import Apart
from trading.topology import SERVICES

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]

ACCOUNTS = {"firm-mm", "firm-momentum", "firm-meanrev", "firm-index"}


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def engines(tmp_path: Path, redis: RedisServer) -> Iterator[Apart]:
    services = Apart(tmp_path / "data", REDIS_URL=redis.url)
    first = services.url["trading-engine"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    second = f"http://127.0.0.1:{port}"
    both = {"TRADING_ENGINE_URL": f"{first},{second}"}
    services._of = {"test-coordinator": both, "audit-correlator": both}
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
    found: list[dict[str, Any]] = httpx.get(services.url[engine] + "/api/v1/strategies").json()
    return {s["account"] for s in found if s["state"] == "RUNNING"}


def split(services: Apart) -> bool:
    one, two = running(services, "trading-engine"), running(services, "second")
    return len(one) == len(two) == 2 and one | two == ACCOUNTS


def owners(services: Apart) -> dict[str, list[str]]:
    """By account: the prefix with fencing number of every order that the venue took, in order."""
    found: dict[str, list[str]] = {}
    for entry in services.journal("exchange"):
        if entry[2] == "ExecutionReport" and entry[3]["execution_type"] == "NEW":
            report = entry[3]
            if report["account"] in ACCOUNTS:
                owner = report["client_order_id"].rpartition("-")[0]
                found.setdefault(report["account"], []).append(owner)
    return found


def never_in_turns(services: Apart) -> None:
    for account, seen in owners(services).items():
        changes = [b for a, b in pairwise(seen) if a != b]
        assert len(changes) == len(set(changes)), f"{account} was traded by two: {changes}"


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

    def told() -> bool:
        found = httpx.get(engines.url["second"] + "/ready").json()
        return bool(found["ready"]) and found["dependencies"]["redis"] != "ok"

    wait_for("the engine to say so", told)
    assert running(engines, "second") == before
    redis.start()
    wait_for("redis to be well", lambda: engines.linked("second"))
    assert split(engines)
