"""Strategies, their state and their orders at work."""

from typing import Any

from fastapi import FastAPI

from trading.hosting.app import create_app
from trading.hosting.host import Host
from trading.topology import TRADING_ENGINE
from trading.trading_engine import TradingEngine
from trading.units import format_units


def trading_engine_app(host: Host) -> FastAPI:
    app = create_app(
        TRADING_ENGINE,
        host,
        title="Trading engine",
        description="One strategy for each automated account of the firm.",
    )

    @app.get("/api/v1/strategies", tags=["strategies"], summary="State and orders by strategy")
    async def strategies() -> list[dict[str, Any]]:
        """`state`: RUNNING, STOPPED (kill switch), DISCONNECTED (venue unreachable) or STANDBY
        (another engine trades for the account). `fence`: number of the lease on the account, 0
        without one. `open_orders`: those of this engine.
        """
        engine: TradingEngine = host.component(TRADING_ENGINE)
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
