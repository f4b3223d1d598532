"""Summarise a verdict for people: overrides, alerts, clock, and how the run was made."""

from collections.abc import Mapping
from typing import NamedTuple

from trading.scenario.observation import Severity
from trading.scenario.result import AlertOutcome, Outcome, Verdict
from trading.units import format_duration


class AlertGroup(NamedTuple):
    """All alerts of one rule on one subject.

    ``times`` is their number, and ``first`` when the first was detected, in microseconds since the
    start of the run. ``firing`` is true if any of them still fires at the end of the run.
    ``observed`` is the reading of the first one with its limit.
    """

    name: str
    times: int
    first: int
    firing: bool
    severity: Severity
    observed: str
    expected: bool


def changes(overrides: Mapping[str, str]) -> str:
    """Return the overrides in one line, e.g. ``"faults.crash.at=2m, seed=9"``; empty if there are
    none.
    """
    return ", ".join(f"{path}={value}" for path, value in overrides.items())


def label(description: str, overrides: Mapping[str, str]) -> str:
    """Return the description and the overrides, since these may make the description wrong."""
    changed = f"changed: {changes(overrides)}" if overrides else ""
    return f"{description} ({changed})" if description and changed else description or changed


def program_summary(verdict: Verdict) -> str:
    """Return one line with the version, the digest of the plan and the seed."""
    setup = verdict.setup
    return f"version {setup.version}, plan {setup.plan_digest}, seed {setup.seed}"


def clock_summary(verdict: Verdict) -> str:
    """Return one line with the clock, its speed, and the services that time has waited for."""
    clock = verdict.clock
    speed = "as fast as the machine could" if clock.speed is None else f"{clock.speed:g}x"
    if clock.mode == "virtual" and clock.speed is not None:
        speed = f"at most {speed}"
    waited = [
        f"{name} {format_duration(round(seconds * 1_000_000))}"
        for name, seconds in clock.waited.items()
        if seconds
    ]
    return f"{clock.mode}, {speed}" + (f"; time waited for {', '.join(waited)}" if waited else "")


def control_summary(verdict: Verdict) -> str:
    """Return one line about the control run, the same market without the faults."""
    if not verdict.control.until:
        needed = verdict.outcome is Outcome.PASS
        return "none: not known what fires without the faults" if needed else "only before a Pass"
    until = format_duration(verdict.control.until - verdict.started_at)
    signals = ", ".join(f"{rule} {subject}" for rule, subject in verdict.control.signals)
    return f"without the faults, in the first {until}: {signals or 'no alert'}"


def alert_name(alert: AlertOutcome) -> str:
    """Return the name of an alert, with the monitor of the user's that raised it."""
    return f"{alert.monitor}: {alert.rule}" if alert.monitor else alert.rule


def reading(observed: str, limit: str) -> str:
    """Return what was observed, with its limit if the monitor gave one."""
    return f"{observed}, limit {limit}" if limit else observed


def _with_subject(name: str, subject: str) -> str:
    return f"{name} on {subject}" if subject else name


def monitor_rows(verdict: Verdict) -> list[tuple[str, str, str, str, str]]:
    """Return one row for each judged monitor and fault: the monitor, the fault, its first alert,
    its latency, and how many of its alerts were unexpected.
    """
    rows = []
    for monitor in verdict.monitors:
        unexpected = f"{monitor.unexpected} of {monitor.alerts}"
        for detection in monitor.detections:
            alert = _with_subject(detection.alert, detection.subject)
            after = format_duration(detection.latency) if alert else ""
            missed = monitor.failure or "nothing"
            name = f"{monitor.name} (open loop)" if monitor.open_loop else monitor.name
            rows.append((name, detection.fault, alert or missed, after, unexpected))
    return rows


def alert_groups(verdict: Verdict) -> list[AlertGroup]:
    """Return the alerts, grouped by rule and subject, oldest first."""
    groups: dict[tuple[str, str], AlertGroup] = {}
    for alert in verdict.alerts:
        key = (alert_name(alert), alert.subject)
        group = groups.get(key)
        firing = not alert.resolved_at
        if group is None:
            groups[key] = AlertGroup(
                _with_subject(*key),
                1,
                alert.detected_at - verdict.started_at,
                firing,
                alert.severity,
                reading(alert.observed, alert.limit),
                alert.expected,
            )
        else:
            groups[key] = group._replace(times=group.times + 1, firing=group.firing or firing)
    return list(groups.values())
