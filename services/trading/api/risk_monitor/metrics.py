"""The risk monitor's metrics for Prometheus, `risk_monitor_*`; money is in USD."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.api.risk_monitor.utilisation import exposures
from trading.api.risk_monitor.view import ACKNOWLEDGED, FIRING, RiskView
from trading.messages.risk import BreakerState
from trading.risk_monitor.component import RiskMonitor
from trading.risk_monitor.rules import RULES
from trading.telemetry.families import Sample, gauge, gauges
from trading.units import PPM, SCALE
from trading.universe import Universe


class RiskFigures(NamedTuple):
    """The state that metrics are computed from."""

    view: RiskView
    monitor: RiskMonitor
    universe: Universe


class RiskMetrics(Collector):
    """Computes the metrics when Prometheus collects them. `figures` returns the present state; None
    before the host is ready, and then there are no metrics.
    """

    def __init__(self, figures: Callable[[], RiskFigures | None]) -> None:
        self._figures = figures

    def collect(self) -> list[Metric]:
        """Return the metrics; those of the portfolio only after the first valuation."""
        figures = self._figures()
        if figures is None:
            return []
        view = figures.view
        killed = [((name,), float(s.engaged)) for name, s in view.switches.items()]
        metrics: list[Metric] = [
            gauge("risk_monitor_breaker_state", [*BreakerState].index(view.breaker)),
            gauges("risk_monitor_alerts", _alerts(view)),
            gauges("risk_monitor_account_killed", killed),
            gauges("risk_monitor_limit_utilisation_ratio", _utilisation(figures)),
        ]
        report = view.portfolio
        if report is not None:
            metrics += [
                gauge("risk_monitor_portfolio_pnl", report.pnl / SCALE),
                gauge("risk_monitor_portfolio_equity", report.equity / SCALE),
                gauge("risk_monitor_portfolio_drawdown_ratio", report.drawdown_ppm / PPM),
                gauge("risk_monitor_gross_exposure", report.gross / SCALE),
                gauge("risk_monitor_net_exposure", report.net / SCALE),
                gauge("risk_monitor_value_at_risk", report.var / SCALE),
            ]
        return metrics


def _alerts(view: RiskView) -> list[Sample]:
    """Return the number of alerts for every rule and each of the two open states."""
    counts = Counter({(rule, state): 0 for rule in RULES for state in (FIRING, ACKNOWLEDGED)})
    for alert in view.alerts.values():
        if alert.state in (FIRING, ACKNOWLEDGED):
            counts[alert.fired.rule, alert.state] += 1
    return list(counts.items())


def _utilisation(figures: RiskFigures) -> list[Sample]:
    rows = exposures(figures.view, figures.monitor, figures.universe)
    return [
        ((row["rule"], row["subject"]), row["used_percent"] / 100)
        for row in rows
        if row["used_percent"] is not None
    ]
