"""Make Grafana's JSON from the tables of panels, with Grafana's Foundation SDK."""

from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import common as common_options
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from tools.dashboards.spec import BARS, LINES, STAT, STATES, TABLE, Dashboard, Panel

SOURCE = DataSourceRef("prometheus", "${datasource}")
_MAKERS: dict[str, Any] = {
    STAT: stat.Panel,
    LINES: timeseries.Panel,
    STATES: statetimeline.Panel,
    BARS: bargauge.Panel,
    TABLE: table.Panel,
}
#: The kinds of panels that show the current value, not its history.
_NOW = (STAT, BARS, TABLE)


def built(spec: Dashboard) -> str:
    """Return the JSON of a dashboard, with a line break at its end."""
    builder = (
        dashboard.Dashboard(spec.title)
        .uid(spec.uid)
        .description(spec.text)
        .tags(["trading"])
        .readonly()
        .refresh("5s")
        .time("now-30m", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
        .annotation(_faults())
    )
    numbers = count(1)
    for title, panels in spec.rows.items():
        builder.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            builder.with_panel(_panel(panel).id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


#: A virtual run may take seconds only, and its faults may fall between two scrapes. The second part
#: marks such faults by their counter.
_FAULTS = (
    "test_coordinator_fault_active == 1 or on() "
    '(increase(test_coordinator_faults_total{event="injected"}[$__rate_interval]) > 0)'
)


def _faults() -> Any:
    """Return the annotation that marks on every time axis when a fault was active."""
    return (
        dashboard.AnnotationQuery()
        .name("Faults")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("orange")
        .expr(_FAULTS)
    )


def _panel(spec: Panel) -> Any:
    panel = (
        _MAKERS[spec.kind]()
        .title(spec.title)
        .description(spec.text)
        .unit(spec.unit)
        .datasource(SOURCE)
        .span(spec.width)
        .height(spec.height)
    )
    for letter, query in zip("ABCDEFGH", spec.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(SOURCE)
        target.legend_format(query.legend or "__auto")
        panel.with_target(target.instant() if spec.kind in _NOW else target.range())
    if spec.steps:
        steps = [Threshold(value, colour) for value, colour in spec.steps]
        thresholds = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
        panel.thresholds(thresholds)
    if spec.names:
        named = {v: ValueMappingResult(text=t, color=c) for v, (t, c) in spec.names.items()}
        panel.mappings([ValueMap(named)])
    if spec.kind in (STAT, BARS):
        panel.reduce_options(common_options.ReduceDataOptions().calcs(["lastNotNull"]))
    if spec.kind == LINES:
        panel.fill_opacity(8).show_points(common.VisibilityMode.NEVER)
    if spec.kind == BARS:
        panel.orientation(common.VizOrientation.HORIZONTAL)
    return panel
