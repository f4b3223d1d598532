"""Grafana's dashboards follow the linter's rules, and every panel has data after a real run."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.observability.conftest import Watched
from tools.dashboards import DASHBOARDS, texts
from tools.dashboards.build import built
from tools.dashboards.spec import LINES, Dashboard, Panel, Query
from trading.telemetry.signals import COUNTER, SIGNALS

GENERATED: dict[str, Any] = {Path(path).stem: json.loads(text) for path, text in texts().items()}
_METRIC = re.compile(
    r"\b(?:trading|exchange|custodian|market_data|risk_monitor|test_coordinator|audit)_\w+"
)


def panels(dashboard: Any) -> Iterator[Any]:
    """Yield the panels of a dashboard that are not rows."""
    for panel in dashboard["panels"]:
        if panel["type"] != "row":
            yield panel


QUERIES = [
    pytest.param(target["expr"], id=f"{uid}: {panel['title']} {target['refId']}")
    for uid, dashboard in GENERATED.items()
    for panel in panels(dashboard)
    for target in panel["targets"]
]


def complaints(dashboard: Any) -> list[str]:
    """Return the violations of the rules of Grafana's dashboard-linter."""
    problems = []
    variables = [v["type"] for v in dashboard["templating"]["list"]]
    if variables != ["datasource"]:
        problems.append("no data source variable")
    numbers = [panel["id"] for panel in dashboard["panels"]]
    if len(set(numbers)) != len(numbers):
        problems.append("ids twice")
    for panel in panels(dashboard):
        title = panel["title"]
        if not title or not panel.get("description"):
            problems.append(f"{title}: needs a title and a description")
        if not panel["fieldConfig"]["defaults"].get("unit"):
            problems.append(f"{title}: no unit")
        for target in panel["targets"]:
            expr = target["expr"]
            if panel["datasource"]["uid"] != "${datasource}" != target["datasource"]["uid"]:
                problems.append(f"{title}: a data source of its own")
            ranges = re.findall(r"\[([^\]]*)\]", expr)
            if any(r != "$__rate_interval" for r in ranges):
                problems.append(f"{title}: needs $__rate_interval")
            for name in _METRIC.findall(expr):
                base = re.sub(r"_(total|bucket|sum|count)$", "", name)
                signal = SIGNALS.get(base)
                if signal is None:
                    problems.append(f"{title}: {name} is no signal")
                elif panel["type"] != "timeseries" or signal.kind != COUNTER:
                    continue
                elif f"rate({name}" not in expr:
                    problems.append(f"{title}: rate() on a counter")
        box = panel["gridPos"]
        if box["x"] + box["w"] > 24:
            problems.append(f"{title}: wider than the page")
    return problems


@pytest.mark.parametrize("uid", GENERATED)
def test_nothing_to_complain(uid: str) -> None:
    assert complaints(GENERATED[uid]) == []


def test_a_bad_panel_would_be_noticed() -> None:
    bad = Panel(LINES, "Bad", "", "", (Query("rate(exchange_trades_total[5m]) + custodian_x"),))
    raw = Panel(LINES, "Raw", "Of a counter.", "none", (Query("exchange_trades_total"),))
    problems = complaints(json.loads(built(Dashboard("bad", "Bad", "", {"Row": (bad, raw)}))))
    assert problems == [
        "Bad: needs a title and a description",
        "Bad: no unit",
        "Bad: needs $__rate_interval",
        "Bad: custodian_x is no signal",
        "Raw: rate() on a counter",
    ]


def test_there_are_the_four_that_were_promised() -> None:
    assert [d.title for d in DASHBOARDS] == [
        "Executive Overview",
        "Risk Monitoring",
        "Audit Correlation",
        "System Performance",
    ]


@pytest.mark.parametrize("expr", QUERIES)
def test_a_panel_has_data(watched: Watched, expr: str) -> None:
    assert watched.prometheus.series(expr, watched.began, watched.ended), expr


def test_faults_are_marked_on_every_time_axis(watched: Watched) -> None:
    for dashboard in GENERATED.values():
        (marks,) = dashboard["annotations"]["list"]
        assert watched.prometheus.series(marks["expr"], watched.began, watched.ended)


def test_a_query_without_data_would_be_noticed(watched: Watched) -> None:
    series = watched.prometheus.series("exchange_invented", watched.began, watched.ended)
    assert series == []
