"""Generate the alert rules of Prometheus: one for each rule of the risk monitor, and those of the
deployment.

The rules are in charts/trading/files/prometheus/rules.yml; promtool's unit tests of every alert are
generated, too.
"""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from trading.messages.risk import Severity
from trading.risk_monitor.rules import RULES

PATH = Path("charts/trading/files/prometheus/rules.yml")
TESTS = Path("tests/observability/rules_test.yml")
_HEAD = (
    "# Written by `make generate` from the risk monitor's rule table and tools/alert_rules.py.\n"
)
_DOCS = "docs/reference/rules.md"


class Alert(NamedTuple):
    """An alert rule and the series that its unit test uses.

    `hold` is the seconds for which `expr` must be true before the alert fires. `series` has the
    value `firing` while the condition holds and `quiet` otherwise. `rule` is the rule of the risk
    monitor, if there is one.
    """

    name: str
    expr: str
    hold: int
    severity: Severity
    summary: str
    description: str
    series: str
    firing: float
    quiet: float
    rule: str = ""


def risk_alerts() -> list[Alert]:
    """Return an alert for each rule of the risk monitor. They do not hold: the risk monitor has
    applied the rule's delay already, and Prometheus only forwards its alerts.
    """
    return [
        Alert(
            name="Risk" + "".join(word.capitalize() for word in rule.name.split("-")),
            expr=f'sum(risk_monitor_alerts{{rule="{rule.name}",state="firing"}}) > 0',
            hold=0,
            severity=rule.severity,
            summary=rule.description,
            description=f"{{{{ $value }}}} of {rule.name} are firing: {rule.signal}. {_DOCS}",
            series=f'risk_monitor_alerts{{rule="{rule.name}",state="firing",job="risk-monitor"}}',
            firing=1,
            quiet=0,
            rule=rule.name,
        )
        for rule in RULES.values()
    ]


OPERATIONS = [
    Alert(
        name="ServiceDown",
        expr="up == 0",
        hold=30,
        severity=Severity.CRITICAL,
        summary="{{ $labels.job }} does not answer.",
        description="Prometheus has not reached it for 30 seconds.",
        series='up{job="exchange",instance="x:8080"}',
        firing=0,
        quiet=1,
    ),
    Alert(
        name="ServiceNotReady",
        expr="trading_ready == 0",
        hold=60,
        severity=Severity.WARNING,
        summary="{{ $labels.service }} cannot do its work.",
        description="A dependency is missing; GET /ready of the service says which.",
        series='trading_ready{service="custodian",job="custodian"}',
        firing=0,
        quiet=1,
    ),
    Alert(
        name="JournalNotWritten",
        expr="trading_journal_unwritten > 10000",
        hold=30,
        severity=Severity.CRITICAL,
        summary="The journal of {{ $labels.service }} is not being written.",
        description="{{ $value }} decisions wait for the database; nothing of them is"
        " acknowledged.",
        series='trading_journal_unwritten{service="exchange",job="exchange"}',
        firing=20000,
        quiet=100,
    ),
    Alert(
        name="BreakerHalted",
        expr="risk_monitor_breaker_state == 2",
        hold=0,
        severity=Severity.CRITICAL,
        summary="The circuit breaker has halted trading.",
        description="It stays so until somebody resets it, with a reason, on the dashboard.",
        series='risk_monitor_breaker_state{job="risk-monitor"}',
        firing=2,
        quiet=1,
    ),
]


def texts() -> dict[Path, str]:
    """Return the text of each generated file, by its path within the project."""
    risk = risk_alerts()
    groups = [
        {"name": "risk", "rules": [_rule(alert) for alert in risk]},
        {"name": "operations", "rules": [_rule(alert) for alert in OPERATIONS]},
    ]
    tests = {
        "rule_files": ["../../charts/trading/files/prometheus/rules.yml"],
        "evaluation_interval": "5s",
        "tests": [_test(alert) for alert in (*risk, *OPERATIONS)],
    }
    return {PATH: _HEAD + _dump({"groups": groups}), TESTS: _HEAD + _dump(tests)}


def _rule(alert: Alert) -> dict[str, Any]:
    labels = {"severity": alert.severity.value} | ({"rule": alert.rule} if alert.rule else {})
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": f"{alert.hold}s",
        "labels": labels,
        "annotations": {"summary": alert.summary, "description": alert.description},
    }


def _test(alert: Alert) -> dict[str, Any]:
    """Return a unit test: one minute without the condition, then with it. The alert must not fire
    up to the last step before `hold` has passed, must fire then, and must be resolved after the
    condition.
    """
    steps = alert.hold // 5 + 4
    values = f"{alert.quiet:g}x11 {alert.firing:g}x{steps - 1} {alert.quiet:g}x5"
    begins = 12 * 5
    ends = begins + steps * 5

    def at(seconds: int, fires: bool) -> dict[str, Any]:
        # The labels of alerts differ by series, so the test counts those of ALERTS.
        expr = f'count(ALERTS{{alertname="{alert.name}",alertstate="firing"}}) or vector(0)'
        samples = [{"value": int(fires), "labels": "{}"}]
        return {"expr": expr, "eval_time": f"{seconds}s", "exp_samples": samples}

    expectations = [at(begins - 5, False)]
    if alert.hold:
        expectations.append(at(begins + alert.hold - 5, False))
    expectations += [at(begins + alert.hold, True), at(ends - 5, True), at(ends, False)]
    return {
        "name": alert.name,
        "interval": "5s",
        "input_series": [{"series": alert.series, "values": values}],
        "promql_expr_test": expectations,
    }


def _dump(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)
