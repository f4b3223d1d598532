"""Scenario runs against the running ecosystem."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import trading
from tests.api.running import Up, wait_for

pytestmark = pytest.mark.timeout(600)


def command(up: Up, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trading.cli", "scenario", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COORDINATOR_URL": up.url["test-coordinator"], "DATA_DIR": str(up.data)},
    )


def finished(up: Up, run_id: str) -> dict[str, Any]:
    with up.coordinator() as coordinator:

        def verdict() -> Any:
            return coordinator.get(f"/runs/{run_id}").json()["verdict"]

        found: dict[str, Any] = wait_for("the verdict", verdict, 300)
    return found


def test_a_run_gives_the_embedded_runtime_s_verdict(up: Up) -> None:
    """The same scenario and seed: the same verdict and fault timeline, to the microsecond."""
    done = command(up, "run", "market-crash", "--set", "clock.speed=300")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "met  alert drawdown" in done.stdout
    run_id = done.stdout.split()[1]
    live = finished(up, run_id)
    embedded = trading.run("market-crash", overrides={"clock.speed": "300"})
    wanted: dict[str, Any] = json.loads(msgspec.json.encode(embedded))
    for verdict in (live, wanted):
        verdict["audit"].pop("journals")
    assert live["outcome"] == "Pass"
    assert live["faults"] == wanted["faults"]
    assert live["expectations"] == wanted["expectations"]
    assert live["phases"] == wanted["phases"]
    assert not live["audit"]["discrepancies"]
    assert live["audit"]["coverage_ppm"] == 1_000_000
    assert run_id in command(up, "runs").stdout


def test_the_journals_of_a_run_verify(up: Up) -> None:
    from trading.runtime.journal import from_ndjson, verify

    for service, url in up.url.items():
        if not url.startswith("http") or service == "dashboard":
            continue
        lines = httpx.get(url + "/journal", timeout=60).content.splitlines()
        length, _ = verify(from_ndjson(line) for line in lines)
        assert length == len(lines) > 0, service


def test_an_aborted_run_takes_its_fault_back(up: Up) -> None:
    begun = command(up, "run", "exchange-downtime", "--set", "clock.speed=300", "--detach")
    assert begun.returncode == 0, begun.stderr
    run_id = begun.stdout.split()[1]
    with up.coordinator() as coordinator:
        refused = coordinator.post("/runs", json={"scenario": "market-crash"})
        assert refused.status_code == 409
        assert run_id in refused.json()["detail"]
        wait_for(
            "the fault", lambda: coordinator.get(f"/runs/{run_id}").json()["phase"] == "Active"
        )
    done = command(up, "abort", run_id, "--reason", "seen enough")
    assert done.returncode == 0, done.stderr
    watched = command(up, "watch", run_id)
    assert watched.returncode == 4, watched.stdout
    verdict = finished(up, run_id)
    assert verdict["outcome"] == "Aborted"
    assert verdict["reasons"][0] == "aborted: seen enough"
    fault = verdict["faults"][0]
    assert fault["end_reason"] == "RECOVERED"
    assert fault["recovered_at"] >= fault["ended_at"] > 0


def test_a_run_goes_on_after_a_restart(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    begun = command(up, "run", "exchange-downtime", "--set", "clock.speed=300", "--detach")
    run_id = begun.stdout.split()[1]
    with up.coordinator() as coordinator:
        wait_for(
            "the fault", lambda: coordinator.get(f"/runs/{run_id}").json()["phase"] == "Active"
        )
    up.stop(9)
    up.start()
    try:
        assert finished(up, run_id)["outcome"] == "Pass"
    finally:
        up.stop()


def test_runs_need_the_token(up: Up) -> None:
    url = up.url["test-coordinator"]
    assert httpx.post(url + "/runs", json={"scenario": "market-crash"}).status_code == 401
    wrong = {"Authorization": "Bearer nonsense"}
    answer = httpx.post(url + "/runs", json={"scenario": "market-crash"}, headers=wrong)
    assert answer.status_code == 401
    assert httpx.get(url + "/runs").status_code == 200


def test_without_chaos_nobody_may_run_anything(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", ENABLE_CHAOS_SCENARIOS="false")
    try:
        with up.coordinator() as coordinator:
            assert coordinator.post("/runs", json={"scenario": "market-crash"}).status_code == 403
    finally:
        up.stop()


def test_a_wrong_scenario_is_refused_with_every_mistake(up: Up) -> None:
    text = (
        "apiVersion: chaos.trading/v1alpha1\nkind: ChaosScenario\nmetadata: {name: x}\nspec: {}\n"
    )
    with up.coordinator() as coordinator:
        answer = coordinator.post("/runs", json={"text": text})
    assert answer.status_code == 422
    assert "spec.faults" in answer.json()["detail"]
    assert "spec.expect" in answer.json()["detail"]


def test_a_scenario_from_the_network_reads_no_file(up: Up, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("time,price\n2026-01-01T00:00:00Z,SECRET\n")
    shipped = Path("scenarios/market-crash.yaml").read_text()
    text = shipped.replace(
        "spec:\n",
        f"spec:\n  market: {{source: replay, replay: {{file: {secret}, asset: BTC}}}}\n",
        1,
    )
    with up.coordinator() as coordinator:
        answer = coordinator.post("/runs", json={"text": text})
    assert answer.status_code == 422
    assert "cannot read files" in answer.json()["detail"]
    assert "SECRET" not in answer.text


def test_an_own_scenario_is_kept(up: Up) -> None:
    text = Path("scenarios/market-crash.yaml").read_text().replace("market-crash", "my-crash")
    with up.coordinator() as coordinator:
        headers = {"content-type": "application/yaml"}
        answer = coordinator.post("/scenarios", content=text, headers=headers)
        assert answer.status_code == 201, answer.text
        listed = {s["name"]: s["source"] for s in coordinator.get("/scenarios").json()}
    assert listed["my-crash"] == "own"
    assert listed["market-crash"] == "shipped"


def test_events_go_on_where_they_stopped(up: Up) -> None:
    with up.coordinator() as coordinator:
        body = {"scenario": "market-crash", "overrides": {"clock.speed": "600"}}
        run_id = coordinator.post("/runs", json=body).json()["id"]
        headers = {"Last-Event-ID": "2"}
        with coordinator.stream("GET", f"/runs/{run_id}/events", headers=headers) as events:
            lines = [line for line in events.iter_lines() if line.startswith(("id", "data"))]
    if lines[0].startswith("id"):
        assert lines[0] == "id: 3"
    assert json.loads(lines[-1].removeprefix("data: "))["scenario"]
