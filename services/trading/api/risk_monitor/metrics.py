"""What the risk monitor says to Prometheus: ``risk_monitor_*``, money in USD."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.api.risk_monitor.utilisation import exposures
from trading.api.risk_monitor.view import ACKNOWLEDGED, FIRING, RiskView
from trading.messages.risk import ACTIVE, HALTED, REDUCING
from trading.risk_monitor.component import RiskMonitor
from trading.risk_monitor.rules import RULES
from trading.telemetry.families import Sample, gauge, gauges
from trading.units import PPM, SCALE
from trading.universe import Universe

_STATES = (ACTIVE, REDUCING, HALTED)


class Known(NamedTuple):
    """What the figures are made from."""

    view: RiskView
    monitor: RiskMonitor
    universe: Universe


class RiskMetrics(Collector):
    """``known``: gives the newest, None before there is any."""

    def __init__(self, known: Callable[[], Known | None]) -> None:
        self._known = known

    def collect(self) -> list[Metric]:
        known = self._known()
        if known is None:
            return []
        view = known.view
        killed = [((name,), float(s.engaged)) for name, s in view.switches.items()]
        made: list[Metric] = [
            gauge("risk_monitor_breaker_state", _STATES.index(view.breaker)),
            gauges("risk_monitor_alerts", _alerts(view)),
            gauges("risk_monitor_account_killed", killed),
            gauges("risk_monitor_limit_utilisation_ratio", _utilisation(known)),
        ]
        report = view.portfolio
        if report is not None:
            made += [
                gauge("risk_monitor_portfolio_pnl", report.pnl / SCALE),
                gauge("risk_monitor_portfolio_equity", report.equity / SCALE),
                gauge("risk_monitor_portfolio_drawdown_ratio", report.drawdown_ppm / PPM),
                gauge("risk_monitor_gross_exposure", report.gross / SCALE),
                gauge("risk_monitor_net_exposure", report.net / SCALE),
                gauge("risk_monitor_value_at_risk", report.var / SCALE),
            ]
        return made


def _alerts(view: RiskView) -> list[Sample]:
    """Of every rule, in either open state."""
    counts = Counter({(rule, state): 0 for rule in RULES for state in (FIRING, ACKNOWLEDGED)})
    for alert in view.alerts.values():
        if alert.state in (FIRING, ACKNOWLEDGED):
            counts[alert.rule, alert.state] += 1
    return list(counts.items())


def _utilisation(known: Known) -> list[Sample]:
    rows = exposures(known.view, known.monitor, known.universe)
    return [
        ((row["rule"], row["subject"]), row["used_percent"] / 100)
        for row in rows
        if row["used_percent"] is not None
    ]
