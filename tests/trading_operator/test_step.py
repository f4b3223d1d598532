"""Every transition of a scenario, tested with the pure step alone."""

from typing import Any

from msgspec.structs import replace

from tests.trading_operator.making import sample_scenario, verdict
from trading.messages.chaos import FaultStep
from trading.scenario.result import Outcome, Phase
from trading_operator.actions import AbortRun, ApplyPolicy, DeletePolicy, EmitEvent, StartRun
from trading_operator.observed import Observed, ObservedFault
from trading_operator.policies import LEASE, ActivePolicy
from trading_operator.status import Status, read_status, write_status
from trading_operator.step import SILENCE, StepResult, step

NOW = 1_800_000_000.0
NAME = "chaos-0a1b2c3d-risk-monitor"
LIVE = ActivePolicy(
    name=NAME, caller="risk-monitor", callees=("custodian", "exchange"), until=NOW + LEASE
)
APPLIED = {"cut": ObservedFault(FaultStep.APPLIED, "cut: network plays it", 160_000_000)}
RUNNING = Status(phase=Phase.ACTIVE, run="dark-0a1b2c3d")


def on(
    status: Status = RUNNING, *, deleted: bool = False, spec: Any = None, **observation: Any
) -> StepResult:
    fields = {"run_exists": True, "phase": Phase.ACTIVE, "last_contact": NOW, **observation}
    return step(sample_scenario(deleted=deleted, **(spec or {})), status, Observed(**fields), NOW)


def kinds(result: StepResult) -> list[type]:
    return [type(action) for action in result.actions if not isinstance(action, EmitEvent)]


def event_reasons(result: StepResult) -> list[str]:
    return [action.reason for action in result.actions if isinstance(action, EmitEvent)]


def test_a_new_one_begins_and_its_run_is_in_the_status_first() -> None:
    result = on(Status(), run_exists=False, phase=None)
    assert kinds(result) == [StartRun]
    assert (result.status.phase, result.status.run) == (Phase.PENDING, "dark-0a1b2c3d")
    assert result.status.observed_generation == 1


def test_one_that_has_to_wait_says_why_once_and_tries_again() -> None:
    why = "run other-1 has not ended yet"
    first = on(Status(), run_exists=False, phase=None, busy=why)
    assert kinds(first) == [StartRun] and event_reasons(first) == ["Waiting"]
    assert (first.status.phase, first.status.message) == (Phase.PENDING, why)
    second = on(first.status, run_exists=False, phase=None, busy=why)
    assert kinds(second) == [StartRun] and event_reasons(second) == []
    assert second.status == first.status


def test_a_policy_that_would_defeat_a_partition_keeps_it_from_starting() -> None:
    result = on(Status(), run_exists=False, phase=None, conflicts=("NetworkPolicy x allows it",))
    assert kinds(result) == [] and event_reasons(result) == ["NetworkPolicyConflict"]
    assert result.status.message == "NetworkPolicy x allows it"
    assert kinds(on(result.status, run_exists=False, phase=None)) == [StartRun]


def test_one_that_the_coordinator_refuses_ends_in_error() -> None:
    result = on(Status(), run_exists=False, phase=None, refused="expect: is missing")
    assert result.finished
    assert (result.status.phase, result.status.verdict) == (Phase.ERROR, Outcome.ERROR)
    complete = result.status.condition("Complete")
    assert complete is not None and (complete.status, complete.reason) == ("True", Outcome.ERROR)


def test_what_is_not_wanted_any_more_never_begins() -> None:
    for unwanted in (
        on(Status(), run_exists=False, phase=None, deleted=True),
        on(Status(), run_exists=False, phase=None, spec={"abort": True}),
    ):
        assert unwanted.finished and kinds(unwanted) == []
        assert unwanted.status.verdict == Outcome.ABORTED


def test_a_run_that_is_gone_is_an_error_and_not_begun_again() -> None:
    result = on(run_exists=False, phase=None)
    assert result.finished and kinds(result) == [] and result.status.verdict == Outcome.ERROR


def test_a_partition_is_in_the_status_before_it_is_in_the_cluster() -> None:
    result = on(faults=APPLIED)
    assert kinds(result) == [ApplyPolicy]
    assert result.status.policies == (NAME,)
    (put,) = [a for a in result.actions if isinstance(a, ApplyPolicy)]
    assert put.cut.callees == ("custodian", "exchange") and put.until == NOW + LEASE
    assert event_reasons(result) == ["FaultApplied", "Partitioned"]


def test_a_partition_is_renewed_in_time_and_otherwise_left_alone() -> None:
    assert kinds(on(faults=APPLIED, policies=(LIVE,))) == []
    old = replace(LIVE, until=NOW + 30)
    assert kinds(on(faults=APPLIED, policies=(old,))) == [ApplyPolicy]
    other = replace(LIVE, callees=("exchange",))
    assert kinds(on(faults=APPLIED, policies=(other,))) == [ApplyPolicy]


def test_a_partition_ends_with_its_fault() -> None:
    ended = {"cut": ObservedFault(FaultStep.ENDED, "cut: ended, recovered", 220_000_000)}
    result = on(faults=ended, policies=(LIVE,))
    assert kinds(result) == [DeletePolicy] and "Reconnected" in event_reasons(result)
    assert result.status.policies == (NAME,)
    after = on(result.status, faults=ended)
    assert kinds(after) == [] and after.status.policies == ()


def test_no_partition_before_its_fault_is_applied() -> None:
    assert kinds(on(faults={})) == []


def test_a_stranger_among_our_policies_is_removed() -> None:
    stray = ActivePolicy(name="chaos-0a1b2c3d-custodian", caller="custodian", until=NOW + 9)
    result = on(faults=APPLIED, policies=(LIVE, stray))
    assert [a.name for a in result.actions if isinstance(a, DeletePolicy)] == [stray.name]


def test_abort_is_asked_for_until_the_run_takes_its_faults_back() -> None:
    ways: list[dict[str, Any]] = [{"deleted": True}, {"spec": {"abort": True}}]
    for options in ways:
        result = on(faults=APPLIED, policies=(LIVE,), **options)
        assert AbortRun in kinds(result) and not result.finished
        evaluating = on(faults=APPLIED, policies=(LIVE,), phase=Phase.EVALUATING, **options)
        assert AbortRun not in kinds(evaluating)


def test_a_silent_coordinator_ends_partitions_after_a_while_and_not_at_once() -> None:
    away: dict[str, Any] = {"faults": APPLIED, "policies": (LIVE,), "problem": "refused"}
    at_once = on(**away)
    assert kinds(at_once) == [] and event_reasons(at_once) == ["CoordinatorUnreachable"]
    assert "refused" in at_once.status.message
    later = on(at_once.status, **{**away, "last_contact": NOW - SILENCE - 1})
    assert kinds(later) == [DeletePolicy] and "CoordinatorUnreachable" not in event_reasons(later)


def test_nothing_is_cut_for_a_silent_coordinator_where_the_run_is_not_wanted() -> None:
    away: dict[str, Any] = {"faults": APPLIED, "policies": (LIVE,), "problem": "refused"}
    assert kinds(on(deleted=True, **away)) == [DeletePolicy]


def test_a_deletion_does_not_wait_for_a_coordinator_that_does_not_come_back() -> None:
    """Policies are still deleted first. An abort does wait, since it holds nobody up."""
    away: dict[str, Any] = {"problem": "refused", "last_contact": NOW - SILENCE - 1}
    for status, exists in ((RUNNING, True), (RUNNING, False), (Status(phase=Phase.PENDING), False)):
        cut = on(status, run_exists=exists, deleted=True, policies=(LIVE,), **away)
        assert kinds(cut) == [DeletePolicy] and not cut.finished
        result = on(status, run_exists=exists, deleted=True, **away)
        assert result.finished and result.status.verdict == Outcome.ABORTED
        assert "no recovery is verified" in result.status.message
        soon = on(status, run_exists=exists, deleted=True, problem="refused")
        assert not soon.finished
        assert not on(status, run_exists=exists, spec={"abort": True}, **away).finished


def test_after_a_restart_nothing_changes_until_the_run_s_events_have_been_read() -> None:
    result = on(phase=None, policies=(LIVE,))
    assert result.actions == [] and not result.finished and result.status.phase == Phase.ACTIVE


def test_a_verdict_is_told_once_nothing_is_left() -> None:
    first = on(verdict=verdict(), policies=(LIVE,))
    assert kinds(first) == [DeletePolicy] and not first.finished and first.status.verdict is None
    second = on(first.status, verdict=verdict())
    assert (
        second.finished
        and second.status.verdict == Outcome.PASS
        and event_reasons(second)[-1] == "Verdict"
    )
    status = second.status
    assert (status.phase, status.detect, status.recover) == (Phase.COMPLETED, "4s", "2s")
    assert status.faults[0].injected_at == "1m1s"
    assert status.audit is not None and status.audit.coverage == "100 %"


def test_a_run_that_was_judged_while_something_was_still_cut_is_no_failure() -> None:
    """The API server was away when the fault ended, so the platform did not recover."""
    failed = verdict(Outcome.FAIL)
    late = replace(failed, recovery=replace(failed.recovery, recovered=False, took=-1))
    first = on(verdict=late, policies=(LIVE,))
    assert kinds(first) == [DeletePolicy] and first.status.policies == (NAME,)
    status = on(first.status, verdict=late).status
    assert status.verdict == Outcome.INCONCLUSIVE
    assert status.message.startswith(f"the platform had not taken back {NAME}")
    # No policy was left, or the run has recovered: the coordinator's verdict holds.
    assert on(verdict=late).status.verdict == Outcome.FAIL
    assert (
        on(on(verdict=failed, policies=(LIVE,)).status, verdict=failed).status.verdict
        == Outcome.FAIL
    )


def test_after_its_verdict_nothing_happens_any_more() -> None:
    ended = on(verdict=verdict(Outcome.FAIL)).status
    again = on(ended)
    assert again.finished and again.actions == [] and again.status == ended
    left = on(ended, policies=(LIVE,))
    assert kinds(left) == [DeletePolicy] and not left.finished


def test_events_tell_each_step_once() -> None:
    first = on(Status(phase=Phase.INJECTING, run="dark-0a1b2c3d"), faults=APPLIED)
    assert event_reasons(first)[:2] == ["Active", "FaultApplied"]
    assert event_reasons(on(first.status, faults=APPLIED, policies=(LIVE,))) == []
    injected = {"cut": ObservedFault(FaultStep.INJECTED, "cut: verified", 161_000_000)}
    second = on(first.status, faults=injected, policies=(LIVE,))
    assert event_reasons(second) == ["FaultInjected"]
    (fault,) = second.status.faults
    assert (fault.requested_at, fault.injected_at) == ("2m40s", "2m41s")


def test_a_status_survives_the_api_server() -> None:
    status = on(verdict=verdict()).status
    assert read_status(write_status(status)) == status
    assert read_status({"phase": 7}) == Status() == read_status(None)
