"""The operator's decisions as a pure function, without a clock, a cluster or a network.

``step(scenario, status, observed, now) -> (status, actions, finished)``. The reconciler saves the
status before it executes any action, and every action is idempotent. So an operator that is killed
between any two of them continues where it was.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from trading.messages.chaos import FaultStep
from trading.scenario.result import Outcome, Phase, Verdict
from trading.units import format_duration
from trading_operator.actions import (
    AbortRun,
    Action,
    ApplyPolicy,
    DeletePolicy,
    EmitEvent,
    StartRun,
)
from trading_operator.observed import Observed
from trading_operator.policies import LEASE, RENEWED_AFTER, Cut, cuts, name_of
from trading_operator.resource import Scenario
from trading_operator.status import COMPLETE, Fault, Status, with_verdict
from trading_operator.status import with_condition as _with

#: Seconds without contact to the coordinator after which partitions end. By then the leases of its
#: other faults have expired, too.
SILENCE = 30.0

#: The field of the status that has the time of each step of a fault, in the order of the steps.
_FIELDS = {
    FaultStep.APPLIED: "requested_at",
    FaultStep.INJECTED: "injected_at",
    FaultStep.ENDED: "ended_at",
    FaultStep.RECOVERED: "recovered_at",
}
#: Steps of a fault that is being played.
_PLAYED = (FaultStep.APPLIED, FaultStep.INJECTED)
_UNVERIFIED = (
    "the resource was deleted, and the test coordinator gives no answer: no recovery is verified"
)
#: A resource whose run has not begun has no phase, or this one.
_NOT_BEGUN = (None, Phase.PENDING)


class StepResult(NamedTuple):
    """The new status and the actions to execute after it is saved. ``finished``: nothing is left to
    do, and no policy of the scenario is left.
    """

    status: Status
    actions: list[Action]
    finished: bool


def step(scenario: Scenario, status: Status, observed: Observed, now: float) -> StepResult:
    """Return what follows for ``scenario`` from its ``status`` and from what was observed. ``now``
    is a Unix time in seconds.
    """
    status = replace(status, observed_generation=scenario.generation)
    if status.verdict:
        return _clean_up(status, observed)
    if observed.verdict is not None:
        return _judge(scenario, status, observed, now)
    if observed.refused:
        return _end(scenario, status, observed, now, Outcome.ERROR, observed.refused)
    if not observed.run_exists:
        return _start(scenario, status, observed, now)
    return _follow(scenario, status, observed, now)


def _start(scenario: Scenario, status: Status, observed: Observed, now: float) -> StepResult:
    """Handle a run that does not exist, or of which that is not known."""
    if observed.problem:
        if _given_up(scenario, observed, now):
            return _end(scenario, status, observed, now, Outcome.ABORTED, _UNVERIFIED)
        if status.phase in _NOT_BEGUN:
            return _wait(status, "CoordinatorUnreachable", observed.problem, scenario, now)
        return _hold(scenario, status, observed, now)
    if scenario.stop_reason:
        return _end(scenario, status, observed, now, Outcome.ABORTED, scenario.stop_reason)
    if status.phase not in _NOT_BEGUN:
        lost = "the test coordinator does not know the run any more: another session was opened"
        return _end(scenario, status, observed, now, Outcome.ERROR, lost)
    if observed.conflicts:
        return _wait(status, "NetworkPolicyConflict", "; ".join(observed.conflicts), scenario, now)
    if observed.busy:
        waiting = _wait(status, "Waiting", observed.busy, scenario, now)
        return waiting._replace(actions=[*waiting.actions, StartRun()])
    status = replace(status, phase=Phase.PENDING, run=scenario.run_id, message="")
    return StepResult(status, [StartRun()], False)


def _wait(status: Status, reason: str, why: str, scenario: Scenario, now: float) -> StepResult:
    """Stay in Pending. There is one event for each new reason, not one for each reconciliation."""
    before = status.condition(COMPLETE)
    status = replace(status, phase=Phase.PENDING, message=why)
    status = _with(status, COMPLETE, "False", reason, why, scenario.generation, now)
    new = before is None or (before.reason, before.message) != (reason, why)
    return StepResult(status, [EmitEvent(reason, why, warning=True)] if new else [], False)


def _follow(scenario: Scenario, status: Status, observed: Observed, now: float) -> StepResult:
    """Handle a run that exists and has no verdict yet."""
    if observed.problem:
        return _hold(scenario, status, observed, now)
    if observed.phase is None:
        # The run or this process has just started: wait for the first events of the run.
        return StepResult(status, [], False)
    actions: list[Action] = []
    if observed.phase != status.phase:
        actions.append(EmitEvent(observed.phase, f"run {scenario.run_id}: {observed.phase}"))
    actions += _new_step_events(status, observed)
    status = replace(
        status,
        phase=observed.phase,
        run=scenario.run_id,
        message="",
        faults=_faults(status, observed),
    )
    status = _with(status, COMPLETE, "False", "Running", "", scenario.generation, now)
    if scenario.stop_reason and observed.phase.abortable:
        actions.append(AbortRun(scenario.stop_reason))
    return _partition(scenario, status, observed, now, _active_cuts(scenario, observed), actions)


def _hold(scenario: Scenario, status: Status, observed: Observed, now: float) -> StepResult:
    """Handle a coordinator that does not answer: partitions stay for SILENCE seconds, then they
    end.
    """
    if _given_up(scenario, observed, now):
        return _end(scenario, status, observed, now, Outcome.ABORTED, _UNVERIFIED)
    silent = now - observed.last_contact > SILENCE
    why = f"test coordinator: {observed.problem}"
    actions: list[Action] = []
    before = status.condition(COMPLETE)
    if before is None or before.reason != "CoordinatorUnreachable":
        actions.append(EmitEvent("CoordinatorUnreachable", why, warning=True))
    status = replace(status, message=why)
    status = _with(
        status, COMPLETE, "False", "CoordinatorUnreachable", why, scenario.generation, now
    )
    active = [] if silent or scenario.stop_reason else _active_cuts(scenario, observed)
    return _partition(scenario, status, observed, now, active, actions)


def _given_up(scenario: Scenario, observed: Observed, now: float) -> bool:
    """Return whether a deletion no longer waits for the coordinator. After SILENCE the leases of
    the coordinator's own faults have expired, so that only policies can be left.
    """
    return scenario.deleted and now - observed.last_contact > SILENCE


def _active_cuts(scenario: Scenario, observed: Observed) -> list[Cut]:
    """Return the cuts of the partitions that are applied and have not ended."""
    return cuts(
        {
            fault: pairs
            for fault, pairs in scenario.partitions.items()
            if fault in observed.faults and observed.faults[fault].step in _PLAYED
        }
    )


def _partition(
    scenario: Scenario,
    status: Status,
    observed: Observed,
    now: float,
    desired: Iterable[Cut],
    actions: list[Action],
) -> StepResult:
    """Append the actions that turn the existing policies into the desired ones: create, renew,
    change and delete. The status names both the existing and the desired policies, so that it is
    complete whenever the operator is killed.
    """
    existing = {policy.name: policy for policy in observed.policies}
    desired_names = set()
    for cut in desired:
        name = name_of(scenario, cut.caller)
        desired_names.add(name)
        policy = existing.get(name)
        if policy is None:
            message = f"{cut.caller} is cut off from {', '.join(cut.callees)}"
            actions.append(EmitEvent("Partitioned", message))
        if (
            policy is None
            or policy.callees != cut.callees
            or policy.until - now < LEASE - RENEWED_AFTER
        ):
            actions.append(ApplyPolicy(cut, now + LEASE))
    for name in sorted(existing.keys() - desired_names):
        message = f"{existing[name].caller or name} is connected"
        actions += [DeletePolicy(name), EmitEvent("Reconnected", message)]
    status = replace(status, policies=tuple(sorted({*desired_names, *existing})))
    return StepResult(status, actions, False)


def _judge(scenario: Scenario, status: Status, observed: Observed, now: float) -> StepResult:
    """Write the verdict into the status once no policy of the scenario is left."""
    verdict = observed.verdict
    assert verdict is not None  # noqa: S101
    if observed.policies:
        return _partition(scenario, replace(status, phase=Phase.EVALUATING), observed, now, (), [])
    if status.phase is Phase.EVALUATING and status.policies:
        verdict = _without_platform_failure(verdict, status.policies)
    actions = _new_step_events(status, observed)
    status = replace(status, run=scenario.run_id, policies=())
    status = with_verdict(status, verdict, scenario.generation, now)
    why = f": {status.message}" if status.message else ""
    warning = verdict.outcome is not Outcome.PASS
    actions.append(EmitEvent("Verdict", f"{verdict.outcome}{why}", warning=warning))
    return StepResult(status, actions, True)


def _without_platform_failure(verdict: Verdict, remaining: tuple[str, ...]) -> Verdict:
    """Turn a Fail for a missing recovery into Inconclusive, because the policies ``remaining``
    still existed when the run was judged: the platform, not the system under test, failed to
    recover.
    """
    if verdict.outcome is not Outcome.FAIL or verdict.recovery.recovered:
        return verdict
    why = f"the platform had not taken back {', '.join(remaining)} when the run was judged"
    return replace(
        verdict,
        outcome=Outcome.INCONCLUSIVE,
        reasons=(why, *verdict.reasons),
        conditions=tuple(
            replace(c, reason=Outcome.INCONCLUSIVE) if c.type == COMPLETE else c
            for c in verdict.conditions
        ),
    )


def _end(
    scenario: Scenario, status: Status, observed: Observed, now: float, verdict: Outcome, why: str
) -> StepResult:
    """End the scenario without a verdict of the coordinator, once its policies are deleted."""
    if observed.policies:
        return _partition(scenario, status, observed, now, (), [])
    phase = Phase.ABORTED if verdict is Outcome.ABORTED else Phase.ERROR
    status = replace(status, phase=phase, verdict=verdict, message=why, policies=())
    status = _with(status, COMPLETE, "True", verdict, why, scenario.generation, now)
    return StepResult(status, [EmitEvent("Verdict", f"{verdict}: {why}", warning=True)], True)


def _clean_up(status: Status, observed: Observed) -> StepResult:
    """Delete policies that exist although there is a verdict."""
    names = tuple(policy.name for policy in observed.policies)
    actions: list[Action] = [DeletePolicy(name) for name in names]
    return StepResult(replace(status, policies=names), actions, not names)


def _new_step_events(status: Status, observed: Observed) -> list[Action]:
    """Return an event for each fault that has reached a step which the status does not have yet."""
    before = {fault.name: _step_of(fault) for fault in status.faults}
    return [
        EmitEvent(f"Fault{fault.step.capitalize()}", fault.text)
        for name, fault in observed.faults.items()
        if [*FaultStep].index(fault.step) >= before.get(name, 0)
    ]


def _step_of(fault: Fault) -> int:
    """Return how many steps the fault has gone, by the times in the status."""
    reached = (n for n, field in enumerate(_FIELDS.values(), 1) if getattr(fault, field))
    return max(reached, default=0)


def _faults(status: Status, observed: Observed) -> tuple[Fault, ...]:
    """Return the faults of the status, sorted by name, with the times of newly observed steps."""
    faults = {fault.name: fault for fault in status.faults}
    for name, newest in observed.faults.items():
        field = _FIELDS[newest.step]
        fault = faults.get(name, Fault(name=name))
        if not getattr(fault, field):
            at = format_duration(newest.at - observed.started_at)
            evidence = {"evidence": newest.text} if newest.step is FaultStep.INJECTED else {}
            faults[name] = replace(fault, **{field: at}, **evidence)
    return tuple(faults[name] for name in sorted(faults))
