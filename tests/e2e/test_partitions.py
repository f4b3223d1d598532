"""A scenario disconnects containers from a network: really, and never for longer than its fault."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.running import wait_for
from tests.e2e.deployment import PROJECT, ROOT, Deployment, linked
from trading.deploy.commands import Commands
from trading.deploy.partitions import Partitions, kept_of
from trading.topology import EXCHANGE, RISK_MONITOR

#: Its clock is limited, so that the fault lasts long enough in wall time for the test to see it and
#: to kill the tool during it.
SCENARIO = """\
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: cut-off}
spec:
  description: The risk monitor loses the exchange
  clock: {speed: 10}
  steadyState: {for: 30s, within: 10m}
  faults:
    - name: cut
      at: 10s
      duration: 4m
      networkPartition: {between: [[risk-monitor, exchange]]}
  expect:
    - {alert: venue-down, subject: exchange, of: cut, within: 20s}
  recovery: {within: 5m}
"""


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the tool records what it has disconnected; all is connected again after the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    docker = Commands("docker", "", ROOT)
    with Partitions(PROJECT, docker):
        pass
    yield tmp_path
    with Partitions(PROJECT, docker):
        pass


def reached(deployment: Deployment) -> bool:
    return deployment.reaches(RISK_MONITOR, [EXCHANGE]) == {EXCHANGE}


def cut_by(tool: "subprocess.Popen[str]", deployment: Deployment) -> bool:
    assert tool.poll() is None, tool.communicate()[0]
    return not reached(deployment)


def begin(path: Path) -> "subprocess.Popen[str]":
    scenario = path / "cut-off.yaml"
    scenario.write_text(SCENARIO)
    environment = {"COMPOSE_PROJECT_NAME": PROJECT, "DATA_DIR": "/nonexistent"}
    return subprocess.Popen(
        [sys.executable, "-m", "trading.cli", "scenario", "run", str(scenario)],
        env={**os.environ, **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_partition_is_a_real_one_and_ends_with_the_fault(
    deployment: Deployment, state: Path
) -> None:
    assert reached(deployment)
    tool = begin(state)
    wait_for("the cut", lambda: cut_by(tool, deployment), 200)
    assert {cut.service for cut in kept_of(PROJECT).read()[0]} == {RISK_MONITOR}
    output, _ = tool.communicate(timeout=200)
    assert tool.returncode == 0, output
    assert f"network cut: disconnected {RISK_MONITOR} from {PROJECT}_{EXCHANGE}" in output
    assert f"network cut: connected {RISK_MONITOR} to {PROJECT}_{EXCHANGE}" in output
    assert reached(deployment)
    assert not kept_of(PROJECT).path.exists()


def test_a_killed_tool_s_cut_ends_by_its_lease(deployment: Deployment, state: Path) -> None:
    tool = begin(state)
    try:
        wait_for("the cut", lambda: cut_by(tool, deployment), 200)
    finally:
        tool.send_signal(signal.SIGKILL)
        tool.communicate()
    wait_for("the guard", lambda: reached(deployment), 40)
    wait_for("the links", lambda: linked(RISK_MONITOR)[EXCHANGE] == "ok")


def test_what_even_the_guard_has_left_the_next_start_connects(
    deployment: Deployment, state: Path
) -> None:
    docker = Commands("docker", "", ROOT)
    with Partitions(PROJECT, docker) as first:
        first.cut("left", [(EXCHANGE, RISK_MONITOR)])
        (guard,) = guards()
        os.kill(guard, signal.SIGKILL)
        assert not reached(deployment)
        assert json.loads(kept_of(PROJECT).path.read_text())["cuts"]
        with Partitions(PROJECT, docker):
            assert reached(deployment)
        assert not kept_of(PROJECT).path.exists()


def guards() -> list[int]:
    """Return the process ids of this test's guards, which have its state file as an argument."""
    state_file = str(kept_of(PROJECT).path)
    pids = []
    for folder in Path("/proc").iterdir():
        try:
            words: Any = (folder / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if state_file in words and folder.name.isdigit():
            pids.append(int(folder.name))
    return pids
