"""Tests scenario runs over seven processes: what each service receives, and aborts."""

import json
import os
from pathlib import Path

import pytest

from tests.api.running import wait_for
from tests.serve.processes import Apart, kinds
from trading.topology import SERVICES, may_connect

pytestmark = pytest.mark.timeout(600)


def test_the_monitor_knows_production_and_nothing_else(apart: Apart) -> None:
    """Checks the connections and all received messages of the monitor after a whole run."""
    assert apart.verdict(apart.run("market-crash"))["outcome"] == "Pass"
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
    """Return (local port, remote port) of the established TCP connections of a process."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes and fields[3] == "01":
            local, remote = (int(f.split(":")[1], 16) for f in fields[1:3])
            ports.add((local, remote))
    return ports


def test_an_aborted_run_takes_its_fault_back(apart: Apart) -> None:
    run_id = apart.run("exchange-downtime", overrides={"clock.speed": "60"})
    wait_for("the fault", lambda: apart.phase(run_id) == "Active")
    with apart.coordinator() as coordinator:
        assert coordinator.post("/runs", json={"scenario": "market-crash"}).status_code == 409
        assert coordinator.post(f"/runs/{run_id}/abort", json={}).status_code == 202
    verdict = apart.verdict(run_id)
    assert verdict["outcome"] == "Aborted"
    assert verdict["faults"][0]["end_reason"] == "RECOVERED"
    assert verdict["faults"][0]["recovered_at"] > 0
    assert "FaultEnded" in kinds(apart.journal("exchange"))
