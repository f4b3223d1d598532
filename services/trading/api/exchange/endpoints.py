"""The endpoints: one table for REST and WebSocket API."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from trading.api.exchange.account import Account
from trading.api.exchange.keys import READ, TRADE
from trading.api.exchange.market import Market
from trading.api.exchange.params import Params
from trading.api.exchange.tickers import Tickers

Answer = Callable[..., Awaitable[Any]]

#: What every signed request may carry.
SIGNING = frozenset({"timestamp", "recvWindow", "signature"})


class Endpoint(NamedTuple):
    """``ws``: its method in the WebSocket API, empty where there is none. ``security``: empty for
    public ones. ``surcharge``: weight on top of ``weight``, by the parameters. ``required`` and
    ``optional``: names of parameters; ``optional`` None: anything may be sent.
    """

    method: str
    path: str
    ws: str
    weight: int
    security: str
    answer: Answer
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] | None = ()
    surcharge: Callable[[Params], int] | None = None
    known: frozenset[str] = frozenset()

    @property
    def places(self) -> bool:
        """Does it count as an order?"""
        return self.ws == "order.place"


_S = ("symbol",)
_PAGE = ("startTime", "endTime", "limit")
_SYMBOLS = ("symbol", "symbols", "symbolStatus")
_TICKER = (*_SYMBOLS, "type")
_ORDER = ("symbol", "side", "type")
_ORDER_OPTIONS = (
    *("timeInForce", "quantity", "quoteOrderQty", "price", "newClientOrderId", "strategyId"),
    *("strategyType", "stopPrice", "trailingDelta", "icebergQty", "newOrderRespType"),
    "selfTradePreventionMode",
)
_ONE = ("orderId", "origClientOrderId")


def endpoints(market: Market, tickers: Tickers, account: Account) -> list[Endpoint]:
    m, t, a = market, tickers, account
    kline = (*_S, "interval")
    public: list[tuple[Any, ...]] = [
        ("ping", "ping", 1, m.nothing, (), ()),
        ("time", "time", 1, m.time, (), ()),
        ("exchangeInfo", "exchangeInfo", 20, m.exchange_info, (), _INFO),
        ("depth", "depth", 5, m.depth, _S, ("limit", "symbolStatus"), _deep),
        ("trades", "trades.recent", 25, m.trades, _S, ("limit",)),
        ("historicalTrades", "trades.historical", 25, m.trades, _S, ("limit", "fromId")),
        ("aggTrades", "trades.aggregate", 4, m.aggregate_trades, _S, (*_PAGE, "fromId")),
        ("klines", "klines", 2, m.klines, kline, (*_PAGE, "timeZone")),
        ("uiKlines", "uiKlines", 2, m.klines, kline, (*_PAGE, "timeZone")),
        ("avgPrice", "avgPrice", 2, t.average, _S, ()),
        ("ticker", "ticker", 4, t.rolling, (), (*_TICKER, "windowSize")),
        ("ticker/tradingDay", "ticker.tradingDay", 4, t.trading_day, (), (*_TICKER, "timeZone")),
        ("ticker/24hr", "ticker.24hr", 2, t.day, (), _TICKER, _all(78)),
        ("ticker/price", "ticker.price", 2, t.price, (), _SYMBOLS, _all(2)),
        ("ticker/bookTicker", "ticker.book", 2, t.book, (), _SYMBOLS, _all(2)),
    ]
    test = (*_ORDER_OPTIONS, "computeCommissionRates")
    cancel = (*_ONE, "newClientOrderId", "cancelRestrictions")
    trades = (*_PAGE, "fromId", "orderId")
    prevented = ("preventedMatchId", "orderId", "fromPreventedMatchId", "limit")
    private: list[tuple[Any, ...]] = [
        ("POST", "order", "order.place", 1, TRADE, a.new_order, _ORDER, _ORDER_OPTIONS),
        ("POST", "order/test", "order.test", 1, TRADE, a.test_order, _ORDER, test),
        ("DELETE", "order", "order.cancel", 1, TRADE, a.cancel_order, _S, cancel),
        ("DELETE", "openOrders", "openOrders.cancelAll", 1, TRADE, a.cancel_open_orders, _S, ()),
        ("GET", "order", "order.status", 4, READ, a.order, _S, _ONE),
        ("GET", "openOrders", "openOrders.status", 6, READ, a.open_orders, (), _S, _all(74)),
        ("GET", "allOrders", "allOrders", 20, READ, a.all_orders, _S, (*_PAGE, "orderId")),
        ("GET", "myTrades", "myTrades", 20, READ, a.my_trades, _S, trades),
        ("GET", "account", "account.status", 20, READ, a.account, (), ("omitZeroBalances",)),
        ("GET", "account/commission", "account.commission", 20, READ, a.commission, _S, ()),
        ("GET", "rateLimit/order", "account.rateLimits.orders", 40, READ, a.order_counts, (), ()),
        ("GET", _PREVENTED, _PREVENTED, 20, READ, a.prevented_matches, _S, prevented),
    ]
    made = [Endpoint("GET", p, ws, w, "", *rest) for p, ws, w, *rest in public]
    made += [Endpoint(*row) for row in private]
    return [_complete(e) for e in made] + [_empty(path, x) for path, x in _EMPTY.items()]


_PREVENTED = "myPreventedMatches"
_INFO = (*_SYMBOLS, "permissions", "showPermissionSets")

#: What clients ask of the wider exchange before they trade on Spot.
_EMPTY: dict[str, Any] = {
    "/sapi/v1/capital/config/getall": [],
    "/sapi/v1/margin/allPairs": [],
    "/sapi/v1/margin/isolated/allPairs": [],
    "/fapi/v1/exchangeInfo": {"symbols": []},
    "/dapi/v1/exchangeInfo": {"symbols": []},
}


def _complete(endpoint: Endpoint) -> Endpoint:
    known = frozenset((*endpoint.required, *(endpoint.optional or ())))
    if endpoint.security:
        known |= SIGNING
    return endpoint._replace(path=f"/api/v3/{endpoint.path}", known=known)


def _empty(path: str, answer: Any) -> Endpoint:
    async def give(params: Params) -> Any:
        return answer

    return Endpoint("GET", path, "", 1, "", give, optional=None)


def _deep(params: Params) -> int:
    limit = params.integer("limit", default=100)
    return 0 if limit <= 100 else 20 if limit <= 500 else 45 if limit <= 1000 else 245


def _all(weight: int) -> Callable[[Params], int]:
    """More for those who ask for everything."""
    return lambda params: 0 if "symbol" in params or "symbols" in params else weight
