"""Builds the trading engine's app: the strategies, their state, and their open orders."""

from collections import Counter
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.hosting.access import NOT_READ
from trading.hosting.app import create_app
from trading.hosting.host import Host
from trading.hosting.service_app import AppContext, ServiceApp
from trading.messages.strategy import StrategyState
from trading.telemetry.families import Sample, gauges
from trading.trading_engine import TradingEngine
from trading.units import format_units


def trading_engine_app(context: AppContext) -> ServiceApp:
    """Return the trading engine's app."""
    host = context.host
    app = create_app(
        context,
        title="Trading engine",
        description="One strategy for each automated account of the firm.",
    )

    context.registry.register(_StrategyMetrics(host))

    @app.get(
        "/api/v1/strategies",
        tags=["strategies"],
        summary="State and orders by strategy",
        responses=NOT_READ,
        dependencies=[context.access.reads],
    )
    async def strategies() -> list[dict[str, Any]]:
        """`state`: RUNNING, STOPPED (kill switch), DISCONNECTED (venue unreachable) or STANDBY
        (another engine trades for the account). `fence`: number of the lease on the account, 0
        without one. `open_orders`: those of this engine.
        """
        engine = host.component(TradingEngine)
        return [
            {
                "strategy": kind,
                "account": desk.account,
                "state": state,
                "fence": desk.fence,
                "symbols": list(desk.symbols),
                "open_orders": len(desk.open),
                "held": {asset: format_units(qty) for asset, qty in desk.held.items() if qty},
            }
            for kind, state, desk in engine.strategies()
        ]

    return app


class _StrategyMetrics(Collector):
    """Counts strategies by state, and open orders by account, when Prometheus collects metrics."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def collect(self) -> list[Metric]:
        """Return the metrics; none before the host is ready."""
        if self._host.ready:
            return []
        engine = self._host.component(TradingEngine)
        strategies = engine.strategies()
        states: Counter[tuple[str]] = Counter({(state,): 0 for state in StrategyState})
        states.update((state,) for _, state, _ in strategies)
        orders: list[Sample] = [((desk.account,), len(desk.open)) for _, _, desk in strategies]
        return [
            gauges("trading_engine_strategies", list(states.items())),
            gauges("trading_engine_open_orders", orders),
        ]
