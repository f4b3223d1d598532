"""The verdict: a pure function of the plan, what was seen, and what the audit says.

The rules that nothing may bend (each has a test that breaks it):

- no evidence of an injection, or no steady state first: Inconclusive;
- an alert before the injection, or one that also fires without the fault, is no detection;
- a silent monitor: Fail;
- what the platform did not do, such as the end of a partition: Inconclusive, never Fail;
- an audit that is incomplete, or finds a broken chain: never Pass.
"""

from collections.abc import Collection, Mapping

from trading.messages.audit import AuditReport
from trading.scenario.observation import Observation, SeenAlert, SeenFault
from trading.scenario.plan import Expectation, RunPlan, reproduction
from trading.scenario.platform import platform_doubts
from trading.scenario.result import (
    ABORTED,
    ERROR,
    FAIL,
    INCONCLUSIVE,
    PASS,
    AlertOutcome,
    AuditOutcome,
    ClockRecord,
    Condition,
    ControlRun,
    ExpectationOutcome,
    FaultOutcome,
    JournalHead,
    PhaseStart,
    RecoveryOutcome,
    Verdict,
)
from trading.units import MINUTE, format_duration

#: A (rule, subject) that fired, or a breaker state ("breaker", state), in a run without faults.
Signal = tuple[str, str]

#: The risk monitor reports every second or tick; quiet for this long, it was not there.
MONITOR_SILENCE = MINUTE


class Detection:
    """When, where and by which alert or breaker change something was noticed."""

    __slots__ = ("at", "limit", "observed", "subject")

    def __init__(self, at: int, subject: str = "", observed: str = "", limit: str = "") -> None:
        self.at = at
        self.subject = subject
        self.observed = observed
        self.limit = limit


def first_detection(
    seen: Observation, expected: Expectation, also_without: Collection[Signal] = ()
) -> Detection | None:
    """The first signal that meets ``expected`` apart from its time limit, or None.

    Counts from the moment when the service began to play the fault: what fired before cannot be
    its detection, and what ``also_without`` the fault fires neither.
    """
    fault = seen.fault(expected.of)
    if fault is None or not fault.applied_at:
        return None
    if expected.kind == "breaker":
        if ("breaker", expected.name) in also_without:
            return None
        for change in seen.breaker:
            if change.state == expected.name and change.at >= fault.applied_at:
                return Detection(change.at, "", change.reason)
    elif expected.kind == "alert":
        for alert in _alerts(seen, expected):
            fresh = alert.detected_at >= fault.applied_at
            if fresh and (alert.rule, alert.subject) not in also_without:
                return Detection(alert.detected_at, alert.subject, alert.observed, alert.limit)
    return None


def judge(
    plan: RunPlan,
    seen: Observation,
    *,
    also_without: Collection[Signal] = (),
    until: int = 0,
    journals: Mapping[str, JournalHead] | None = None,
    control: bool = True,
) -> Verdict:
    """``also_without``: what fires in the same run without faults, up to the simulated time
    ``until``, in microseconds; 0: there was none. ``journals``: heads at the end of the run, and
    ``control``: was a run without faults wanted? Both for the record.
    """
    silent = seen.monitor_silence > max(MONITOR_SILENCE, 20 * plan.tick)
    expectations = tuple(
        _expectation(plan, seen, e, also_without, silent) for e in plan.expectations
    )
    recovery = _recovery(plan, seen)
    audit = _audit(seen.audit, journals or {})
    doubts = _doubts(plan, seen, audit)
    failures = [f"{e.label}: {e.reason}" for e in expectations if not e.met]
    if silent:
        failures.append(f"risk monitor was silent for {format_duration(seen.monitor_silence)}")
    platform = platform_doubts(plan, seen, recovery, expectations)
    doubts += platform
    if seen.steady_at and not recovery.recovered and not platform:
        failures.append(f"no recovery: {recovery.reason}")
    failures += [f"audit: {d.kind} at {d.where}: {d.detail}" for d in audit.discrepancies]
    if seen.aborted:
        doubts = [f"aborted: {seen.aborted}"]
    outcome = INCONCLUSIVE if doubts else FAIL if failures else PASS
    if seen.aborted:
        outcome = ABORTED
    if not plan.expectations:
        outcome, doubts = ERROR, ["no expectation: nothing to judge"]
    return Verdict(
        scenario=plan.name,
        description=plan.description,
        seed=plan.seed,
        outcome=outcome,
        reasons=tuple(doubts + failures),
        started_at=seen.started_at,
        ended_at=seen.ended_at,
        phases=tuple(PhaseStart(phase, at) for phase, at in seen.phases),
        faults=tuple(_fault(f) for f in seen.faults),
        expectations=expectations,
        recovery=recovery,
        audit=audit,
        conditions=_conditions(seen, expectations, recovery, audit, outcome),
        alerts=tuple(_alert(a, plan.expectations) for a in seen.alerts),
        control=ControlRun(until=until, signals=tuple(sorted(also_without))),
        setup=seen.setup,
        command=reproduction(plan, control=control),
        clock=ClockRecord(mode=plan.clock_mode.value, speed=plan.speed),
    )


def _alert(seen: SeenAlert, expectations: Collection[Expectation]) -> AlertOutcome:
    return AlertOutcome(
        rule=seen.rule,
        subject=seen.subject,
        severity=seen.severity,
        observed=seen.observed,
        limit=seen.limit,
        event_time=seen.event_time,
        detected_at=seen.detected_at,
        resolved_at=seen.resolved_at,
        expected=any(e.kind == "alert" and _is_about(e, seen) for e in expectations),
    )


def _alerts(seen: Observation, expected: Expectation) -> list[SeenAlert]:
    return [a for a in seen.alerts if _is_about(expected, a)]


def _is_about(expected: Expectation, alert: SeenAlert) -> bool:
    return expected.name in ("*", alert.rule) and expected.subject in ("", alert.subject)


def _expectation(
    plan: RunPlan,
    seen: Observation,
    expected: Expectation,
    also_without: Collection[Signal],
    silent: bool,
) -> ExpectationOutcome:
    if expected.kind == "noAlert":
        return _no_alert(seen, expected, silent)
    found = first_detection(seen, expected, also_without)
    fault = seen.fault(expected.of)
    injected_at = fault.injected_at if fault is not None else 0
    if found is None or not injected_at:
        reason = _why_not(plan, seen, expected, also_without)
        return _outcome(expected, met=False, reason=reason)
    latency = max(0, found.at - injected_at)
    met = latency <= expected.within
    return _outcome(
        expected,
        met=met,
        latency=latency,
        detected_at=found.at,
        subject=found.subject,
        observed=found.observed,
        limit=found.limit,
        reason=""
        if met
        else f"came after {format_duration(latency)}, limit {format_duration(expected.within)}",
    )


def _no_alert(seen: Observation, expected: Expectation, silent: bool) -> ExpectationOutcome:
    fired = _alerts(seen, expected)
    if fired:
        first = fired[0]
        reason = f"{first.rule} fired on {first.subject}: {first.observed}, limit {first.limit}"
        return _outcome(
            expected,
            met=False,
            detected_at=first.detected_at,
            subject=first.subject,
            observed=first.observed,
            limit=first.limit,
            reason=reason,
        )
    reason = "the risk monitor was not there to fire it" if silent else ""
    return _outcome(expected, met=not silent, reason=reason)


def _outcome(
    expected: Expectation, *, met: bool, reason: str, **more: object
) -> ExpectationOutcome:
    return ExpectationOutcome(
        label=expected.label,
        kind=expected.kind,
        name=expected.name,
        of=expected.of,
        within=expected.within,
        met=met,
        reason=reason,
        **more,  # type: ignore[arg-type]
    )


def _why_not(
    plan: RunPlan, seen: Observation, expected: Expectation, also_without: Collection[Signal]
) -> str:
    fault = seen.fault(expected.of)
    if fault is None or not fault.injected_at:
        return f"the injection of {expected.of} was never seen"
    if expected.kind == "promql":
        return "promql needs a Prometheus, which this runtime does not have"
    if expected.kind == "alert" and expected.name in plan.disabled_rules:
        return "the rule is switched off (controls.disable)"
    if expected.kind == "alert":
        for alert in _alerts(seen, expected):
            if (alert.rule, alert.subject) in also_without:
                return "it also fires without the fault, so it is no detection"
            if alert.detected_at < fault.applied_at:
                early = fault.applied_at - alert.detected_at
                return f"it fired {format_duration(early)} before the injection: no detection"
    elif ("breaker", expected.name) in also_without:
        return "it also trips without the fault, so it is no detection"
    return "never came"


def _doubts(plan: RunPlan, seen: Observation, audit: AuditOutcome) -> list[str]:
    """Why nothing can be concluded from this run."""
    if seen.halted:
        return [seen.halted]
    if not seen.steady_at:
        why = seen.unsteady or "it did not hold long enough"
        return [f"no steady state within {format_duration(plan.steady_within)}: {why}"]
    doubts = []
    for fault in seen.faults:
        if not fault.injected_at:
            ended = fault.end_reason
            why = f" ({ended})" if ended.startswith("REFUSED") else ""
            doubts.append(f"no evidence that {fault.name} was injected{why}")
        elif fault.end_reason not in ("RECOVERED", ""):
            doubts.append(f"{fault.name} ended early: {fault.end_reason}")
    if not audit.complete:
        broken = [d for d in audit.discrepancies if d.kind in ("CHAIN_BROKEN", "TRUNCATED")]
        detail = "; ".join(f"{d.kind} at {d.where}: {d.detail}" for d in broken)
        doubts.append(f"audit is incomplete: {detail or 'no report'}")
    lost = [d.detail for d in audit.discrepancies if d.kind == "LOST"]
    doubts += [f"entries were lost, and their loss accepted: {detail}" for detail in lost]
    return doubts


def _recovery(plan: RunPlan, seen: Observation) -> RecoveryOutcome:
    within = plan.recovery_within
    if not seen.recovered_at:
        return RecoveryOutcome(
            recovered=False, within=within, reason=seen.unrecovered or "never begun"
        )
    took = max(0, seen.recovered_at - seen.faults_ended_at)
    late = took > within
    reason = f"took {format_duration(took)}, limit {format_duration(within)}" if late else ""
    return RecoveryOutcome(recovered=not late, within=within, took=took, reason=reason)


def _audit(report: AuditReport | None, journals: Mapping[str, JournalHead]) -> AuditOutcome:
    if report is None:
        return AuditOutcome(complete=False, journals=dict(journals))
    return AuditOutcome(
        complete=report.complete,
        events=report.events,
        root=report.root,
        coverage_ppm=report.coverage_ppm,
        discrepancies=report.discrepancies,
        correlations=report.correlations,
        false_alarms=report.false_alarms,
        journals=dict(journals),
    )


def _fault(fault: SeenFault) -> FaultOutcome:
    return FaultOutcome(
        name=fault.name,
        kind=fault.kind,
        requested_at=fault.requested_at,
        applied_at=fault.applied_at,
        injected_at=fault.injected_at,
        evidence=fault.evidence,
        ended_at=fault.ended_at,
        end_reason=fault.end_reason,
        recovered_at=fault.recovered_at,
    )


def _conditions(
    seen: Observation,
    expectations: tuple[ExpectationOutcome, ...],
    recovery: RecoveryOutcome,
    audit: AuditOutcome,
    outcome: str,
) -> tuple[Condition, ...]:
    verified = [f for f in seen.faults if f.injected_at]
    met = sum(1 for e in expectations if e.met)
    every = len(verified) == len(seen.faults)
    clean = audit.complete and not audit.discrepancies
    return (
        _condition(
            "SteadyState", bool(seen.steady_at), "Held", "NotReached", seen.unsteady, seen.steady_at
        ),
        _condition(
            "FaultVerified",
            every and bool(verified),
            "SeenInDataPlane",
            "NoEvidence",
            f"{len(verified)} of {len(seen.faults)} faults seen",
            max((f.injected_at for f in verified), default=0),
        ),
        _condition(
            "Detected",
            met == len(expectations),
            "AllMet",
            "ExpectationMissed",
            f"{met} of {len(expectations)} expectations met",
            max((e.detected_at for e in expectations), default=0),
        ),
        _condition(
            "Recovered",
            recovery.recovered,
            "Verified",
            "NotRecovered",
            recovery.reason,
            seen.recovered_at,
        ),
        _condition(
            "AuditVerified",
            clean,
            "ChainsVerified",
            "Discrepancies" if audit.complete else "Incomplete",
            f"{audit.events} events, {len(audit.discrepancies)} discrepancies",
            seen.ended_at,
        ),
        _condition("Complete", True, outcome, outcome, "", seen.ended_at),
    )


def _condition(kind: str, true: bool, yes: str, no: str, message: str, at: int) -> Condition:
    return Condition(
        type=kind,
        status="True" if true else "False",
        reason=yes if true else no,
        message=message,
        last_transition_time=at,
    )
