"""Every transition of a scenario, by the pure step alone."""

from typing import Any

from msgspec.structs import replace

from tests.trading_operator.making import made, verdict
from trading_operator.actions import Abort, Begin, Drop, Put, Tell
from trading_operator.observed import Observed, Seen
from trading_operator.policies import LEASE, Live
from trading_operator.status import Status, read, write
from trading_operator.step import SILENCE, Stepped, step

NOW = 1_800_000_000.0
NAME = "chaos-0a1b2c3d-risk-monitor"
LIVE = Live(name=NAME, caller="risk-monitor", callees=("custodian", "exchange"), until=NOW + LEASE)
APPLIED = {"cut": Seen("applied", "cut: network plays it", 160_000_000)}
RUNNING = Status(phase="Active", run="dark-0a1b2c3d")


def on(
    status: Status = RUNNING, *, deleted: bool = False, spec: Any = None, **seen: Any
) -> Stepped:
    given = {"known": True, "phase": "Active", "heard_at": NOW, **seen}
    return step(made(deleted=deleted, **(spec or {})), status, Observed(**given), NOW)


def kinds(stepped: Stepped) -> list[type]:
    return [type(action) for action in stepped.actions if not isinstance(action, Tell)]


def told(stepped: Stepped) -> list[str]:
    return [action.reason for action in stepped.actions if isinstance(action, Tell)]


def test_a_new_one_begins_and_its_run_is_in_the_status_first() -> None:
    found = on(Status(), known=False, phase="")
    assert kinds(found) == [Begin]
    assert (found.status.phase, found.status.run) == ("Pending", "dark-0a1b2c3d")
    assert found.status.observed_generation == 1


def test_one_that_has_to_wait_says_why_once_and_tries_again() -> None:
    why = "run other-1 has not ended yet"
    first = on(Status(), known=False, phase="", busy=why)
    assert kinds(first) == [Begin] and told(first) == ["Waiting"]
    assert (first.status.phase, first.status.message) == ("Pending", why)
    second = on(first.status, known=False, phase="", busy=why)
    assert kinds(second) == [Begin] and told(second) == []
    assert second.status == first.status


def test_a_policy_that_would_defeat_a_partition_keeps_it_from_starting() -> None:
    found = on(Status(), known=False, phase="", conflicts=("NetworkPolicy x allows it",))
    assert kinds(found) == [] and told(found) == ["NetworkPolicyConflict"]
    assert found.status.message == "NetworkPolicy x allows it"
    assert kinds(on(found.status, known=False, phase="")) == [Begin]


def test_one_that_the_coordinator_refuses_ends_in_error() -> None:
    found = on(Status(), known=False, phase="", refused="expect: is missing")
    assert found.done
    assert (found.status.phase, found.status.verdict) == ("Error", "Error")
    complete = found.status.condition("Complete")
    assert complete is not None and (complete.status, complete.reason) == ("True", "Error")


def test_what_is_not_wanted_any_more_never_begins() -> None:
    for unwanted in (
        on(Status(), known=False, phase="", deleted=True),
        on(Status(), known=False, phase="", spec={"abort": True}),
    ):
        assert unwanted.done and kinds(unwanted) == []
        assert unwanted.status.verdict == "Aborted"


def test_a_run_that_is_gone_is_an_error_and_not_begun_again() -> None:
    found = on(known=False, phase="")
    assert found.done and kinds(found) == [] and found.status.verdict == "Error"


def test_a_partition_is_in_the_status_before_it_is_in_the_cluster() -> None:
    found = on(faults=APPLIED)
    assert kinds(found) == [Put]
    assert found.status.policies == (NAME,)
    (put,) = [a for a in found.actions if isinstance(a, Put)]
    assert put.cut.callees == ("custodian", "exchange") and put.until == NOW + LEASE
    assert told(found) == ["FaultApplied", "Partitioned"]


def test_a_partition_is_renewed_in_time_and_otherwise_left_alone() -> None:
    assert kinds(on(faults=APPLIED, policies=(LIVE,))) == []
    old = replace(LIVE, until=NOW + 30)
    assert kinds(on(faults=APPLIED, policies=(old,))) == [Put]
    other = replace(LIVE, callees=("exchange",))
    assert kinds(on(faults=APPLIED, policies=(other,))) == [Put]


def test_a_partition_ends_with_its_fault() -> None:
    ended = {"cut": Seen("ended", "cut: ended, recovered", 220_000_000)}
    found = on(faults=ended, policies=(LIVE,))
    assert kinds(found) == [Drop] and "Reconnected" in told(found)
    assert found.status.policies == (NAME,)
    after = on(found.status, faults=ended)
    assert kinds(after) == [] and after.status.policies == ()


def test_no_partition_before_its_fault_is_applied() -> None:
    assert kinds(on(faults={})) == []


def test_a_stranger_among_our_policies_is_removed() -> None:
    stray = Live(name="chaos-0a1b2c3d-custodian", caller="custodian", until=NOW + 9)
    found = on(faults=APPLIED, policies=(LIVE, stray))
    assert [a.name for a in found.actions if isinstance(a, Drop)] == [stray.name]


def test_abort_is_asked_for_until_the_run_takes_its_faults_back() -> None:
    ways: list[dict[str, Any]] = [{"deleted": True}, {"spec": {"abort": True}}]
    for options in ways:
        found = on(faults=APPLIED, policies=(LIVE,), **options)
        assert Abort in kinds(found) and not found.done
        evaluating = on(faults=APPLIED, policies=(LIVE,), phase="Evaluating", **options)
        assert Abort not in kinds(evaluating)


def test_a_silent_coordinator_ends_partitions_after_a_while_and_not_at_once() -> None:
    away: dict[str, Any] = {"faults": APPLIED, "policies": (LIVE,), "problem": "refused"}
    at_once = on(**away)
    assert kinds(at_once) == [] and told(at_once) == ["CoordinatorUnreachable"]
    assert "refused" in at_once.status.message
    later = on(at_once.status, **{**away, "heard_at": NOW - SILENCE - 1})
    assert kinds(later) == [Drop] and "CoordinatorUnreachable" not in told(later)


def test_nothing_is_cut_for_a_silent_coordinator_where_the_run_is_not_wanted() -> None:
    away: dict[str, Any] = {"faults": APPLIED, "policies": (LIVE,), "problem": "refused"}
    assert kinds(on(deleted=True, **away)) == [Drop]


def test_a_deletion_does_not_wait_for_a_coordinator_that_does_not_come_back() -> None:
    """But for what is cut; and an abort, which nobody waits for, does."""
    away: dict[str, Any] = {"problem": "refused", "heard_at": NOW - SILENCE - 1}
    for status, known in ((RUNNING, True), (RUNNING, False), (Status(phase="Pending"), False)):
        cut = on(status, known=known, deleted=True, policies=(LIVE,), **away)
        assert kinds(cut) == [Drop] and not cut.done
        found = on(status, known=known, deleted=True, **away)
        assert found.done and found.status.verdict == "Aborted"
        assert "no recovery is verified" in found.status.message
        soon = on(status, known=known, deleted=True, problem="refused")
        assert not soon.done
        assert not on(status, known=known, spec={"abort": True}, **away).done


def test_after_a_restart_nothing_changes_until_the_run_s_events_have_been_read() -> None:
    found = on(phase="", policies=(LIVE,))
    assert found.actions == [] and not found.done and found.status.phase == "Active"


def test_a_verdict_is_told_once_nothing_is_left() -> None:
    first = on(verdict=verdict(), policies=(LIVE,))
    assert kinds(first) == [Drop] and not first.done and first.status.verdict == ""
    second = on(first.status, verdict=verdict())
    assert second.done and second.status.verdict == "Pass" and told(second)[-1] == "Verdict"
    status = second.status
    assert (status.phase, status.detect, status.recover) == ("Completed", "4s", "2s")
    assert status.faults[0].injected_at == "1m1s"
    assert status.audit is not None and status.audit.coverage == "100 %"


def test_a_run_that_was_judged_while_something_was_still_cut_is_no_failure() -> None:
    """The API server was away when the fault ended: it was the platform that did not recover."""
    failed = verdict("Fail")
    late = replace(failed, recovery=replace(failed.recovery, recovered=False, took=-1))
    first = on(verdict=late, policies=(LIVE,))
    assert kinds(first) == [Drop] and first.status.policies == (NAME,)
    found = on(first.status, verdict=late).status
    assert found.verdict == "Inconclusive"
    assert found.message.startswith(f"the platform had not taken back {NAME}")
    # Nothing was left, or the run has recovered: the coordinator's verdict as it is.
    assert on(verdict=late).status.verdict == "Fail"
    assert on(on(verdict=failed, policies=(LIVE,)).status, verdict=failed).status.verdict == "Fail"


def test_after_its_verdict_nothing_happens_any_more() -> None:
    ended = on(verdict=verdict("Fail")).status
    again = on(ended)
    assert again.done and again.actions == [] and again.status == ended
    left = on(ended, policies=(LIVE,))
    assert kinds(left) == [Drop] and not left.done


def test_events_tell_each_step_once() -> None:
    first = on(Status(phase="Injecting", run="dark-0a1b2c3d"), faults=APPLIED)
    assert told(first)[:2] == ["Active", "FaultApplied"]
    assert told(on(first.status, faults=APPLIED, policies=(LIVE,))) == []
    injected = {"cut": Seen("injected", "cut: verified", 161_000_000)}
    second = on(first.status, faults=injected, policies=(LIVE,))
    assert told(second) == ["FaultInjected"]
    (fault,) = second.status.faults
    assert (fault.requested_at, fault.injected_at) == ("2m40s", "2m41s")


def test_a_status_survives_the_api_server() -> None:
    status = on(verdict=verdict()).status
    assert read(write(status)) == status
    assert read({"phase": 7}) == Status() == read(None)
