"""The chart in a real cluster: installation, separation, runs, scaling, updates and a rollback."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.running import wait_for
from tests.e2e.deployment import CONNECT, ROOT, UNHURRIED, linked, need_cluster, url
from tests.e2e.operator import unhurried, written
from trading.topology import (
    AUDIT_CORRELATOR,
    RISK_MONITOR,
    SERVICES,
    TEST_COORDINATOR,
    TRADING_ENGINE,
    may_connect,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMESPACE = "trading-dev"
#: Grafana has no image here; the e2e of Compose says so.
WITHOUT = ("--without", "grafana")


def run(*words: str, check: bool = True, stdin: str = "") -> str:
    done = subprocess.run(words, capture_output=True, text=True, input=stdin, check=False, cwd=ROOT)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def kubectl(*words: str, **options: Any) -> str:
    return run("kubectl", "--namespace", NAMESPACE, *words, **options)


def trading(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trading.cli", *words],
        env={**os.environ, "DATA_DIR": "/nonexistent"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    need_cluster()
    # The cluster exists already; `trading up` loads the images, installs the chart and waits.
    done = trading("up", "--on", "kind", *WITHOUT)
    print(done.stdout, flush=True)
    assert done.returncode == 0, done.stdout + done.stderr
    yield
    trading("cleanup", "--on", "kubernetes", "--yes", "--volumes")


@pytest.fixture(autouse=True)
def _deployed(cluster: None) -> None:
    """Every test of this module needs the cluster."""


def reaches(source: str, targets: list[str]) -> set[str]:
    pods = json.loads(kubectl("get", "pods", "-o", "json"))["items"]
    address = {
        pod["metadata"]["labels"].get("app.kubernetes.io/component"): pod["status"].get("podIP")
        for pod in pods
        if pod["status"]["phase"] == "Running"
    }
    addresses = json.dumps([[address[name], SERVICES[name].port] for name in targets])
    workload = f"deploy/trading-{source}"
    results = json.loads(kubectl("exec", workload, "--", "python3", "-c", CONNECT, addresses))
    return {name for name, reached in zip(targets, results, strict=True) if reached}


def test_the_cluster_enforces_network_policies() -> None:
    """If it did not, every other test of the separation would prove nothing."""
    exchange = ["exchange"]
    assert reaches(RISK_MONITOR, exchange) == {"exchange"}
    kubectl("delete", "networkpolicy", "trading-exchange")
    try:
        wait_for("the denial", lambda: not reaches(RISK_MONITOR, exchange))
    finally:
        trading("deploy", "--on", "kubernetes", *WITHOUT)
    wait_for("the permission", lambda: reaches(RISK_MONITOR, exchange) == {"exchange"})


@pytest.mark.parametrize("source", SERVICES)
def test_who_reaches_whom_is_the_topology(source: str) -> None:
    others = [name for name in SERVICES if name != source]
    expected = {target for target in others if may_connect(source, target)}
    assert reaches(source, others) == expected


def test_helm_s_own_test_passes() -> None:
    run("helm", "test", "trading", "--namespace", NAMESPACE)


def test_all_is_healthy() -> None:
    done = trading("health", "--on", "kubernetes", *WITHOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✅ Risk monitor: Healthy" in done.stdout


def test_a_scenario_runs_through_the_kubernetes_api(tmp_path: Path) -> None:
    file = written(tmp_path, "exchange-dark", unhurried())
    changed = ("--set", "description=Changed here")
    done = trading("scenario", "run", str(file), "--on", "kubernetes", *changed)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NetworkPolicy chaos-" in done.stdout and "\nPass\n" in done.stdout
    overrides = "--output=jsonpath={.spec.overrides}"
    assert json.loads(kubectl("get", "chaos", "exchange-dark", overrides)) == [changed[1]]
    again = trading("scenario", "run", str(file), "--on", "kubernetes")
    assert again.returncode == 2 and "already (Pass)" in again.stderr
    kubectl("delete", "chaos", "exchange-dark")


def test_a_scenario_passes_while_one_service_is_updated_and_engines_are_scaled() -> None:
    """The run continues to its verdict."""
    pace = f"clock.speed={UNHURRIED}"
    began = trading("scenario", "run", "market-crash", "--detach", "--set", pace)
    assert began.returncode == 0, began.stdout + began.stderr
    run_id = began.stdout.split()[1]

    def phase() -> str:
        try:
            return str(httpx.get(url(TEST_COORDINATOR) + f"/runs/{run_id}").json()["phase"])
        except httpx.HTTPError:
            return ""

    wait_for("the fault", lambda: phase() == "Active", 300)
    options = ("--namespace", NAMESPACE, "--reuse-values", "charts/trading")
    engines = f"services.{TRADING_ENGINE}.replicas=2"
    run("helm", "upgrade", "trading", *options, "--set", engines)
    updated = f"deploy/trading-{AUDIT_CORRELATOR}"
    kubectl("rollout", "restart", updated)
    kubectl("rollout", "status", updated, "--timeout=120s")
    watched = trading("scenario", "watch", run_id)
    print(watched.stdout)
    assert "coverage 100%, everything reconciles" in watched.stdout, watched.stderr
    assert watched.returncode == 0, watched.stdout + watched.stderr
    # A run in virtual time keeps the engines that it started with.
    second = f"journal of {TRADING_ENGINE}-2"
    wait_for("the second engine", lambda: linked(AUDIT_CORRELATOR).get(second) == "ok", 120)


def test_a_rollback_keeps_the_data() -> None:
    before = httpx.get(url(TEST_COORDINATOR) + "/runs").json()
    assert before
    run("helm", "rollback", "trading", "1", "--namespace", NAMESPACE, "--wait", "--timeout=180s")
    wait_for("the coordinator", lambda: set(linked(TEST_COORDINATOR).values()) == {"ok"})
    assert httpx.get(url(TEST_COORDINATOR) + "/runs").json() == before
    engine = json.loads(kubectl("get", f"deploy/trading-{TRADING_ENGINE}", "-o", "json"))
    assert engine["spec"]["replicas"] == 1


def test_no_service_sees_another_s_secrets() -> None:
    token = kubectl("get", "secret", "trading-risk-monitor", "-o", "jsonpath={.data.risk-token}")
    secret = base64.b64decode(token).decode()
    for name in SERVICES:
        reading = ("sh", "-c", "cat /run/secrets/trading/*")
        output = kubectl("exec", f"deploy/trading-{name}", "--", *reading)
        assert (secret in output) == (name == RISK_MONITOR)
