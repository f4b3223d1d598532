"""The operator's whole logic, without a clock, a cluster or a network.

``step(scenario, status, observed, now) -> (status, actions)``. The status is saved before any
action is done, and every action can be done again: an operator that ends between any two goes on
where it was.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from trading.scenario.result import ABORTED, ERROR, FAIL, INCONCLUSIVE, Verdict
from trading.units import format_duration
from trading_operator.actions import Abort, Action, Begin, Drop, Put, Tell
from trading_operator.observed import Observed
from trading_operator.policies import LEASE, RENEWED_AFTER, Cut, cuts, name_of
from trading_operator.resource import Scenario
from trading_operator.status import COMPLETE, EVALUATING, PENDING, Fault, Status, judged
from trading_operator.status import with_condition as _with

#: Seconds without a word from the coordinator after which partitions end: its own leases have, too.
SILENCE = 30.0

#: By a fault's step, in their order: where its time is told.
_FIELDS = {
    "applied": "requested_at",
    "injected": "injected_at",
    "ended": "ended_at",
    "recovered": "recovered_at",
}
_STEPS = ("", *_FIELDS)
_UNVERIFIED = (
    "the resource was deleted, and the test coordinator gives no answer: no recovery is verified"
)
_STOPPABLE = ("Pending", "SteadyState", "Injecting", "Active", "Recovering")


class Stepped(NamedTuple):
    """``done``: nothing is left to do, and nothing of ours is left."""

    status: Status
    actions: list[Action]
    done: bool


def step(scenario: Scenario, status: Status, observed: Observed, now: float) -> Stepped:
    status = replace(status, observed_generation=scenario.generation)
    if status.verdict:
        return _clear(scenario, status, observed)
    if observed.verdict is not None:
        return _judge(scenario, status, observed, now)
    if observed.refused:
        return _end(scenario, status, observed, now, ERROR, observed.refused)
    if not observed.known:
        return _begin(scenario, status, observed, now)
    return _follow(scenario, status, observed, now)


def _begin(scenario: Scenario, status: Status, observed: Observed, now: float) -> Stepped:
    """Not at the coordinator, or not known whether it is."""
    if observed.problem:
        if _given_up(scenario, observed, now):
            return _end(scenario, status, observed, now, ABORTED, _UNVERIFIED)
        if status.phase in ("", PENDING):
            return _wait(status, "CoordinatorUnreachable", observed.problem, scenario, now)
        return _hold(scenario, status, observed, now)
    if scenario.unwanted:
        return _end(scenario, status, observed, now, ABORTED, scenario.unwanted)
    if status.phase not in ("", PENDING):
        lost = "the test coordinator does not know the run any more: another session was opened"
        return _end(scenario, status, observed, now, ERROR, lost)
    if observed.conflicts:
        return _wait(status, "NetworkPolicyConflict", "; ".join(observed.conflicts), scenario, now)
    if observed.busy:
        waiting = _wait(status, "Waiting", observed.busy, scenario, now)
        return waiting._replace(actions=[*waiting.actions, Begin()])
    status = replace(status, phase=PENDING, run=scenario.run_id, message="")
    return Stepped(status, [Begin()], False)


def _wait(status: Status, reason: str, why: str, scenario: Scenario, now: float) -> Stepped:
    """Told once, not at every look."""
    before = status.condition(COMPLETE)
    status = replace(status, phase=PENDING, message=why)
    told = _with(status, COMPLETE, "False", reason, why, scenario.generation, now)
    new = before is None or (before.reason, before.message) != (reason, why)
    return Stepped(told, [Tell(reason, why, warning=True)] if new else [], False)


def _follow(scenario: Scenario, status: Status, observed: Observed, now: float) -> Stepped:
    """The run is on."""
    if observed.problem:
        return _hold(scenario, status, observed, now)
    if not observed.phase:
        # Just begun, or this process has: its events are on their way, and tell what is on.
        return Stepped(status, [], False)
    actions: list[Action] = []
    if observed.phase != status.phase:
        actions.append(Tell(observed.phase, f"run {scenario.run_id}: {observed.phase}"))
    actions += _told(status, observed)
    status = replace(
        status,
        phase=observed.phase,
        run=scenario.run_id,
        message="",
        faults=_faults(status, observed),
    )
    status = _with(status, COMPLETE, "False", "Running", "", scenario.generation, now)
    if scenario.unwanted and observed.phase in _STOPPABLE:
        actions.append(Abort(scenario.unwanted))
    return _partition(scenario, status, observed, now, _active(scenario, observed), actions)


def _hold(scenario: Scenario, status: Status, observed: Observed, now: float) -> Stepped:
    """The coordinator is silent. For a while things stay as they are."""
    if _given_up(scenario, observed, now):
        return _end(scenario, status, observed, now, ABORTED, _UNVERIFIED)
    silent = now - observed.heard_at > SILENCE
    why = f"test coordinator: {observed.problem}"
    actions: list[Action] = []
    before = status.condition(COMPLETE)
    if before is None or before.reason != "CoordinatorUnreachable":
        actions.append(Tell("CoordinatorUnreachable", why, warning=True))
    status = replace(status, message=why)
    status = _with(
        status, COMPLETE, "False", "CoordinatorUnreachable", why, scenario.generation, now
    )
    wanted = [] if silent or scenario.unwanted else _active(scenario, observed)
    return _partition(scenario, status, observed, now, wanted, actions)


def _given_up(scenario: Scenario, observed: Observed, now: float) -> bool:
    """Whoever deletes it does not wait for a coordinator that does not come back: by then its
    leases have ended what it played, and policies are all that can be left.
    """
    return scenario.deleted and now - observed.heard_at > SILENCE


def _active(scenario: Scenario, observed: Observed) -> list[Cut]:
    """What is cut while faults are on."""
    return cuts(
        {
            fault: pairs
            for fault, pairs in scenario.partitions.items()
            if fault in observed.faults and observed.faults[fault].step in ("applied", "injected")
        }
    )


def _partition(
    scenario: Scenario,
    status: Status,
    observed: Observed,
    now: float,
    wanted: Iterable[Cut],
    actions: list[Action],
) -> Stepped:
    """The policies that there should be, against those that there are."""
    there = {one.name: one for one in observed.policies}
    names = {}
    for cut in wanted:
        name = name_of(scenario, cut.caller)
        names[name] = cut
        found = there.get(name)
        if found is None:
            what = f"{cut.caller} is cut off from {', '.join(cut.callees)}"
            actions.append(Tell("Partitioned", what))
        if (
            found is None
            or found.callees != cut.callees
            or found.until - now < LEASE - RENEWED_AFTER
        ):
            actions.append(Put(cut, now + LEASE))
    for name in sorted(there.keys() - names.keys()):
        actions += [Drop(name), Tell("Reconnected", f"{there[name].caller or name} is connected")]
    status = replace(status, policies=tuple(sorted({*names, *there})))
    return Stepped(status, actions, False)


def _judge(scenario: Scenario, status: Status, observed: Observed, now: float) -> Stepped:
    """A verdict is told once nothing of ours is left."""
    verdict = observed.verdict
    assert verdict is not None  # noqa: S101
    if observed.policies:
        return _partition(scenario, replace(status, phase=EVALUATING), observed, now, (), [])
    if status.phase == EVALUATING and status.policies:
        verdict = _doubted(verdict, status.policies)
    actions = _told(status, observed)
    status = replace(status, run=scenario.run_id, policies=())
    status = judged(status, verdict, scenario.generation, now)
    why = f": {status.message}" if status.message else ""
    actions.append(Tell("Verdict", f"{verdict.outcome}{why}", warning=verdict.outcome != "Pass"))
    return Stepped(status, actions, True)


def _doubted(verdict: Verdict, left: tuple[str, ...]) -> Verdict:
    """The verdict of a run that was judged while policies of ours were still there: that it did not
    recover is the platform's, and proves nothing.
    """
    if verdict.outcome != FAIL or verdict.recovery.recovered:
        return verdict
    why = f"the platform had not taken back {', '.join(left)} when the run was judged"
    return replace(
        verdict,
        outcome=INCONCLUSIVE,
        reasons=(why, *verdict.reasons),
        conditions=tuple(
            replace(one, reason=INCONCLUSIVE) if one.type == COMPLETE else one
            for one in verdict.conditions
        ),
    )


def _end(
    scenario: Scenario, status: Status, observed: Observed, now: float, verdict: str, why: str
) -> Stepped:
    """Without a verdict of the coordinator."""
    if observed.policies:
        return _partition(scenario, status, observed, now, (), [])
    phase = "Aborted" if verdict == ABORTED else "Error"
    status = replace(status, phase=phase, verdict=verdict, message=why, policies=())
    status = _with(status, COMPLETE, "True", verdict, why, scenario.generation, now)
    return Stepped(status, [Tell("Verdict", f"{verdict}: {why}", warning=True)], True)


def _clear(scenario: Scenario, status: Status, observed: Observed) -> Stepped:
    """There is a verdict. What is left of ours all the same goes."""
    left = observed.policies
    actions: list[Action] = [Drop(one.name) for one in left]
    return Stepped(replace(status, policies=tuple(o.name for o in left)), actions, not left)


def _told(status: Status, observed: Observed) -> list[Action]:
    """An event for each step of a fault that is new."""
    before = {fault.name: _step_of(fault) for fault in status.faults}
    return [
        Tell(f"Fault{seen.step.capitalize()}", seen.text)
        for name, seen in observed.faults.items()
        if _STEPS.index(seen.step) > before.get(name, 0)
    ]


def _step_of(fault: Fault) -> int:
    told = (n for n, field in enumerate(_FIELDS.values(), 1) if getattr(fault, field))
    return max(told, default=0)


def _faults(status: Status, observed: Observed) -> tuple[Fault, ...]:
    """Each with the time of every step that it has been seen in."""
    found = {fault.name: fault for fault in status.faults}
    for name, seen in observed.faults.items():
        if field := _FIELDS.get(seen.step):
            fault = found.get(name, Fault(name=name))
            if not getattr(fault, field):
                at = format_duration(seen.at - observed.started_at)
                more = {"evidence": seen.text} if seen.step == "injected" else {}
                found[name] = replace(fault, **{field: at}, **more)
    return tuple(found[name] for name in sorted(found))
