"""The exchange's app, and what its host must keep for it."""

from fastapi import FastAPI

from trading.api.exchange import rest, streams
from trading.api.exchange.gateway import HISTORY, Gateway
from trading.api.exchange.history import History
from trading.api.exchange.hub import Hub
from trading.api.exchange.keys import Keys
from trading.api.exchange.limits import Limits
from trading.api.exchange.market import Market
from trading.hosting.app import create_app
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.messages.orders import ExecutionReport, Trade
from trading.topology import EXCHANGE

PUBLISHED = (ExecutionReport, Trade)


def history(session: Session) -> History:
    return History(session.plan.universe)


PROJECTIONS = {HISTORY: history}


def exchange_app(host: Host, keys: Keys, limits: Limits | None = None) -> FastAPI:
    """``keys``: who may sign requests."""
    app = create_app(
        EXCHANGE,
        host,
        title="Exchange",
        description="A crypto exchange that speaks the Binance Spot API, and breaks on purpose.",
    )
    limits = limits or Limits()
    gateway = Gateway(host)
    market = Market(gateway, limits, lambda: host.kernel.now)
    hub = Hub(host, market)
    app.include_router(rest.router(gateway, market, keys, limits))
    app.include_router(streams.router(gateway, market, hub, keys, limits))
    app.state.closing = hub.close
    return app
