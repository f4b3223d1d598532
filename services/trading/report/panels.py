"""The panels of a report: which curves of a run are drawn, and in which way."""

from collections.abc import Sequence

from trading.report.chart import LANE, Bar, TimeAxis, lanes, lanes_height, line_chart, rebased
from trading.report.figures import money, percent
from trading.report.record import RunRecord
from trading.scenario.observation import BreakerState, SeenAlert
from trading.units import format_duration

#: Height of a line chart in pixels.
HEIGHT = 200

#: Classes that colour the states of the circuit breaker.
_BREAKER_TONES = {
    BreakerState.ACTIVE: "good",
    BreakerState.REDUCING: "unsure",
    BreakerState.HALTED: "bad",
}


class Panel:
    """A drawing with a title: ``svg`` is a ``<g>`` element, ``height`` is in pixels."""

    __slots__ = ("height", "svg", "title")

    def __init__(self, title: str, svg: str, height: int) -> None:
        self.title = title
        self.svg = svg
        self.height = height


def prices(axis: TimeAxis, record: RunRecord, *, height: int = HEIGHT) -> Panel:
    """Return the panel of the index prices, each relative to its first value."""
    title = "Index prices, change since the start"
    series = [rebased(s) for s in record.prices]
    return _lines(axis, title, series, percent, height=height, labels=True, name="prices")


def portfolio(axis: TimeAxis, record: RunRecord, *, height: int = HEIGHT) -> list[Panel]:
    """Return the panels of profit and drawdown, as the risk monitor has reported them."""
    return [
        _lines(axis, "P&L, USD", [record.pnl], money, height=height, with_zero=True, name="pnl"),
        _lines(
            axis,
            "Drawdown from the peak of equity",
            [record.drawdown],
            percent,
            height=height,
            with_zero=True,
            name="drawdown",
        ),
    ]


def details(axis: TimeAxis, record: RunRecord) -> list[Panel]:
    """Return the panels of the order books and of the exposure."""
    mids = [rebased(s) for s in record.marks]
    exposure = [record.gross, record.net]
    return [
        _lines(
            axis, "Mid prices at the exchange, change since the start", mids, percent, name="marks"
        ),
        _lines(
            axis,
            "Depth: both sides within 1 % of the mid, in the quote asset",
            record.depth,
            money,
            with_zero=True,
            name="depth",
        ),
        _lines(axis, "Exposure, USD", exposure, money, with_zero=True, name="exposure"),
    ]


def alerts(axis: TimeAxis, record: RunRecord) -> Panel:
    """Return the panel with a lane for the circuit breaker and one for each rule that has fired."""
    rules: dict[str, list[SeenAlert]] = {}
    for alert in record.alerts:
        rules.setdefault(alert.rule, []).append(alert)
    rows: list[tuple[str, Sequence[Bar]]] = [("circuit breaker", _breaker(axis, record))]
    rows += [(rule, [_bar(axis, a) for a in fired]) for rule, fired in rules.items()]
    title = "Alerts and the circuit breaker"
    return Panel(title, lanes(axis, title, rows), lanes_height(len(rows)))


def stack(panels: Sequence[Panel], *, gap: int = LANE) -> tuple[str, int]:
    """Place panels below each other, ``gap`` pixels apart; return the markup and its height."""
    y = 0
    parts = []
    for panel in panels:
        parts.append(f'<g transform="translate(0 {y})">{panel.svg}</g>')
        y += panel.height + gap
    return "".join(parts), max(0, y - gap)


def _lines(
    axis: TimeAxis, title: str, *args: object, height: int = HEIGHT, **more: object
) -> Panel:
    svg = line_chart(axis, title, *args, height=height, **more)  # type: ignore[arg-type]
    return Panel(title, svg, height)


def _bar(axis: TimeAxis, alert: SeenAlert) -> Bar:
    end = alert.resolved_at or axis.end
    since = format_duration(alert.detected_at - axis.start)
    state = "" if alert.resolved_at else ", still firing"
    tip = f"{alert.subject} at {since}: {alert.observed}, limit {alert.limit}{state}"
    return Bar(alert.detected_at, end, alert.severity.lower(), tip)


def _breaker(axis: TimeAxis, record: RunRecord) -> list[Bar]:
    bars = []
    changes = record.breaker
    for number, change in enumerate(changes):
        end = changes[number + 1].at if number + 1 < len(changes) else axis.end
        tip = f"{change.state}: {change.reason}"
        bars.append(Bar(change.at, end, _BREAKER_TONES[change.state], tip))
    return bars
