"""Decides which alerts of a run an expectation is about."""

from collections.abc import Collection

from trading.scenario.observation import Observation, SeenAlert
from trading.scenario.plan import Expectation
from trading.scenario.result import AlertOutcome


def matching_alerts(observation: Observation, expectation: Expectation) -> list[SeenAlert]:
    """Return the alerts that ``expectation`` is about, in the order of their arrival."""
    return [alert for alert in observation.alerts if _matches(expectation, alert)]


def alert_outcomes(
    observation: Observation, expectations: Collection[Expectation]
) -> tuple[AlertOutcome, ...]:
    """Return every alert of a run as the verdict records it."""
    return tuple(_outcome(alert, expectations) for alert in observation.alerts)


def fired(alert: SeenAlert) -> str:
    """Say in words that an alert fired; a monitor of the user's need not name subject and limit."""
    where = f" on {alert.subject}" if alert.subject else ""
    readings = (alert.observed, alert.limit and f"limit {alert.limit}")
    seen = ", ".join(filter(None, readings))
    return f"{alert.rule} fired{where}" + (f": {seen}" if seen else "")


def _outcome(alert: SeenAlert, expectations: Collection[Expectation]) -> AlertOutcome:
    return AlertOutcome(
        rule=alert.rule,
        subject=alert.subject,
        severity=alert.severity,
        observed=alert.observed,
        limit=alert.limit,
        event_time=alert.event_time,
        detected_at=alert.detected_at,
        resolved_at=alert.resolved_at,
        expected=any(e.kind == "alert" and _matches(e, alert) for e in expectations),
        monitor=alert.monitor,
        labels=alert.labels,
    )


def _matches(expectation: Expectation, alert: SeenAlert) -> bool:
    return (
        (expectation.monitor or "") == alert.monitor
        and expectation.name in ("*", alert.rule)
        and expectation.subject in ("", alert.subject)
        and all(alert.labels.get(n) == v for n, v in (expectation.labels or {}).items())
    )
