"""Resources from their creation to their end, without a cluster: kopf's handlers, the calls to the
API server, and a real test coordinator.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.running import Up
from tests.trading_operator.api_server import ApiServer, api_server, operator, until
from trading.embedded.api import load_scenario
from trading.scenario.plan import plan_digest
from trading.scenario.result import Phase

UID = "0a1b2c3d-0000-0000-0000-00000000000"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    services = Up(tmp_path_factory.mktemp("up") / "data", LOG_LEVEL="warning")
    yield services
    services.stop()


def document(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "chaos.trading/v1alpha1",
        "kind": "ChaosScenario",
        "metadata": {"name": name},
        "spec": {
            "description": "The risk monitor cannot reach the exchange",
            "seed": 3,
            "clock": {"speed": 60},
            "steadyState": {"for": "30s", "within": "10m"},
            "faults": [
                {
                    "name": "cut",
                    "at": "30s",
                    "duration": "5m",
                    "networkPartition": {"between": [["risk-monitor", "exchange"]]},
                }
            ],
            "expect": [{"alert": "venue-down", "of": "cut", "within": "1m"}],
            "recovery": {"within": "20m"},
            **spec,
        },
    }


def run(scenario: Any) -> None:
    asyncio.run(scenario)


def test_from_apply_to_the_verdict(up: Up, tmp_path: Path) -> None:
    async def life() -> None:
        async with api_server() as server, operator(server, up, tmp_path) as metrics:
            await server.apply(document("whole"), UID + "1")
            await until("the cut", server.policies)
            named = server.status("whole")["policies"]
            assert server.policies() == named == ["chaos-0a1b2c3d-risk-monitor"]
            assert finalizers(server, "whole")
            await until("the verdict", lambda: server.status("whole").get("verdict"))
            assert server.status("whole")["verdict"] == "Pass", server.status("whole")
            assert server.policies() == []
            await until("the finalizer to go", lambda: not finalizers(server, "whole"))
            value = metrics.registry.get_sample_value
            assert value("chaos_operator_verdicts_total", {"verdict": "Pass"}) == 1
            assert value("chaos_operator_partition_policies") == 0
            assert value("chaos_operator_reconcile_seconds_count")

    run(life())


def test_what_was_changed_is_in_the_evidence(up: Up, tmp_path: Path) -> None:
    """The run of a resource that was made with overrides has these overrides, too."""
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump(document("changed", clock={})))
    overrides = {"faults.cut.duration": "2m", "steadyState": "{for: 45s, within: 9m}"}
    loaded = load_scenario(file, seed=8, overrides=overrides)
    expected = {**overrides, "seed": "8"}

    async def life() -> dict[str, Any]:
        async with api_server() as server, operator(server, up, tmp_path):
            await server.apply(loaded.resource, UID + "7")
            await until("the verdict", lambda: server.status("changed").get("verdict"))
            assert server.status("changed")["verdict"] == "Pass", server.status("changed")
            return server.status("changed")

    status = asyncio.run(life())
    with up.coordinator() as coordinator:
        run = coordinator.get(f"/runs/{status['run']}").json()
    assert run["overrides"] == expected
    setup = run["verdict"]["setup"]
    assert setup["overrides"] == expected
    assert setup["plan_digest"] == plan_digest(loaded.plan)
    command = run["verdict"]["command"]
    assert "--seed 8 --set faults.cut.duration=2m --set 'steadyState={" in command


@pytest.mark.parametrize("phase", ["Pending", "SteadyState", "Active", "Recovering"])
def test_the_operator_is_killed_in_a_phase_and_another_goes_on(
    up: Up, tmp_path: Path, phase: str
) -> None:
    name = f"killed-in-{phase.lower()}"
    killed = document(name, clock={"speed": 20})
    killed["spec"]["faults"][0]["duration"] = "2m"

    async def life() -> None:
        async with api_server() as server:
            async with operator(server, up, tmp_path):
                await server.apply(killed, f"{len(phase):08d}" + UID[8:] + "2")
                await until(phase, lambda: reached(server, name, phase))
            assert "verdict" not in server.status(name), "it was to be killed in the middle"
            async with operator(server, up, tmp_path):
                await until("the verdict", lambda: server.status(name).get("verdict"))
            assert server.status(name)["verdict"] == "Pass", server.status(name)
            assert server.policies() == []

    run(life())


def test_abort_takes_it_back(up: Up, tmp_path: Path) -> None:
    async def life() -> None:
        async with api_server() as server, operator(server, up, tmp_path):
            await server.apply(document("aborted"), UID + "3")
            await until("the cut", server.policies)
            await server.patch("aborted", {"spec": {"abort": True}})
            await until("the verdict", lambda: server.status("aborted").get("verdict"))
            assert server.status("aborted")["verdict"] == "Aborted"
            assert server.policies() == []

    run(life())


def test_a_delete_recovers_before_the_resource_is_gone(up: Up, tmp_path: Path) -> None:
    async def life() -> None:
        async with api_server() as server, operator(server, up, tmp_path):
            await server.apply(document("deleted"), UID + "4")
            await until("the cut", server.policies)
            await server.delete("deleted")
            while (resource := server.scenario("deleted")) is not None:
                assert resource["metadata"]["deletionTimestamp"]
                await asyncio.sleep(0.05)
            assert server.policies() == []

    run(life())


def test_deleted_while_no_operator_is_there_the_next_one_recovers(up: Up, tmp_path: Path) -> None:
    async def life() -> None:
        async with api_server() as server:
            async with operator(server, up, tmp_path):
                await server.apply(document("orphan"), UID + "5")
                await until("the cut", server.policies)
            await server.delete("orphan")
            assert server.scenario("orphan") and server.policies()
            async with operator(server, up, tmp_path):
                await until("it to go", lambda: server.scenario("orphan") is None)
            assert server.policies() == []

    run(life())


def test_what_the_coordinator_refuses_is_an_error_with_its_reason(up: Up, tmp_path: Path) -> None:
    async def life() -> None:
        async with api_server() as server, operator(server, up, tmp_path):
            await server.apply(document("refused", expect=[]), UID + "6")
            await until("the verdict", lambda: server.status("refused").get("verdict"))
            assert server.status("refused")["verdict"] == "Error"
            assert "expect" in server.status("refused")["message"]

    run(life())


def test_the_second_waits_for_the_first(up: Up, tmp_path: Path) -> None:
    async def life() -> None:
        async with api_server() as server, operator(server, up, tmp_path):
            await server.apply(document("first"), "1" + UID[1:] + "7")
            await until("the first", lambda: server.status("first").get("phase") == "SteadyState")
            await server.apply(document("second"), "2" + UID[1:] + "8")
            await until("its reason", lambda: "has not ended" in message(server, "second"))
            await server.delete("first")
            await until("the second", lambda: server.status("second").get("phase") == "Active")
            await server.delete("second")
            await until("its end", lambda: server.scenario("second") is None)

    run(life())


def reached(server: ApiServer, name: str, phase: str) -> bool:
    """Return whether ``phase`` was reached: it may be over before the status is read."""
    now = server.status(name).get("phase")
    return bool(now) and [*Phase].index(now) >= [*Phase].index(phase)


def finalizers(server: ApiServer, name: str) -> list[str]:
    resource = server.scenario(name)
    return list(resource["metadata"].get("finalizers") or ()) if resource else []


def message(server: ApiServer, name: str) -> str:
    return str(server.status(name).get("message", ""))
