"""Scenario runs over seven processes: what they say is what the embedded runtime says."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

import trading
from tests.api.running import wait_for
from tests.serve.processes import Apart, kinds
from trading.topology import SERVICES, may_connect

pytestmark = [pytest.mark.alone, pytest.mark.timeout(600)]

#: How far apart the same moment may be, microseconds: a beat for each of two processes.
CLOSE = 2_500_000

PARTITION = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: blind-monitor}
spec:
  description: The risk monitor cannot reach the exchange
  seed: 5
  clock: {speed: 20}
  steadyState: {for: 30s, within: 10m}
  faults:
    - name: cut
      at: 30s
      duration: 1m
      networkPartition: {between: [[risk-monitor, exchange]]}
  expect:
    - {alert: venue-down, subject: exchange, of: cut, within: 20s}
  recovery: {within: 5m}
"""


def test_a_crash_ends_as_in_the_embedded_runtime(apart: Apart) -> None:
    """The same verdict and the same fault timeline; real networks are not exact to the
    microsecond.
    """
    found = apart.verdict(apart.run("market-crash"))
    wanted: dict[str, Any] = json.loads(msgspec.json.encode(trading.run("market-crash")))
    assert found["outcome"] == wanted["outcome"] == "Pass", found["reasons"]
    assert [p["phase"] for p in found["phases"]] == [p["phase"] for p in wanted["phases"]]
    for seen, known in zip(found["faults"], wanted["faults"], strict=True):
        for name in ("requested_at", "applied_at", "injected_at", "ended_at", "recovered_at"):
            assert abs(seen[name] - known[name]) < CLOSE, name
        assert seen["end_reason"] == known["end_reason"]
    for got, known in zip(found["expectations"], wanted["expectations"], strict=True):
        assert got["met"] == known["met"]
        assert abs(got["detected_at"] - known["detected_at"]) < CLOSE
    audit = found["audit"]
    assert audit["complete"]
    assert audit["coverage_ppm"] == 1_000_000
    assert audit["discrepancies"] == []


def test_the_monitor_knows_production_and_nothing_else(apart: Apart) -> None:
    """By its sockets, and by every message that it has received: after a whole run."""
    ports = {SERVICES[n].port + apart.offset: n for n in SERVICES}
    called = {
        ports[remote]
        for local, remote in connections(apart.process["risk-monitor"].pid)
        if remote in ports and local not in ports
    }
    allowed = {n for n in SERVICES if may_connect("risk-monitor", n)}
    assert called == allowed == {"exchange", "custodian", "market-data"}
    entries = apart.journal("risk-monitor")
    received = {m["msg"] for entry in entries if entry[2] == "Received" for m in entry[3]}
    assert received <= {
        "Start",
        "Wake",
        "Delivered",
        "PriceTick",
        "BookTop",
        "ExecutionReport",
        "AccountSnapshot",
        "CustodySnapshot",
        "SymbolStatusChanged",
        "KillSwitchChanged",
        "Ping",
        "Pong",
    }
    assert "market-crash" not in json.dumps(entries[:50])


def connections(pid: int) -> set[tuple[int, int]]:
    """(local port, remote port) of a process's established TCP connections."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes and fields[3] == "01":
            local, remote = (int(f.split(":")[1], 16) for f in fields[1:3])
            found.add((local, remote))
    return found


def test_a_partition_breaks_fresh_and_held_connections(apart: Apart) -> None:
    run_id = apart.run(PARTITION)
    wait_for("the fault", lambda: apart.phase(run_id) == "Active")
    monitor = SERVICES["exchange"].port + apart.offset
    held = {r for _, r in connections(apart.process["risk-monitor"].pid)}
    assert monitor not in held
    verdict = apart.verdict(run_id)
    assert verdict["outcome"] == "Pass", verdict["reasons"]
    fault = verdict["faults"][0]
    assert fault["evidence"] == "fresh and held connection fail: risk-monitor - exchange"
    assert fault["recovered_at"] > fault["ended_at"] > fault["injected_at"]
    results = [e[3] for e in apart.journal("test-coordinator") if e[2] == "Received"]
    probes = [m for batch in results for m in batch if m["msg"] == "ProbeResult"]
    assert {(p["fresh_ok"], p["held_ok"]) for p in probes} >= {(False, False), (True, True)}


def test_an_aborted_run_takes_its_fault_back(apart: Apart) -> None:
    run_id = apart.run("exchange-downtime")
    wait_for("the fault", lambda: apart.phase(run_id) == "Active")
    with apart.coordinator() as coordinator:
        assert coordinator.post("/runs", json={"scenario": "market-crash"}).status_code == 409
        assert coordinator.post(f"/runs/{run_id}/abort", json={}).status_code == 202
    verdict = apart.verdict(run_id)
    assert verdict["outcome"] == "Aborted"
    assert verdict["faults"][0]["end_reason"] == "RECOVERED"
    assert verdict["faults"][0]["recovered_at"] > 0
    assert "FaultEnded" in kinds(apart.journal("exchange"))
