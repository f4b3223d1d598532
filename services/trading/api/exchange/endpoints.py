"""The table of endpoints, shared by the REST and WebSocket APIs. A new endpoint is a row here, and
is then routed, checked, rate-limited and documented on both.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from trading.api.exchange.account import Account
from trading.api.exchange.keys import READ, TRADE
from trading.api.exchange.market import Market
from trading.api.exchange.params import Params
from trading.api.exchange.tickers import Tickers

Answer = Callable[..., Awaitable[Any]]

#: Parameters that every signed request may have.
SIGNING = frozenset({"timestamp", "recvWindow", "signature"})


class Endpoint(NamedTuple):
    """One endpoint of the API.

    `path` is its path over HTTP, and `ws` its method name in the WebSocket API, empty if it has
    none. `weight` counts against the address's limit, and `surcharge` returns additional weight
    that depends on the parameters. `security` is empty for public endpoints, else READ or TRADE.
    `answer` takes the parameters, for signed endpoints the account before them, and returns what is
    encoded as JSON. `required` and `optional` name its parameters; with `optional` None anything
    may be sent. `allowed` holds all names that are accepted, those of signing included.
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
    allowed: frozenset[str] = frozenset()

    @property
    def places_order(self) -> bool:
        """Whether a request counts against the account's order limits."""
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
_ORDER_ID = ("orderId", "origClientOrderId")


def endpoints(market: Market, tickers: Tickers, account: Account) -> list[Endpoint]:
    """Return the table of all endpoints, whose answers `market`, `tickers` and `account` give."""
    m, t, a = market, tickers, account
    kline = (*_S, "interval")
    public: list[tuple[Any, ...]] = [
        ("ping", "ping", 1, m.ping, (), ()),
        ("time", "time", 1, m.time, (), ()),
        ("exchangeInfo", "exchangeInfo", 20, m.exchange_info, (), _INFO),
        ("depth", "depth", 5, m.depth, _S, ("limit", "symbolStatus"), _depth_surcharge),
        ("trades", "trades.recent", 25, m.trades, _S, ("limit",)),
        ("historicalTrades", "trades.historical", 25, m.trades, _S, ("limit", "fromId")),
        ("aggTrades", "trades.aggregate", 4, m.aggregate_trades, _S, (*_PAGE, "fromId")),
        ("klines", "klines", 2, m.klines, kline, (*_PAGE, "timeZone")),
        ("uiKlines", "uiKlines", 2, m.klines, kline, (*_PAGE, "timeZone")),
        ("avgPrice", "avgPrice", 2, t.average, _S, ()),
        ("ticker", "ticker", 4, t.rolling, (), (*_TICKER, "windowSize")),
        ("ticker/tradingDay", "ticker.tradingDay", 4, t.trading_day, (), (*_TICKER, "timeZone")),
        ("ticker/24hr", "ticker.24hr", 2, t.day, (), _TICKER, _all_symbols_surcharge(78)),
        ("ticker/price", "ticker.price", 2, t.price, (), _SYMBOLS, _all_symbols_surcharge(2)),
        ("ticker/bookTicker", "ticker.book", 2, t.book, (), _SYMBOLS, _all_symbols_surcharge(2)),
    ]
    test = (*_ORDER_OPTIONS, "computeCommissionRates")
    cancel = (*_ORDER_ID, "newClientOrderId", "cancelRestrictions")
    trades = (*_PAGE, "fromId", "orderId")
    prevented = ("preventedMatchId", "orderId", "fromPreventedMatchId", "limit")
    private: list[tuple[Any, ...]] = [
        ("POST", "order", "order.place", 1, TRADE, a.new_order, _ORDER, _ORDER_OPTIONS),
        ("POST", "order/test", "order.test", 1, TRADE, a.test_order, _ORDER, test),
        ("DELETE", "order", "order.cancel", 1, TRADE, a.cancel_order, _S, cancel),
        ("DELETE", "openOrders", "openOrders.cancelAll", 1, TRADE, a.cancel_open_orders, _S, ()),
        ("GET", "order", "order.status", 4, READ, a.order, _S, _ORDER_ID),
        (
            "GET",
            "openOrders",
            "openOrders.status",
            6,
            READ,
            a.open_orders,
            (),
            _S,
            _all_symbols_surcharge(74),
        ),
        ("GET", "allOrders", "allOrders", 20, READ, a.all_orders, _S, (*_PAGE, "orderId")),
        ("GET", "myTrades", "myTrades", 20, READ, a.my_trades, _S, trades),
        ("GET", "account", "account.status", 20, READ, a.account, (), ("omitZeroBalances",)),
        ("GET", "account/commission", "account.commission", 20, READ, a.commission, _S, ()),
        ("GET", "rateLimit/order", "account.rateLimits.orders", 40, READ, a.order_counts, (), ()),
        ("GET", _PREVENTED, _PREVENTED, 20, READ, a.prevented_matches, _S, prevented),
    ]
    table = [Endpoint("GET", p, ws, w, "", *rest) for p, ws, w, *rest in public]
    table += [Endpoint(*row) for row in private]
    return [_with_prefix(e) for e in table] + [_constant(path, x) for path, x in _EMPTY.items()]


_PREVENTED = "myPreventedMatches"
_INFO = (*_SYMBOLS, "permissions", "showPermissionSets")

#: Endpoints outside of the Spot API that client libraries call before they trade. They answer that
#: there is nothing.
_EMPTY: dict[str, Any] = {
    "/sapi/v1/capital/config/getall": [],
    "/sapi/v1/margin/allPairs": [],
    "/sapi/v1/margin/isolated/allPairs": [],
    "/fapi/v1/exchangeInfo": {"symbols": []},
    "/dapi/v1/exchangeInfo": {"symbols": []},
}


def _with_prefix(endpoint: Endpoint) -> Endpoint:
    allowed = frozenset((*endpoint.required, *(endpoint.optional or ())))
    if endpoint.security:
        allowed |= SIGNING
    return endpoint._replace(path=f"/api/v3/{endpoint.path}", allowed=allowed)


def _constant(path: str, answer: Any) -> Endpoint:
    """Return a public endpoint that always gives the same answer, whatever is sent."""

    async def respond(params: Params) -> Any:
        return answer

    return Endpoint("GET", path, "", 1, "", respond, optional=None)


def _depth_surcharge(params: Params) -> int:
    limit = params.integer("limit", default=100)
    return 0 if limit <= 100 else 20 if limit <= 500 else 45 if limit <= 1000 else 245


def _all_symbols_surcharge(weight: int) -> Callable[[Params], int]:
    """Return a surcharge of `weight` for requests that do not name a symbol and so get all."""
    return lambda params: 0 if "symbol" in params or "symbols" in params else weight
