"""Judges a run: a pure function of its plan, the coordinator's observation and the audit report.

The verdict is computed after the run from recorded data alone, so that the evidence of a run is
enough to compute it again. It follows these rules, each of which has a test:

- Without evidence of the injection, or without a steady state before it, a run is Inconclusive.
- An alert that fired before the injection, or that also fires without the fault, is no detection.
- A run in which the risk monitor was silent for too long is a Fail, if it is judged.
- A run in which a monitor of the user's broke is Inconclusive; one that says nothing fails.
- A failure of the platform, such as a partition that did not end, makes a run Inconclusive,
  never a Fail.
- A run whose audit is incomplete, or whose audit found a broken hash chain, is never a Pass.
"""

from collections.abc import Collection, Mapping

from trading.messages.audit import AuditReport, DiscrepancyKind
from trading.messages.chaos import FaultEnd
from trading.scenario.alerts import alert_outcomes, fired, matching_alerts
from trading.scenario.monitors import judge_monitors
from trading.scenario.observation import Observation, SeenFault
from trading.scenario.plan import Expectation, RunPlan, reproduction
from trading.scenario.platform import platform_failures
from trading.scenario.result import (
    AuditOutcome,
    ClockRecord,
    Condition,
    ConditionType,
    ControlRun,
    ExpectationOutcome,
    FaultOutcome,
    JournalHead,
    Outcome,
    PhaseStart,
    RecoveryOutcome,
    Verdict,
)
from trading.units import MINUTE, format_duration

#: An alert (rule, subject), where the rule of a monitor of the user's begins with its name; or a
#: state of the circuit breaker ("breaker", state).
Signal = tuple[str, str]

#: Simulated microseconds without a message of the risk monitor, which reports every second or tick,
#: after which it counts as silent.
MONITOR_SILENCE = MINUTE

#: Discrepancies because of which an audit is incomplete.
_DAMAGE = frozenset({DiscrepancyKind.CHAIN_BROKEN, DiscrepancyKind.TRUNCATED})


class Detection:
    """The first alert or change of the circuit breaker that met an expectation.

    ``at`` is the simulated time of the detection in microseconds. ``subject``, ``observed`` and
    ``limit`` are those of the alert; for the circuit breaker ``observed`` is the reason of the
    change, and the other two are empty.
    """

    __slots__ = ("at", "limit", "observed", "subject")

    def __init__(self, at: int, subject: str = "", observed: str = "", limit: str = "") -> None:
        self.at = at
        self.subject = subject
        self.observed = observed
        self.limit = limit


def first_detection(
    observation: Observation, expectation: Expectation, baseline_signals: Collection[Signal] = ()
) -> Detection | None:
    """Return the first detection that meets ``expectation`` regardless of its time limit, or None.

    Signals that are older than the moment at which the service applied the fault do not count,
    since the fault cannot have caused them. Nor do ``baseline_signals``, which also fire in a run
    without faults.
    """
    fault = observation.fault(expectation.of)
    if fault is None or not fault.applied_at:
        return None
    if expectation.kind == "breaker":
        if ("breaker", expectation.name) in baseline_signals:
            return None
        for change in observation.breaker:
            if change.state == expectation.name and change.at >= fault.applied_at:
                return Detection(change.at, "", change.reason)
    elif expectation.kind == "alert":
        for alert in matching_alerts(observation, expectation):
            fresh = alert.detected_at >= fault.applied_at
            if fresh and alert.signal not in baseline_signals:
                return Detection(alert.detected_at, alert.subject, alert.observed, alert.limit)
    return None


def judge(
    plan: RunPlan,
    observation: Observation,
    *,
    also_without: Collection[Signal] = (),
    until: int = 0,
    journals: Mapping[str, JournalHead] | None = None,
    control: bool = True,
) -> Verdict:
    """Return the verdict on a run of ``plan``.

    ``also_without`` holds the baseline signals: those that fire in the control run, which is the
    same run without its faults. The control run went to the simulated time ``until`` in
    microseconds; 0 means that there was none. ``journals`` maps the names of journals to their
    heads at the end of the run, and ``control`` says whether a control run was requested; the
    verdict only records these two.
    """
    monitor_silent = plan.judges_built_in_monitor and (
        observation.monitor_silence > max(MONITOR_SILENCE, 20 * plan.tick)
    )
    expectations = tuple(
        _judge_expectation(plan, observation, e, also_without, monitor_silent)
        for e in plan.expectations
    )
    recovery = _judge_recovery(plan, observation)
    audit = _audit_outcome(observation.audit, journals or {})
    inconclusive = _inconclusive_reasons(plan, observation, audit)
    failures = [f"{e.label}: {e.reason}" for e in expectations if not e.met]
    if monitor_silent:
        failures.append(
            f"risk monitor was silent for {format_duration(observation.monitor_silence)}"
        )
    platform_reasons = platform_failures(plan, observation, recovery, expectations)
    inconclusive += platform_reasons
    if observation.steady_at and not recovery.recovered and not platform_reasons:
        failures.append(f"no recovery: {recovery.reason}")
    failures += [f"audit: {d.kind} at {d.where}: {d.detail}" for d in audit.discrepancies]
    if observation.aborted:
        inconclusive = [f"aborted: {observation.aborted}"]
    outcome = Outcome.FAIL if failures else Outcome.PASS
    if inconclusive:
        outcome = Outcome.INCONCLUSIVE
    if observation.aborted:
        outcome = Outcome.ABORTED
    if not plan.expectations:
        outcome, inconclusive = Outcome.ERROR, ["no expectation: nothing to judge"]
    return Verdict(
        scenario=plan.name,
        description=plan.description,
        seed=plan.seed,
        outcome=outcome,
        reasons=tuple(inconclusive + failures),
        started_at=observation.started_at,
        ended_at=observation.ended_at,
        phases=tuple(PhaseStart(phase, at) for phase, at in observation.phases),
        faults=tuple(_fault_outcome(f) for f in observation.faults),
        expectations=expectations,
        recovery=recovery,
        audit=audit,
        conditions=_conditions(observation, expectations, recovery, audit, outcome),
        alerts=alert_outcomes(observation, plan.expectations),
        monitors=judge_monitors(plan, observation, also_without),
        control=ControlRun(until=until, signals=tuple(sorted(also_without))),
        setup=observation.setup,
        command=reproduction(plan, control=control),
        clock=ClockRecord(mode=plan.clock_mode.value, speed=plan.speed),
    )


def _judge_expectation(
    plan: RunPlan,
    observation: Observation,
    expectation: Expectation,
    baseline_signals: Collection[Signal],
    monitor_silent: bool,
) -> ExpectationOutcome:
    if expectation.kind == "noAlert":
        return _judge_no_alert(observation, expectation, monitor_silent)
    detection = first_detection(observation, expectation, baseline_signals)
    fault = observation.fault(expectation.of)
    injected_at = fault.injected_at if fault is not None else 0
    if detection is None or not injected_at:
        reason = _missed_reason(plan, observation, expectation, baseline_signals)
        return _expectation_outcome(expectation, met=False, reason=reason)
    latency = max(0, detection.at - injected_at)
    met = latency <= expectation.within
    return _expectation_outcome(
        expectation,
        met=met,
        latency=latency,
        detected_at=detection.at,
        subject=detection.subject,
        observed=detection.observed,
        limit=detection.limit,
        reason=""
        if met
        else f"came after {format_duration(latency)}, limit {format_duration(expectation.within)}",
    )


def _judge_no_alert(
    observation: Observation, expectation: Expectation, monitor_silent: bool
) -> ExpectationOutcome:
    alerts = matching_alerts(observation, expectation)
    if alerts:
        first = alerts[0]
        return _expectation_outcome(
            expectation,
            met=False,
            detected_at=first.detected_at,
            subject=first.subject,
            observed=first.observed,
            limit=first.limit,
            reason=fired(first),
        )
    reason = ""
    if expectation.monitor and expectation.monitor in observation.monitor_failures:
        reason = "the monitor was not there to fire it"
    elif monitor_silent and not expectation.monitor:
        reason = "the risk monitor was not there to fire it"
    return _expectation_outcome(expectation, met=not reason, reason=reason)


def _expectation_outcome(
    expectation: Expectation, *, met: bool, reason: str, **details: object
) -> ExpectationOutcome:
    return ExpectationOutcome(
        label=expectation.label,
        kind=expectation.kind,
        name=expectation.name,
        of=expectation.of,
        within=expectation.within,
        met=met,
        reason=reason,
        **details,  # type: ignore[arg-type]
    )


def _missed_reason(
    plan: RunPlan,
    observation: Observation,
    expectation: Expectation,
    baseline_signals: Collection[Signal],
) -> str:
    fault = observation.fault(expectation.of)
    if fault is None or not fault.injected_at:
        return f"the injection of {expectation.of} was never seen"
    if expectation.kind == "promql":
        return "promql needs a Prometheus, which this runtime does not have"
    built_in = not expectation.monitor
    if expectation.kind == "alert" and built_in and expectation.name in plan.disabled_rules:
        return "the rule is switched off (controls.disable)"
    if expectation.kind == "alert":
        for alert in matching_alerts(observation, expectation):
            if alert.signal in baseline_signals:
                return "it also fires without the fault, so it is no detection"
            if alert.detected_at < fault.applied_at:
                early = fault.applied_at - alert.detected_at
                return f"it fired {format_duration(early)} before the injection: no detection"
    elif ("breaker", expectation.name) in baseline_signals:
        return "it also trips without the fault, so it is no detection"
    return "never came"


def _inconclusive_reasons(
    plan: RunPlan, observation: Observation, audit: AuditOutcome
) -> list[str]:
    """Return the reasons why this run is Inconclusive, apart from failures of the platform."""
    if observation.halted:
        return [observation.halted]
    if not observation.steady_at:
        detail = observation.unsteady or "it did not hold long enough"
        return [f"no steady state within {format_duration(plan.steady_within)}: {detail}"]
    reasons = []
    for fault in observation.faults:
        if not fault.injected_at:
            end_reason = fault.end_reason
            detail = f" ({end_reason})" if end_reason.startswith(FaultEnd.REFUSED) else ""
            reasons.append(f"no evidence that {fault.name} was injected{detail}")
        elif fault.end_reason not in (FaultEnd.RECOVERED, ""):
            reasons.append(f"{fault.name} ended early: {fault.end_reason}")
    if not audit.complete:
        damage = [d for d in audit.discrepancies if d.kind in _DAMAGE]
        detail = "; ".join(f"{d.kind} at {d.where}: {d.detail}" for d in damage)
        reasons.append(f"audit is incomplete: {detail or 'no report'}")
    failures = observation.monitor_failures.items()
    reasons += [f"monitor {name}: {why}" for name, why in failures if name in plan.monitors]
    losses = [d.detail for d in audit.discrepancies if d.kind is DiscrepancyKind.LOST]
    reasons += [f"entries were lost, and their loss accepted: {detail}" for detail in losses]
    return reasons


def _judge_recovery(plan: RunPlan, observation: Observation) -> RecoveryOutcome:
    within = plan.recovery_within
    if not observation.recovered_at:
        return RecoveryOutcome(
            recovered=False, within=within, reason=observation.unrecovered or "never begun"
        )
    duration = max(0, observation.recovered_at - observation.faults_ended_at)
    late = duration > within
    reason = f"took {format_duration(duration)}, limit {format_duration(within)}" if late else ""
    return RecoveryOutcome(recovered=not late, within=within, took=duration, reason=reason)


def _audit_outcome(report: AuditReport | None, journals: Mapping[str, JournalHead]) -> AuditOutcome:
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


def _fault_outcome(fault: SeenFault) -> FaultOutcome:
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
    observation: Observation,
    expectations: tuple[ExpectationOutcome, ...],
    recovery: RecoveryOutcome,
    audit: AuditOutcome,
    outcome: Outcome,
) -> tuple[Condition, ...]:
    verified_faults = [f for f in observation.faults if f.injected_at]
    met_count = sum(1 for e in expectations if e.met)
    all_verified = len(verified_faults) == len(observation.faults)
    audit_clean = audit.complete and not audit.discrepancies
    return (
        _condition(
            ConditionType.STEADY_STATE,
            bool(observation.steady_at),
            "Held",
            "NotReached",
            observation.unsteady,
            observation.steady_at,
        ),
        _condition(
            ConditionType.FAULT_VERIFIED,
            all_verified and bool(verified_faults),
            "SeenInDataPlane",
            "NoEvidence",
            f"{len(verified_faults)} of {len(observation.faults)} faults seen",
            max((f.injected_at for f in verified_faults), default=0),
        ),
        _condition(
            ConditionType.DETECTED,
            met_count == len(expectations),
            "AllMet",
            "ExpectationMissed",
            f"{met_count} of {len(expectations)} expectations met",
            max((e.detected_at for e in expectations), default=0),
        ),
        _condition(
            ConditionType.RECOVERED,
            recovery.recovered,
            "Verified",
            "NotRecovered",
            recovery.reason,
            observation.recovered_at,
        ),
        _condition(
            ConditionType.AUDIT_VERIFIED,
            audit_clean,
            "ChainsVerified",
            "Discrepancies" if audit.complete else "Incomplete",
            f"{audit.events} events, {len(audit.discrepancies)} discrepancies",
            observation.ended_at,
        ),
        _condition(ConditionType.COMPLETE, True, outcome, outcome, "", observation.ended_at),
    )


def _condition(
    condition_type: ConditionType,
    is_true: bool,
    true_reason: str,
    false_reason: str,
    message: str,
    last_transition: int,
) -> Condition:
    return Condition(
        type=condition_type,
        status="True" if is_true else "False",
        reason=true_reason if is_true else false_reason,
        message=message,
        last_transition_time=last_transition,
    )
