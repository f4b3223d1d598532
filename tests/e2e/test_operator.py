"""Scenarios in a real cluster, from kubectl apply to their verdicts: partitions are enforced, and
everything that can fail in the middle does.
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
    """Returns a function that applies a resource; each is deleted after the test."""
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
    names = [c for c in release.cuts() if c.endswith("-risk-monitor")]
    return names or ["none yet"]


def verified(release: Release, name: str) -> Any:
    faults = release.status(name).get("faults") or [{}]
    return faults[0].get("injectedAt")


@pytest.mark.parametrize("who", ALLOWED)
def test_each_part_may_do_what_it_does_and_nothing_else(release: Release, who: str) -> None:
    rights = {pair for allowed in ALLOWED.values() for pair in allowed} | set(FORBIDDEN)
    for verb, what in sorted(rights):
        assert may(who, verb, what, NAMESPACE) == ((verb, what) in ALLOWED[who]), (verb, what)
        assert not may(who, verb, what, "default"), (verb, what)


def test_explain_reads_well(release: Release) -> None:
    output = release.kubectl("explain", "chaos.spec.faults")
    for field in ("marketShock", "networkPartition", "duration", "DESCRIPTION"):
        assert field in output


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
    status = release.passes(name)
    print(f"apply to verdict, at most {UNHURRIED}x: {time.monotonic() - began:.1f} s")
    print(f"partition to alert, simulated: {status['expectations'][0]['latency']}")
    assert status["expectations"][0]["met"] and status["expectations"][0]["latency"]
    assert "fresh and held" in status["faults"][0]["evidence"]
    assert release.cuts() == []
    reasons = release.events(name)
    for reason in ("FaultApplied", "Partitioned", "FaultInjected", "Reconnected", "Verdict"):
        assert reason in reasons
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
    as_embedded(release.passes(name), name)
    with pytest.raises(ApiException) as refused:
        release.custom.patch_namespaced_custom_object(
            "chaos.trading", "v1alpha1", NAMESPACE, "chaosscenarios", name, {"spec": {"seed": 99}}
        )
    assert "cannot change" in str(refused.value.body)


def test_a_silent_monitor_fails(release: Release, applied: Any) -> None:
    """The rule that would detect the fault is switched off."""
    name = applied(dark("unnoticed", controls={"disable": ["venue-down"]}))
    status = release.ends(name)
    assert status["verdict"] == "Fail", status
    assert not status["expectations"][0]["met"]


def test_ten_partitions_each_verified_and_ended(release: Release, applied: Any) -> None:
    """With a wall clock, because the network's own time is measured. Each partition lasts four
    seconds of it, so that the machine would decide whether the monitor notices: that is tested in
    virtual time.
    """
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
    document["spec"]["expect"] = [{"noAlert": "drawdown"}]
    name = applied(document)
    reached_at: dict[tuple[str, str], float] = {}

    def ended() -> Any:
        status = release.status(name)
        for fault in status.get("faults", ()):
            for step in ("requestedAt", "injectedAt"):
                if fault.get(step):
                    reached_at.setdefault((fault["name"], step), time.monotonic())
        return status.get("verdict")

    wait_for("the verdict", ended, 400)
    release.passes(name)
    names = sorted({fault for fault, _ in reached_at})
    took = sorted(reached_at[n, "injectedAt"] - reached_at[n, "requestedAt"] for n in names)
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
    """The next one renews the partition that exists."""
    document = unhurried("operator-killed")
    document["spec"]["faults"][0]["duration"] = "8m"
    name = applied(document)
    cut_off(release)
    until = release.recover_by()
    release.kill("operator")
    wait_for("the renewal", lambda: release.recover_by() > until)
    assert verified(release, name)
    release.passes(name)
    assert release.cuts() == []


def test_an_upgrade_in_the_middle_goes_on(release: Release, applied: Any) -> None:
    """The upgrade replaces the operator's pod."""
    name = applied(unhurried("upgraded"))
    cut_off(release)
    before = release.pod("operator")
    more = {"requests": {"cpu": "50m", "memory": "80Mi"}, "limits": {"memory": "256Mi"}}
    release.install(operator={"resources": more})
    assert release.pod("operator") != before
    release.passes(name)
    assert release.cuts() == []


def test_the_api_server_away_for_a_while(release: Release, applied: Any) -> None:
    """The fault ends meanwhile. Simulated time stands still until its policy is deleted, which is
    possible once the API server is back.
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

    times: list[int] = []

    def stands_still() -> bool:
        """Read the simulated time once a second; return whether the last ten are the same."""
        with contextlib.suppress(httpx.HTTPError):
            run = httpx.get(f"{url(TEST_COORDINATOR)}/runs/{run_id}", timeout=5).json()
            times.append(run["at"])
        time.sleep(1)
        return len(times) >= 10 and len(set(times[-10:])) == 1

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

    wait_for("the verdict", back, 300)
    release.passes(name)
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
    """The hole opens after the preflight. For the operator that is the same as a network plugin
    that accepts NetworkPolicies but does not enforce them.
    """
    name = applied(unhurried("open"))
    wait_for("the run", lambda: release.status(name).get("phase") == "SteadyState")
    release.apply(written(tmp_path, "hole", HOLE))
    try:
        status = release.ends(name)
        assert status["verdict"] == "Inconclusive", status
    finally:
        release.kubectl("delete", "networkpolicy", "hole")


def test_time_waits_for_the_end_of_a_gap(release: Release, applied: Any, tmp_path: Path) -> None:
    """The hole opens in the middle of the partition, and closes again."""
    name = applied(unhurried("gap"))
    wait_for("its evidence", lambda: verified(release, name), 240)
    run_id = release.status(name)["run"]

    def changes() -> list[bool]:
        run = httpx.get(f"{url(TEST_COORDINATOR)}/runs/{run_id}", timeout=5).json()
        return [change["separated"] for change in run["real_network"]]

    release.apply(written(tmp_path, "hole", HOLE))
    try:
        noticed = "during a partition: time stands still"
        wait_for("the gap", lambda: noticed in release.log("test-coordinator"), 60)
    finally:
        release.kubectl("delete", "networkpolicy", "hole")
    release.passes(name)
    # There may be more gaps: any pod that starts meanwhile may cause one.
    assert changes()[:2] == [True, True] and changes()[-1] is False


def test_the_reaper_ends_what_nobody_renews(release: Release, applied: Any) -> None:
    """The operator never comes back: the CronJob deletes the expired policy."""
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

    def run_to_error(number: int) -> tuple[float, float]:
        """Return how many reconciliations and wall seconds a scenario takes to end in Error."""
        name = f"ended-{number}"
        wrong = dark(name, **WRONG["subject-of-a-breaker"].spec)
        before, began = release.metric(count), time.monotonic()
        release.apply(written(tmp_path, name, wrong))
        release.ends(name, 60)
        took = time.monotonic() - began
        return release.metric(count) - before, took

    try:
        first = run_to_error(0)
        for number in range(1, 50):
            name = f"ended-{number}"
            wrong = dark(name, **WRONG["subject-of-a-breaker"].spec)
            written(tmp_path, name, wrong)
        release.kubectl("apply", "--filename", str(tmp_path))
        for number in range(1, 50):
            release.ends(f"ended-{number}", 120)
        last = run_to_error(50)
        print(
            f"\none scenario alone and after 50: reconciliations {first[0]:.0f} and {last[0]:.0f},"
        )
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
    resource = release.scenario("last")
    assert resource["status"]["verdict"] == "Aborted"
    assert not resource["metadata"].get("finalizers")
    release.kubectl("delete", "chaos", "last", "--timeout=30s")
