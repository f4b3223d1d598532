"""The output of docker and kubectl as states and log lines; errors if a tool is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.compose_files import texts as compose_files
from tools.env_files import texts as env_files
from trading.deploy import on_compose, on_kubernetes
from trading.deploy.environments import (
    ENVIRONMENTS,
    DeploymentError,
    project_directory,
)
from trading.deploy.ready import parse_readiness
from trading.deploy.state import DONE, FAILED, HEALTHY, STARTING, Line

ROOT = Path(__file__).resolve().parent.parent.parent


def trading(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trading.cli", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "services"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "state", "health", "code", "status"),
    [
        ("exchange", "running", "healthy", 0, HEALTHY),
        ("jaeger", "running", "", 0, HEALTHY),
        ("exchange", "running", "starting", 0, STARTING),
        ("exchange", "created", "", 0, STARTING),
        ("exchange", "running", "unhealthy", 0, FAILED),
        ("exchange", "exited", "", 137, FAILED),
        ("exchange", "exited", "", 0, FAILED),
        ("exchange", "restarting", "", 1, FAILED),
        ("database", "exited", "", 0, DONE),
        ("database", "exited", "", 1, FAILED),
    ],
)
def test_a_container_s_state(name: str, state: str, health: str, code: int, status: str) -> None:
    container = {"State": state, "Health": health, "ExitCode": code}
    assert on_compose._state(name, container).status == status


def test_a_pod_s_state_says_what_it_waits_for() -> None:
    def pod(**status: object) -> dict[str, object]:
        return {"status": status}

    ready = pod(conditions=[{"type": "Ready", "status": "True"}])
    assert on_kubernetes._state("exchange", ready).status == HEALTHY
    no_room = {"type": "PodScheduled", "status": "False", "message": "Insufficient memory"}
    waits = on_kubernetes._state("exchange", pod(conditions=[no_room]))
    assert (waits.status, waits.problem) == (STARTING, "Insufficient memory")
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    failed = on_kubernetes._state("exchange", pod(containerStatuses=[{"state": waiting}]))
    assert (failed.status, failed.problem) == (FAILED, "ImagePullBackOff: no such image")


def test_lines_of_both_platforms() -> None:
    time = "2026-11-26T18:40:17.288123Z"
    assert on_compose._line(f"risk-monitor-1  | {time} a | b") == Line(
        time, "risk-monitor", "a | b"
    )
    assert on_compose._line(f"\x1b[2Kexchange-1  | {time} a") == Line(time, "exchange", "a")
    assert on_kubernetes._line(f"[pod/trading-exchange-6d/exchange] {time} a b") == Line(
        time, "exchange", "a b"
    )


def test_what_a_service_says_of_itself() -> None:
    response: dict[str, Any] = {
        "problem": None,
        "dependencies": {"journal": "ok", "custodian": "refused"},
    }
    assert parse_readiness(json.dumps(response)) == {"journal": "", "custodian": "refused"}
    response["problem"] = "starting"
    assert parse_readiness(json.dumps(response))["ready"] == "starting"
    assert parse_readiness("<html>") == {"ready": "its answer cannot be read"}


def test_every_environment_has_its_files() -> None:
    for environment in ENVIRONMENTS.values():
        for path in (environment.compose_file, environment.variables, *environment.values):
            assert (ROOT / path).is_file(), path


def test_variables_are_those_of_the_compose_files() -> None:
    texts = env_files(compose_files(ROOT))
    assert "ENABLE_CHAOS_SCENARIOS=false\n" in texts[Path("env/prod.env")]
    assert "ENABLE_CHAOS_SCENARIOS=true\n" in texts[Path("env/dev.env")]
    assert "#TRADING_SECRETS_DIR=\n" in texts[Path("env/prod.env")]
    assert "\n#SIGNING_KEY_FILE=\n" in texts[Path("env/dev.env")]
    assert "SIGNING_KEY" not in texts[Path("env/prod.env")]
    for text in texts.values():
        assert "token" not in text.lower() and "password" not in text.lower()


def test_no_checkout_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="no checkout of the trading ecosystem"):
        project_directory(tmp_path)
    completed = trading("health", cwd=tmp_path)
    assert completed.returncode == 1 and "--directory" in completed.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("deploy",), "there is no docker here: install Docker Engine"),
        (("deploy", "--on", "kubernetes"), "there is no helm here: install Helm"),
        (("logs",), "there is no docker here"),
        (("cleanup", "--yes"), "there is no docker here"),
    ],
)
def test_a_tool_that_is_not_there_is_named(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    completed = trading(*words, PATH=str(tmp_path))
    assert completed.returncode == 1, completed.stdout + completed.stderr
    assert message in completed.stderr and "Traceback" not in completed.stderr


def test_an_engine_that_is_not_there_is_said(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\ntest "$1" = --version\n')
    docker.chmod(0o755)
    completed = trading("deploy", PATH=f"{tmp_path}:/bin:/usr/bin", DOCKER_HOST="unix:///nowhere")
    assert completed.returncode == 1
    assert "no Docker engine answers" in completed.stderr


def test_a_component_that_cannot_be_left_out_is_refused() -> None:
    completed = trading("deploy", "--without", "exchange")
    assert completed.returncode == 2 and "exchange is none of postgres" in completed.stderr
