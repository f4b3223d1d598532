"""Compares the monitors that a run judges: what each detected, when, and what it raised besides."""

from collections.abc import Collection

from trading.scenario.observation import Observation, SeenAlert, SeenFault
from trading.scenario.plan import ALERTS_FILE, RunPlan
from trading.scenario.result import MonitorDetection, MonitorOutcome
from trading.topology import RISK_MONITOR


def judge_monitors(
    plan: RunPlan, observation: Observation, baseline_signals: Collection[tuple[str, str]]
) -> tuple[MonitorOutcome, ...]:
    """Return one outcome for each monitor that ``plan`` names, in its order.

    ``baseline_signals`` are those that also fire in a run without the faults.
    """
    return tuple(_outcome(name, plan, observation, baseline_signals) for name in plan.monitors)


def _outcome(
    name: str,
    plan: RunPlan,
    observation: Observation,
    baseline_signals: Collection[tuple[str, str]],
) -> MonitorOutcome:
    source = "" if name == RISK_MONITOR else name
    alerts = [alert for alert in observation.alerts if alert.monitor == source]
    applied = [fault.applied_at for fault in observation.faults if fault.applied_at]
    first_fault_at = min(applied, default=0)
    caused = [
        alert
        for alert in alerts
        if first_fault_at
        and alert.detected_at >= first_fault_at
        and alert.signal not in baseline_signals
    ]
    return MonitorOutcome(
        name=name,
        program=plan.monitor_programs.get(name, ""),
        open_loop=plan.monitor_programs.get(name, "").startswith(ALERTS_FILE),
        failure=observation.monitor_failures.get(name, ""),
        detections=tuple(_detection(fault, caused) for fault in observation.faults),
        alerts=len(alerts),
        unexpected=len(alerts) - len(caused),
    )


def _detection(fault: SeenFault, alerts: Collection[SeenAlert]) -> MonitorDetection:
    after = (a for a in alerts if fault.applied_at and a.detected_at >= fault.applied_at)
    first = min(after, key=lambda alert: alert.detected_at, default=None)
    if first is None:
        return MonitorDetection(fault=fault.name)
    return MonitorDetection(
        fault=fault.name,
        alert=first.rule,
        subject=first.subject,
        detected_at=first.detected_at,
        latency=max(0, first.detected_at - (fault.injected_at or first.detected_at)),
    )
