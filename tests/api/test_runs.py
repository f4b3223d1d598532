"""Scenario runs against the running ecosystem."""

import asyncio
import json
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from httpx_sse import connect_sse

import trading
from tests.api.running import Up, verdict_of, wait_for
from tests.forked import command as trading_command
from trading.scenario.signing import generate_key_pair, is_valid_signature, public_key
from trading.topology import SERVICES

pytestmark = pytest.mark.timeout(600)


def command(up: Up, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"COORDINATOR_URL": up.url["test-coordinator"], "DATA_DIR": str(up.data)}
    return trading_command("scenario", *arguments, env=environment)


def test_a_run_gives_the_embedded_runtime_s_verdict(up: Up) -> None:
    """The same scenario and seed give the same verdict and fault timeline, to the microsecond."""
    done = command(up, "run", "market-crash", "--set", "clock.speed=300")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "met  alert drawdown" in done.stdout
    run_id = done.stdout.split()[1]
    live = verdict_of(up, run_id)
    embedded = trading.run("market-crash", overrides={"clock.speed": "300"})
    expected: dict[str, Any] = json.loads(msgspec.json.encode(embedded))
    clocks = [verdict.pop("clock") for verdict in (live, expected)]
    assert [clock["speed"] for clock in clocks] == [300, None]
    assert live["outcome"] == "Pass"
    assert live == expected
    assert live["command"] == "trading run market-crash --seed 7 --set clock.speed=300"
    assert run_id in command(up, "runs").stdout
    assert_market_goes_on(up)


def test_a_run_that_was_changed_says_so_wherever_it_is_named(up: Up) -> None:
    """The description alone would be that of the unchanged scenario."""
    change = "faults.crash.marketShock.change=-6%"
    done = command(up, "run", "market-crash", "--set", change, "--seed", "8")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Fail  market-crash (changed)" in done.stdout
    assert f"changed   {change}, seed=8" in done.stdout
    assert f"again     trading run market-crash --seed 8 --set {change}" in done.stdout
    run_id = done.stdout.split()[1]
    with up.coordinator() as coordinator:
        listed = next(r for r in coordinator.get("/runs").json() if r["id"] == run_id)
        details = coordinator.get(f"/runs/{run_id}").json()
    overrides = {"faults.crash.marketShock.change": "-6%", "seed": "8"}
    assert listed["overrides"] == details["overrides"] == overrides
    assert details["verdict"]["setup"]["overrides"] == overrides
    assert f"changed: {change}, seed=8" in command(up, "runs").stdout
    token = {"X-Service": "audit-correlator"}
    journal = httpx.get(up.url["test-coordinator"] + "/journal", headers=token, timeout=60)
    entries = [json.loads(line)["entry"] for line in journal.text.splitlines()[:3]]
    assert entries[1][2] == "RunDescribed"
    assert entries[1][3]["setup"] == details["verdict"]["setup"]


def test_a_text_is_run_again_by_the_name_of_its_scenario(up: Up) -> None:
    text = Path("scenarios/exchange-downtime.yaml").read_text().replace("name: ex", "name: my-ex")
    with up.coordinator() as coordinator:
        run_id = coordinator.post("/runs", json={"text": text}).json()["id"]
    verdict = verdict_of(up, run_id)
    assert verdict["command"].startswith("trading run my-exchange-downtime.yaml --seed ")


def test_verdicts_are_signed_with_the_coordinator_s_key(tmp_path: Path) -> None:
    """Any Ed25519 implementation can check the signature, which covers the statement's bytes."""
    private, public = generate_key_pair()
    (tmp_path / "key").write_text(private)
    up = Up(tmp_path / "data", SIGNING_KEY_FILE=str(tmp_path / "key"))
    try:
        done = command(up, "run", "exchange-downtime")
        assert done.returncode == 0, done.stdout + done.stderr
        run_id = done.stdout.split()[1]
        with up.coordinator() as coordinator:
            details = coordinator.get(f"/runs/{run_id}").json()
    finally:
        up.stop()
    signed = details["signed"]
    statement, signature = signed["statement"].encode(), b64decode(signed["signature"])
    assert signed["public_key"] == public
    assert is_valid_signature(public_key(public), statement, signature)
    assert not is_valid_signature(
        public_key(public), statement.replace(b"Pass", b"Fail"), signature
    )
    signed_content = json.loads(statement)
    assert signed_content["verdict"] == details["verdict"]
    assert signed_content["plan"]["plan"]["name"] == "exchange-downtime"
    assert "PRIVATE" not in (tmp_path / "data.log").read_text() + json.dumps(details)


def test_a_wrong_signing_key_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    with pytest.raises(RuntimeError, match=r"SIGNING_KEY: .*is no private key in PEM"):
        Up(tmp_path / "data", SIGNING_KEY_FILE=str(tmp_path / "key"))


def assert_market_goes_on(up: Up) -> None:
    """Check that the journals grow between runs without any request: the monitor and the market act
    in every second.
    """

    def length(service: str) -> int:
        head: dict[str, int] = httpx.get(f"{up.url[service]}/journal/head").json()
        return head["length"]

    for service in ("market-data", "exchange", "risk-monitor"):
        for _ in range(3):
            before = length(service)
            wait_for(f"{service} to go on", lambda s=service, n=before: length(s) > n, 20)


@pytest.mark.parametrize("mode", ["virtual", "wall"])
def test_time_goes_on_after_an_aborted_run(up: Up, mode: str) -> None:
    ran = command(up, "run", "market-crash", "--set", f"clock.mode={mode}", "--detach")
    assert ran.returncode == 0, ran.stderr
    run_id = ran.stdout.split()[1]
    assert command(up, "abort", run_id).returncode == 0
    verdict_of(up, run_id)
    assert_market_goes_on(up)


def test_the_journals_of_a_run_verify(up: Up) -> None:
    from trading.runtime.journal import from_ndjson, verify

    for service, url in up.url.items():
        if service not in SERVICES:
            continue
        lines = httpx.get(url + "/journal", timeout=60).content.splitlines()
        length, _ = verify(from_ndjson(line) for line in lines)
        assert length == len(lines) > 0, service


def test_an_aborted_run_takes_its_fault_back(up: Up) -> None:
    begun = command(up, "run", "exchange-downtime", "--set", "clock.speed=30", "--detach")
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
    verdict = verdict_of(up, run_id)
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
        assert verdict_of(up, run_id)["outcome"] == "Pass"
    finally:
        up.stop()


def test_two_requests_at_once_begin_one_run(up: Up) -> None:
    """The first request starts the run; the others are refused and do not disturb it."""

    async def post(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
        return await client.post("/runs", json=body)

    async def together(*bodies: dict[str, Any]) -> list[httpx.Response]:
        headers = {"Authorization": f"Bearer {up.credentials['chaos_token']}"}
        url = up.url["test-coordinator"]
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            return await asyncio.gather(*(post(client, body) for body in bodies))

    slow = {"scenario": "exchange-downtime", "overrides": {"clock.speed": "300"}}
    answers = asyncio.run(together(*[slow] * 8))
    assert sorted(a.status_code for a in answers) == [202, *[409] * 7]
    (begun,) = [a.json()["id"] for a in answers if a.status_code == 202]
    assert all(begun in a.json()["detail"] for a in answers if a.status_code == 409)
    assert verdict_of(up, begun)["outcome"] == "Pass"

    answers = asyncio.run(together(*[{**slow, "id": "only-one"}] * 8))
    assert {a.status_code for a in answers} == {202}
    assert {a.json()["id"] for a in answers} == {"only-one"}
    assert verdict_of(up, "only-one")["outcome"] == "Pass"
    listed = httpx.get(up.url["test-coordinator"] + "/runs").json()
    assert [r["id"] for r in listed].count("only-one") == 1


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


def test_a_monitor_of_the_user_s_is_refused_where_it_cannot_be_judged(up: Up) -> None:
    """It would be silent, and its run a Fail that says nothing about it."""
    shipped = Path("scenarios/market-crash.yaml").read_text()
    with up.coordinator() as coordinator:
        for body in (
            {"scenario": "market-crash", "overrides": {"monitors": "[risk-monitor, desk]"}},
            {"text": shipped.replace("spec:\n", "spec:\n  monitors: [desk]\n", 1)},
        ):
            response = coordinator.post("/runs", json=body)
            assert response.status_code == 422, response.text
            assert "judge 'desk' with trading run --monitor desk=exec:COMMAND" in response.text


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
        with connect_sse(coordinator, "GET", f"/runs/{run_id}/events", headers=headers) as stream:
            events = list(stream.iter_sse())
    assert next(event.id for event in events if event.id) == "3"
    assert events[-1].json()["scenario"]
