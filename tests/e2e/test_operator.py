"""kubectl apply of scenarios, to their verdicts, in a real cluster: partitions that are real, and
everything that can go away in the middle.
"""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from tests.api.running import wait_for
from tests.e2e.deployment import ROOT, UNHURRIED, url
from tests.e2e.operator import (
    HOLE,
    NAMESPACE,
    Release,
    as_embedded,
    dark,
    timed,
    unhurried,
    written,
)
from tests.e2e.rights import ALLOWED, FORBIDDEN, may
from tests.trading_operator.wrong import WRONG, wrong_resource
from trading.topology import TEST_COORDINATOR

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def applied(release: Release, tmp_path: Path) -> Iterator[Any]:
    """Applies a document, and removes it afterwards, whatever has become of it."""
    names = []

    def apply(document: dict[str, Any]) -> str:
        name = str(document["metadata"]["name"])
        release.apply(written(tmp_path, name, document))
        names.append(name)
        return name

    yield apply
    for name in names:
        release.delete(name)
        wait_for(f"{name} to go", lambda name=name: not release.exists(name), 300)
    assert release.cuts() == []


def cut_off(release: Release) -> None:
    wait_for("the partition", lambda: release.cuts() == release_cut(release), 120)


def release_cut(release: Release) -> list[str]:
    found = [c for c in release.cuts() if c.endswith("-risk-monitor")]
    return found or ["none yet"]


def verified(release: Release, name: str) -> Any:
    faults = release.status(name).get("faults") or [{}]
    return faults[0].get("injectedAt")


@pytest.mark.parametrize("who", ALLOWED)
def test_each_part_may_do_what_it_does_and_nothing_else(release: Release, who: str) -> None:
    asked = {pair for allowed in ALLOWED.values() for pair in allowed} | set(FORBIDDEN)
    for verb, what in sorted(asked):
        assert may(who, verb, what, NAMESPACE) == ((verb, what) in ALLOWED[who]), (verb, what)
        assert not may(who, verb, what, "default"), (verb, what)


def test_explain_reads_well(release: Release) -> None:
    said = release.kubectl("explain", "chaos.spec.faults")
    for field in ("marketShock", "networkPartition", "duration", "DESCRIPTION"):
        assert field in said


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_resource_is_refused_or_ends_in_error_and_can_be_deleted(
    release: Release, tmp_path: Path, name: str
) -> None:
    wrong = wrong_resource(name)
    if WRONG[name].by != "model":
        with pytest.raises(ApiException) as refused:
            release.custom.create_namespaced_custom_object(
                "chaos.trading", "v1alpha1", NAMESPACE, "chaosscenarios", wrong
            )
        assert refused.value.status == 422
        assert "spec" in str(refused.value.body)
        return
    release.apply(written(tmp_path, name, wrong))
    try:
        status = release.ends(name, 60)
        assert (status["phase"], status["verdict"]) == ("Error", "Error")
        assert WRONG[name].says in status["message"] or name == "long-and-wrong"
    finally:
        release.delete(name)
    wait_for("it to go", lambda: not release.exists(name), 60)


def test_a_partition_is_real_and_noticed(release: Release, applied: Any) -> None:
    name = applied(unhurried())
    began = time.monotonic()
    wait_for("the fault", lambda: release.status(name).get("faults"), 240)
    requested = time.monotonic()
    wait_for("its evidence", lambda: verified(release, name), 60)
    print(f"\nrequested to verified in the data plane: {time.monotonic() - requested:.1f} s")
    assert release.cuts() == release.status(name)["policies"]
    status = release.ends(name)
    print(f"apply to verdict, at most {UNHURRIED}x: {time.monotonic() - began:.1f} s")
    print(f"partition to alert, simulated: {status['expectations'][0]['latency']}")
    assert status["verdict"] == "Pass", status
    assert status["expectations"][0]["met"] and status["expectations"][0]["latency"]
    assert "fresh and held" in status["faults"][0]["evidence"]
    assert release.cuts() == []
    told = release.events(name)
    for reason in ("FaultApplied", "Partitioned", "FaultInjected", "Reconnected", "Verdict"):
        assert reason in told
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    assert (
        conditions["Complete"] == conditions["Recovered"] == conditions["AuditVerified"] == "True"
    )
    wait_for(
        "the finalizer to go", lambda: not release.scenario(name)["metadata"].get("finalizers")
    )
    row = release.kubectl("get", "chaos", name).splitlines()[1].split()
    assert row[:3] == [name, "Completed", "Pass"]


def test_a_shipped_file_passes_unchanged_and_as_embedded(release: Release, applied: Any) -> None:
    document = yaml.safe_load((ROOT / "scenarios/market-crash.yaml").read_text(encoding="utf-8"))
    name = applied(document)
    done = release.kubectl("wait", "--for=condition=Complete", f"chaos/{name}", "--timeout=600s")
    assert "condition met" in done
    status = release.status(name)
    assert status["verdict"] == "Pass", status
    as_embedded(status, name)
    with pytest.raises(ApiException) as refused:
        release.custom.patch_namespaced_custom_object(
            "chaos.trading", "v1alpha1", NAMESPACE, "chaosscenarios", name, {"spec": {"seed": 99}}
        )
    assert "cannot change" in str(refused.value.body)


def test_a_silent_monitor_fails(release: Release, applied: Any) -> None:
    """The rule that would notice is switched off."""
    name = applied(dark("unnoticed", controls={"disable": ["venue-down"]}))
    status = release.ends(name)
    assert status["verdict"] == "Fail", status
    assert not status["expectations"][0]["met"]


def test_ten_partitions_each_verified_and_ended(release: Release, applied: Any) -> None:
    """By a wall clock, since it is the network's own time that is measured."""
    document = dark("ten", clock={"mode": "wall", "speed": 10}, recovery={"within": "10m"})
    pairs = [["risk-monitor", "exchange"], ["trading-engine", "market-data"]]
    document["spec"]["faults"] = [
        {
            "name": f"cut-{number}",
            "at": f"{30 + 90 * number}s",
            "duration": "40s",
            "networkPartition": {"between": [pairs[number % 2]]},
        }
        for number in range(10)
    ]
    document["spec"]["expect"] = [{"alert": "venue-down", "of": "cut-0", "within": "30s"}]
    name = applied(document)
    seen: dict[tuple[str, str], float] = {}

    def ended() -> Any:
        status = release.status(name)
        for fault in status.get("faults", ()):
            for step in ("requestedAt", "injectedAt"):
                if fault.get(step):
                    seen.setdefault((fault["name"], step), time.monotonic())
        return status.get("verdict")

    assert wait_for("the verdict", ended, 400) == "Pass", release.status(name)
    names = sorted({fault for fault, _ in seen})
    took = sorted(seen[n, "injectedAt"] - seen[n, "requestedAt"] for n in names)
    assert len(took) == 10
    print(
        f"\nten partitions, requested to verified: median {took[5]:.2f} s, worst {took[-1]:.2f} s"
    )


def test_the_second_waits_and_says_why(release: Release, applied: Any) -> None:
    first = applied(unhurried("first"))
    wait_for("the first", lambda: release.status(first).get("phase") not in (None, "Pending"))
    second = applied(unhurried("second"))
    wait_for("its reason", lambda: "has not ended" in release.status(second).get("message", ""))
    assert release.status(second)["phase"] == "Pending"
    release.delete(first)
    wait_for("the second", lambda: release.status(second).get("phase") == "SteadyState", 120)
    release.delete(second)


def test_deleted_in_the_middle_it_ends_its_fault_first(release: Release, applied: Any) -> None:
    name = applied(unhurried("deleted"))
    cut_off(release)
    release.delete(name)
    timed("delete to gone, fault recovered", lambda: not release.exists(name))
    assert release.cuts() == []


def test_the_operator_killed_in_the_middle_goes_on(release: Release, applied: Any) -> None:
    """And the next one renews the partition that it has found."""
    document = unhurried("operator-killed")
    document["spec"]["faults"][0]["duration"] = "8m"
    name = applied(document)
    cut_off(release)
    until = release.recover_by()
    release.kill("operator")
    wait_for("the renewal", lambda: release.recover_by() > until)
    assert verified(release, name)
    status = release.ends(name)
    assert status["verdict"] == "Pass", status
    assert release.cuts() == []


def test_an_upgrade_in_the_middle_goes_on(release: Release, applied: Any) -> None:
    """With another operator, whose pod is replaced."""
    name = applied(unhurried("upgraded"))
    cut_off(release)
    before = release.pod("operator")
    more = {"requests": {"cpu": "50m", "memory": "80Mi"}, "limits": {"memory": "256Mi"}}
    release.install(operator={"resources": more})
    assert release.pod("operator") != before
    status = release.ends(name)
    assert status["verdict"] == "Pass", status
    assert release.cuts() == []


def test_the_api_server_away_for_a_while(release: Release, applied: Any) -> None:
    """The fault ends meanwhile; time stands still until its policy goes, when the API server is
    back.
    """
    name = applied(unhurried("headless"))
    cut_off(release)
    run_id = release.status(name)["run"]
    manifest, aside = (
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "/etc/kubernetes/apiserver.yaml",
    )

    def on_node(*words: str) -> None:
        subprocess.run(["docker", "exec", "trading-control-plane", *words], check=True)

    seen: list[int] = []

    def stands_still() -> bool:
        """The same simulated time ten times, once a second."""
        with contextlib.suppress(httpx.HTTPError):
            found = httpx.get(f"{url(TEST_COORDINATOR)}/runs/{run_id}", timeout=5).json()
            seen.append(found["at"])
        time.sleep(1)
        return len(seen) >= 10 and len(set(seen[-10:])) == 1

    on_node("mv", manifest, aside)
    try:
        wait_for("time to stand still", stands_still, 120)
    finally:
        on_node("mv", aside, manifest)

    def back() -> Any:
        try:
            return release.status(name).get("verdict")
        except Exception:
            return None

    assert wait_for("the verdict", back, 300) == "Pass", release.status(name)
    assert release.cuts() == []


def test_the_coordinator_killed_in_the_middle_ends_its_faults(
    release: Release, applied: Any
) -> None:
    name = applied(unhurried("coordinator-killed"))
    cut_off(release)
    release.kill("test-coordinator")
    status = release.ends(name)
    assert status["verdict"] in ("Pass", "Fail", "Inconclusive"), status
    assert release.cuts() == []


def test_a_policy_that_would_defeat_it_is_found_before_the_start(
    release: Release, applied: Any, tmp_path: Path
) -> None:
    release.apply(written(tmp_path, "hole", HOLE))
    try:
        name = applied(dark("defeated"))
        message = "NetworkPolicy hole allows risk-monitor to reach exchange"
        wait_for("the reason", lambda: release.status(name).get("message") == message)
        assert release.status(name)["phase"] == "Pending"
        release.delete(name)
    finally:
        release.kubectl("delete", "networkpolicy", "hole")


def test_without_enforcement_it_is_inconclusive(
    release: Release, applied: Any, tmp_path: Path
) -> None:
    """A hole that opens after the preflight: to the operator the same as a network plugin that
    takes policies and holds none.
    """
    name = applied(unhurried("open"))
    wait_for("the run", lambda: release.status(name).get("phase") == "SteadyState")
    release.apply(written(tmp_path, "hole", HOLE))
    try:
        status = release.ends(name)
        assert status["verdict"] == "Inconclusive", status
    finally:
        release.kubectl("delete", "networkpolicy", "hole")


def test_the_reaper_ends_what_nobody_renews(release: Release, applied: Any) -> None:
    """The operator never comes back: time and the CronJob are enough."""
    name = applied(unhurried("orphaned"))
    cut_off(release)
    release.kubectl("scale", "deploy/trading-operator", "--replicas=0")
    try:
        timed("operator gone to partition gone", lambda: release.cuts() == [], 200)
    finally:
        release.kubectl("scale", "deploy/trading-operator", "--replicas=1")
    status = release.ends(name)
    assert status["verdict"], status


def test_fifty_that_have_ended_cost_nothing(release: Release, tmp_path: Path) -> None:
    count = "chaos_operator_reconcile_seconds_count"

    def one(number: int) -> tuple[float, float]:
        """Looks that it took, and wall seconds, to its end in Error."""
        name = f"ended-{number}"
        wrong = dark(name, **WRONG["subject-of-a-breaker"].spec)
        before, began = release.metric(count), time.monotonic()
        release.apply(written(tmp_path, name, wrong))
        release.ends(name, 60)
        took = time.monotonic() - began
        return release.metric(count) - before, took

    try:
        first = one(0)
        for number in range(1, 50):
            name = f"ended-{number}"
            wrong = dark(name, **WRONG["subject-of-a-breaker"].spec)
            written(tmp_path, name, wrong)
        release.kubectl("apply", "--filename", str(tmp_path))
        for number in range(1, 50):
            release.ends(f"ended-{number}", 120)
        last = one(50)
        print(f"\none scenario alone and after 50: looks {first[0]:.0f} and {last[0]:.0f},")
        print(f"seconds {first[1]:.2f} and {last[1]:.2f}")
        assert last[0] <= first[0] + 1
    finally:
        release.kubectl("delete", "chaos", "--all", "--timeout=60s")
    memory = release.kubectl(
        "exec", "deploy/trading-operator", "--", "grep", "VmRSS", "/proc/1/status"
    )
    print(f"operator: {memory.strip()}")


def test_uninstall_in_the_middle_leaves_nothing(release: Release, tmp_path: Path) -> None:
    release.apply(written(tmp_path, "last", unhurried("last")))
    cut_off(release)
    release.uninstall()
    assert release.cuts() == []
    found = release.scenario("last")
    assert found["status"]["verdict"] == "Aborted"
    assert not found["metadata"].get("finalizers")
    release.kubectl("delete", "chaos", "last", "--timeout=30s")
