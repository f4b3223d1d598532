"""The types of which the tables of panels consist, and values that several dashboards share."""

from typing import NamedTuple

from trading.messages.risk import BreakerState

STAT, LINES, STATES, BARS, TABLE = "stat", "lines", "states", "bars", "table"


class Query(NamedTuple):
    """A PromQL query, and the legend that Grafana shows for its series."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """A panel. `width` is in columns, 24 to a row. Each of `steps` has a colour and the value from
    which it holds; the first has no value. `names` has the text and colour that Grafana shows for a
    value.
    """

    kind: str
    title: str
    text: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    steps: tuple[tuple[float | None, str], ...] = ()
    names: dict[str, tuple[str, str]] = {}  # noqa: RUF012 - read only


class Dashboard(NamedTuple):
    """A dashboard: its id and texts, and panels by the title of their row."""

    uid: str
    title: str
    text: str
    rows: dict[str, tuple[Panel, ...]]


ON_OFF = {"0": ("off", "green"), "1": ("on", "orange")}
UP_DOWN = {"0": ("down", "red"), "1": ("up", "green")}
_COLOURS = {
    BreakerState.ACTIVE: "green",
    BreakerState.REDUCING: "orange",
    BreakerState.HALTED: "red",
}
BREAKER = {str(n): (state.value, _COLOURS[state]) for n, state in enumerate(BreakerState)}
NONE_IS_GOOD: tuple[tuple[float | None, str], ...] = ((None, "green"), (1, "red"))
LIMIT: tuple[tuple[float | None, str], ...] = ((None, "green"), (0.9, "orange"), (1, "red"))

#: Queries that more than one dashboard has.
ACTIVE_FAULTS = (Query("test_coordinator_fault_active", "{{fault}} ({{kind}})"),)
KEPT_VERDICTS = (Query("test_coordinator_verdicts", "{{outcome}}"),)
FIRED_ALERTS = (Query("sum by (rule, severity) (risk_monitor_alerts_fired_total)"),)
