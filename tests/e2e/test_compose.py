"""The Compose deployment on a real engine: separation of networks, scenarios, kills and updates."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.running import Client, wait_for
from tests.e2e.deployment import ROOT, Deployment, as_embedded, linked, ready, url
from tests.observability.prometheus import drawn
from trading.topology import (
    AUDIT_CORRELATOR,
    CUSTODIAN,
    EXCHANGE,
    JAEGER,
    OTEL_COLLECTOR,
    PROMETHEUS,
    RISK_MONITOR,
    SERVICES,
    TEST_COORDINATOR,
    TRADING_ENGINE,
    may_connect,
)
from trading.units import SECOND


def test_every_component_runs(deployment: Deployment) -> None:
    running = deployment.compose("ps", "--services", "--status", "running").split()
    expected = set(deployment.components) - {"secrets", "database"}
    assert expected == set(running)
    if deployment.missing:
        pytest.skip(
            f"{', '.join(deployment.missing)}: the images can neither be pulled nor made here;"
            " all others run"
        )


@pytest.mark.parametrize("source", SERVICES)
def test_who_reaches_whom_is_the_topology(deployment: Deployment, source: str) -> None:
    others = [name for name in SERVICES if name != source]
    expected = {target for target in others if may_connect(source, target)}
    assert deployment.reaches(source, others) == expected


def test_the_separation_test_would_notice(deployment: Deployment) -> None:
    """Connect the risk monitor to the coordinator's network: the mistake that must be detected."""
    network = next(
        name
        for name in deployment.inspect("test-coordinator")["NetworkSettings"]["Networks"]
        if name.endswith("_test-coordinator")
    )
    monitor = deployment.container("risk-monitor")
    docker("network", "connect", network, monitor)
    try:
        assert "test-coordinator" in deployment.reaches("risk-monitor", ["test-coordinator"])
    finally:
        docker("network", "disconnect", network, monitor)
    assert deployment.reaches("risk-monitor", ["test-coordinator"]) == set()


def test_nothing_reaches_the_internet(deployment: Deployment) -> None:
    for name in SERVICES:
        networks = deployment.inspect(name)["NetworkSettings"]["Networks"]
        assert networks and not any(network["Gateway"] for network in networks.values())


def test_containers_may_do_no_more_than_they_need(deployment: Deployment) -> None:
    for name in (*SERVICES, "edge"):
        host = deployment.inspect(name)["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
    listed = deployment.compose("exec", "-T", "exchange", "ls", "/run/secrets/trading").split()
    assert "api-secret" in listed and "risk-token" not in listed


def test_prometheus_reads_every_service(deployment: Deployment) -> None:
    def up() -> set[str]:
        query = {"query": "up == 1"}
        response = httpx.get("http://127.0.0.1:9090/api/v1/query", params=query).json()
        return {sample["metric"]["job"] for sample in response["data"]["result"]}

    assert PROMETHEUS in deployment.components
    wait_for("every service to be read", lambda: set(SERVICES) <= up())


def test_a_scenario_passes_as_in_the_embedded_runtime(deployment: Deployment) -> None:
    began = time.monotonic()
    done = deployment.run("scenario", "run", "market-crash")
    wall = time.monotonic() - began
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Pass" in done.stdout
    run_id = done.stdout.split()[1]
    verdict = as_embedded(run_id, "market-crash")
    simulated = (verdict.ended_at - verdict.started_at) / SECOND
    waited = httpx.get(f"{url(TEST_COORDINATOR)}/runs/{run_id}", timeout=30).json()["waited"]
    print(
        f"market-crash from the command to its verdict {wall:.1f} s, {simulated / wall:.0f}"
        f" simulated seconds per second; waited: {waited}",
        flush=True,
    )


def test_every_panel_has_data_after_it(deployment: Deployment) -> None:
    assert PROMETHEUS in deployment.components
    without_data = {
        target["expr"]: f"{dashboard['title']}: {panel['title']}"
        for dashboard in dashboards()
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    }

    def all_drawn() -> bool:
        now = time.time()
        for expr in list(without_data):
            if drawn("http://127.0.0.1:9090", expr, now - 600, now, "30s"):
                del without_data[expr]
        return not without_data

    with contextlib.suppress(AssertionError):
        wait_for("the next reading", all_drawn, 20)
    assert without_data == {}


def test_a_trace_goes_from_the_order_to_the_alert(deployment: Deployment) -> None:
    assert {OTEL_COLLECTOR, JAEGER} <= set(deployment.components), deployment.missing
    query = {"service": RISK_MONITOR, "operation": "alert", "lookback": "1h", "limit": "100"}

    def whole() -> Any:
        answer = httpx.get("http://127.0.0.1:16686/api/traces", params=query, timeout=10).json()
        for trace in answer["data"] or ():
            names = {span["operationName"] for span in trace["spans"]}
            if {"order", "fill", "settlement", "alert"} <= names:
                return {process["serviceName"] for process in trace["processes"].values()}
        return None

    services = wait_for("the trace in Jaeger", whole)
    assert services == {TRADING_ENGINE, EXCHANGE, CUSTODIAN, RISK_MONITOR}


def test_a_scenario_passes_with_two_engines(deployment: Deployment) -> None:
    """Both are discovered, share the strategies and are audited; then it is scaled down again."""
    two = f"{TRADING_ENGINE}-2"
    deployment.up("--scale", f"{TRADING_ENGINE}=2")
    try:
        wait_for("the second engine's link", lambda: linked(TEST_COORDINATOR).get(two) == "ok")
        journal = f"journal of {two}"
        wait_for("its journal to be read", lambda: linked(AUDIT_CORRELATOR).get(journal) == "ok")
        done = deployment.run("scenario", "run", "exchange-downtime")
        print(done.stdout)
        assert done.returncode == 0, done.stdout + done.stderr
        shares = [
            len([s for s in deployment.strategies(number) if s["state"] == "RUNNING"])
            for number in (1, 2)
        ]
        assert shares == [2, 2]
    finally:
        deployment.up("--scale", f"{TRADING_ENGINE}=1")
    for name in SERVICES:
        wait_for(f"{name} again", lambda name=name: ready(name))
    assert two not in linked(TEST_COORDINATOR)


def dashboards() -> list[Any]:
    folder = ROOT / "charts/trading/files/grafana/dashboards"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_killed_containers_come_back_with_everything(deployment: Deployment) -> None:
    with orders(deployment) as client:
        placed = {place(client, f"before-the-kill-{number}") for number in range(5)}
        for name in ("exchange", "postgres", "risk-monitor"):
            docker("kill", deployment.container(name))
            deployment.compose("start", name)
        for name in SERVICES:
            wait_for(f"{name} again", lambda name=name: ready(name))
        assert placed <= resting(client)


def test_health_names_what_is_down_and_deploy_brings_it_back(deployment: Deployment) -> None:
    without = [word for name in deployment.missing for word in ("--without", name)]
    well = deployment.run("health", *without)
    assert well.returncode == 0, well.stdout + well.stderr
    assert "✅ Risk monitor: Healthy" in well.stdout and "❌" not in well.stdout

    docker("kill", deployment.container(CUSTODIAN))
    wait_for("the links to end", lambda: linked(RISK_MONITOR)[CUSTODIAN] != "ok")
    ill = deployment.run("health", *without)
    assert ill.returncode == 1
    assert "❌ Custodian: Failed" in ill.stdout and "❌ Risk monitor: Degraded" in ill.stdout
    assert "✅ Exchange: Healthy" in ill.stdout

    done = deployment.run("deploy", *without)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Custodian: healthy" in done.stdout
    assert deployment.run("health", *without).returncode == 0


def test_logs_are_merged_and_filtered(deployment: Deployment) -> None:
    output = deployment.run("logs", "--tail", "20", "exchange", "custodian").stdout
    lines = [line for line in output.splitlines() if not line.startswith(" ")]
    assert {line.split()[1] for line in lines} == {"exchange", "custodian"}
    times = [line.split()[0] for line in lines]
    assert times == sorted(times)


def test_cleanup_asks_first(deployment: Deployment) -> None:
    done = deployment.run("cleanup")
    assert done.returncode != 0
    assert ready(EXCHANGE)


def test_one_service_is_updated_alone(deployment: Deployment) -> None:
    before = {name: deployment.container(name) for name in SERVICES}
    deployment.compose("up", "--detach", "--no-deps", "--force-recreate", "risk-monitor")
    wait_for("the risk monitor", lambda: ready("risk-monitor"))
    after = {name: deployment.container(name) for name in SERVICES}
    assert {name for name in SERVICES if before[name] != after[name]} == {"risk-monitor"}


def test_data_outlives_the_containers(deployment: Deployment) -> None:
    runs = httpx.get(url("test-coordinator") + "/runs").json()
    with orders(deployment) as client:
        place(client, "before-the-end")
    deployment.compose("down")
    deployment.up()
    for name in SERVICES:
        wait_for(f"{name} again", lambda name=name: ready(name))
    assert httpx.get(url("test-coordinator") + "/runs").json() == runs
    with orders(deployment) as client:
        assert "before-the-end" in resting(client)


@contextlib.contextmanager
def orders(deployment: Deployment) -> Iterator[Client]:
    """Yield a client of the exchange once the exchange is ready."""
    wait_for("the exchange", lambda: ready("exchange"))
    client = deployment.exchange()
    try:
        yield client
    finally:
        client.http.close()


def place(client: Client, name: str) -> str:
    """Place an order that rests a little below the market, and return its id."""
    last = client.http.get("/api/v3/ticker/price", params={"symbol": "BTCUSDT"}).json()["price"]
    answer = client.order(
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.001",
        price=f"{float(last) * 0.96:.2f}",
        newClientOrderId=name,
    )
    assert answer.status_code == 200, answer.text
    return name


def resting(client: Client) -> set[str]:
    return {order["clientOrderId"] for order in client.signed("GET", "openOrders").json()}


def docker(*words: str) -> Any:
    done = subprocess.run(["docker", *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout.startswith(("[", "{")) else done.stdout
