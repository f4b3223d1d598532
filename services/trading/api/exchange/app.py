"""Builds the exchange's app: wires the endpoints, the WebSocket streams and their shared parts
together. PUBLISHED and PROJECTIONS tell the host which messages to publish and which read models to
maintain for this app.
"""

from trading.api.exchange import rest, streams
from trading.api.exchange.account import Account
from trading.api.exchange.endpoints import endpoints
from trading.api.exchange.gateway import HISTORY, Gateway
from trading.api.exchange.history import History
from trading.api.exchange.hub import Hub
from trading.api.exchange.keys import Keys
from trading.api.exchange.limits import Limits
from trading.api.exchange.market import Market
from trading.api.exchange.pipeline import RequestPipeline
from trading.api.exchange.tickers import Tickers
from trading.api.exchange.wsapi import WsApi
from trading.hosting.app import create_app
from trading.hosting.service_app import AppContext, ServiceApp
from trading.hosting.session import Session
from trading.messages.orders import ExecutionReport, Trade

PUBLISHED = (ExecutionReport, Trade)


def history(session: Session) -> History:
    """Return an empty history for the universe of `session`; the host feeds it with messages."""
    return History(session.plan.universe)


PROJECTIONS = {HISTORY: history}


def exchange_app(
    context: AppContext,
    keys: Keys,
    limits: Limits | None = None,
    *,
    stream_lifetime: float = streams.LIFETIME,
) -> ServiceApp:
    """Return the exchange's app.

    `keys` holds the credentials that may sign requests; `limits` are the rate limits, by default
    those of Binance. A WebSocket is closed `stream_lifetime` wall seconds after it was opened.
    """
    host = context.host
    app = create_app(
        context,
        title="Exchange",
        description="A crypto exchange that speaks the Binance Spot API, and breaks on purpose.",
    )
    limits = limits or Limits()
    gateway = Gateway(host, limits)
    market = Market(gateway, limits, lambda: host.processed_until)
    tickers = Tickers(market)
    hub = Hub(host, gateway, market, tickers)
    pipeline = RequestPipeline(gateway, keys, limits)
    table = endpoints(market, tickers, Account(gateway, limits))
    rest.add_endpoints(app, pipeline, table)
    app.include_router(streams.router(pipeline, hub, WsApi(pipeline, hub, table), stream_lifetime))
    context.on_shutdown(hub.close)
    return app
