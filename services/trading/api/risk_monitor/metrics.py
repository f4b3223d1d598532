"""What the risk monitor says to Prometheus: ``risk_monitor_*``, money in USD."""

from collections.abc import Callable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trading.api.risk_monitor.view import ACKNOWLEDGED, FIRING, RiskView
from trading.messages.risk import ACTIVE, HALTED, REDUCING
from trading.units import PPM, SCALE

_STATES = (ACTIVE, REDUCING, HALTED)


class RiskMetrics(Collector):
    """``view``: gives the newest one, None before there is any."""

    def __init__(self, view: Callable[[], RiskView | None]) -> None:
        self._view = view

    def collect(self) -> list[Metric]:
        found = self._view()
        if found is None:
            return []
        state = _STATES.index(found.breaker)
        made: list[Metric] = [
            _gauge("breaker_state", "0 ACTIVE, 1 REDUCING, 2 HALTED", state),
            _alerts(found),
        ]
        killed = GaugeMetricFamily(
            "risk_monitor_account_killed", "1: the kill switch is engaged", labels=["account"]
        )
        for account, switch in found.switches.items():
            killed.add_metric([account], float(switch.engaged))
        made.append(killed)
        report = found.portfolio
        if report is not None:
            drawdown = report.drawdown_ppm / PPM
            made += [
                _gauge("portfolio_pnl", "P&L since the session opened, USD", report.pnl / SCALE),
                _gauge("portfolio_equity", "Equity, USD", report.equity / SCALE),
                _gauge("portfolio_drawdown_ratio", "Fall from the peak", drawdown),
                _gauge("gross_exposure", "Value of all coins, USD", report.gross / SCALE),
                _gauge("net_exposure", "Net value of all coins, USD", report.net / SCALE),
                _gauge("value_at_risk", "99 % one-day value at risk, USD", report.var / SCALE),
            ]
        return made


def _alerts(view: RiskView) -> GaugeMetricFamily:
    firing = GaugeMetricFamily(
        "risk_monitor_alerts", "Alerts that are not resolved", labels=["rule", "state"]
    )
    counts: dict[tuple[str, str], int] = {}
    for alert in view.alerts.values():
        if alert.state in (FIRING, ACKNOWLEDGED):
            key = (alert.rule, alert.state)
            counts[key] = counts.get(key, 0) + 1
    for (rule, state), count in counts.items():
        firing.add_metric([rule, state], count)
    return firing


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"risk_monitor_{name}", text, value)
