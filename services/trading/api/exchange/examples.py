"""Describes the endpoints for the OpenAPI document: parameters, and examples of answers. The
examples are made by the functions that make the real answers, so that they cannot become outdated.
"""

from typing import Any

from trading.api.exchange import formats
from trading.api.exchange.endpoints import Endpoint
from trading.api.exchange.formats import decimal
from trading.api.exchange.history import Fill, Kline, Known
from trading.api.exchange.info import exchange_info, order_limits
from trading.api.exchange.limits import Limits
from trading.messages.market import SymbolStatus
from trading.messages.orders import (
    ExecutionReport,
    ExecutionType,
    OrderStatus,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
    Trade,
)
from trading.units import MINUTE, parse_units
from trading.universe import default_universe

#: When the examples happen, simulated microseconds.
_AT = 1_767_571_200_000_000
_PRICE, _QTY = parse_units("65000"), parse_units("0.001")
_QUOTE = _PRICE * _QTY // 100_000_000

#: Example by parameter.
_PARAMETERS: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": Side.BUY,
    "type": OrderType.LIMIT,
    "timeInForce": TimeInForce.GTC,
    "quantity": "0.001",
    "price": "60000",
    "origClientOrderId": "my-order-1",
    "interval": "1m",
    "limit": 5,
    "windowSize": "1d",
    "timestamp": _AT // 1000,
}
#: Parameters without an example that are integers; the others are strings.
_INTEGERS = {"fromId", "orderId", "startTime", "endTime", "strategyId", "strategyType"}
#: Example of the parameter `type` of tickers, which is not the type of an order.
_TICKER_TYPE = "FULL"

#: Method of the WebSocket API -> title of the endpoint.
_TITLES = {
    "ping": "Does it answer?",
    "time": "The venue's clock",
    "exchangeInfo": "Symbols, filters and rate limits",
    "depth": "Order book",
    "trades.recent": "Newest trades",
    "trades.historical": "Trades from one on",
    "trades.aggregate": "Trades, aggregated",
    "klines": "Klines",
    "uiKlines": "Klines, for charts",
    "avgPrice": "Average price of the last five minutes",
    "ticker": "Statistics of a window",
    "ticker.tradingDay": "Statistics since midnight, UTC",
    "ticker.24hr": "Statistics of the last 24 hours",
    "ticker.price": "Last price",
    "ticker.book": "Best bid and ask",
    "order.place": "New order",
    "order.test": "Check an order without placing it",
    "order.cancel": "Cancel an order",
    "openOrders.cancelAll": "Cancel all open orders on a symbol",
    "order.status": "One order",
    "openOrders.status": "Open orders",
    "allOrders": "All orders on a symbol",
    "myTrades": "The account's trades on a symbol",
    "account.status": "Balances",
    "account.commission": "Commission rates: there is no commission",
    "account.rateLimits.orders": "Orders counted against the limits",
    "myPreventedMatches": "Always empty: self-trade prevention keeps no list",
}


def summary(endpoint: Endpoint) -> str:
    """Return the title of an endpoint in the documentation, with its weight."""
    if not endpoint.ws:
        return "Always empty: for clients that ask the wider exchange first"
    signed = ", signed" if endpoint.security else ""
    return f"{_TITLES[endpoint.ws]} (weight {endpoint.weight}{signed})"


def openapi_extra(endpoint: Endpoint) -> dict[str, Any]:
    """Return the parameters and responses of an endpoint, which FastAPI merges into its
    description.
    """
    names = [*endpoint.required, *(endpoint.optional or ())]
    if endpoint.security:
        names += ["recvWindow", "timestamp"]
    required = {*endpoint.required, *(("timestamp",) if endpoint.security else ())}
    parameters = [_parameter(endpoint, name, name in required) for name in names]
    refusal = {"code": -1121, "msg": "Invalid symbol."}
    return {
        "parameters": parameters,
        "security": [{"apiKey": [], "signature": []}] if endpoint.security else [],
        "responses": {
            "200": _json_response("As Binance answers", _example_answer(endpoint)),
            "400": _json_response("Binance's own error", refusal),
        },
    }


def _parameter(endpoint: Endpoint, name: str, required: bool) -> dict[str, Any]:
    example = _PARAMETERS.get(name)
    if "ticker" in endpoint.path:
        example = {"type": _TICKER_TYPE, "symbol": "BTCUSDT", "windowSize": "1d"}.get(name)
    integer = isinstance(example, int) or name in _INTEGERS
    description = {"name": name, "in": "query", "required": required}
    description["schema"] = {"type": "integer" if integer else "string"}
    return description if example is None else {**description, "example": example}


def _json_response(description: str, example: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {}, "example": example}}
    return {"description": description, "content": content}


def _example_answer(endpoint: Endpoint) -> Any:
    if endpoint.ws not in _ANSWERS:
        return {"symbols": []} if endpoint.path.endswith("exchangeInfo") else []
    return _ANSWERS[endpoint.ws]


def _report(kind: ExecutionType, status: OrderStatus, filled: int) -> ExecutionReport:
    return ExecutionReport(
        "firm-api",
        "my-order-1",
        4711,
        "BTCUSDT",
        Side.BUY,
        OrderType.LIMIT,
        TimeInForce.GTC,
        _QTY,
        _PRICE,
        kind,
        status,
        filled,
        _PRICE * filled // 100_000_000,
        filled,
        _PRICE if filled else 0,
        99 if filled else 0,
        False,
        "",
        _AT,
    )


_NEW = _report(ExecutionType.NEW, OrderStatus.NEW, 0)
_FILLED = _report(ExecutionType.TRADE, OrderStatus.FILLED, _QTY)
_CANCELLED = formats.cancelled(_report(ExecutionType.CANCELED, OrderStatus.CANCELED, 0), "cancel-1")
_TRADE = Trade(99, "BTCUSDT", _PRICE, _QTY, _QUOTE, "a", "b", 4711, 4712, False, _AT)
_BAR = Kline(_AT, _PRICE, _PRICE, _PRICE, _PRICE)
_BAR.add(99, _PRICE, _QTY, _QUOTE, True)
_KLINES = [formats.kline(_BAR, _AT + MINUTE)]
_UNIVERSE = default_universe()
_WINDOW = {
    "symbol": "BTCUSDT",
    "openPrice": decimal(_PRICE),
    "highPrice": decimal(_PRICE),
    "lowPrice": decimal(_PRICE),
    "lastPrice": decimal(_PRICE),
    "volume": decimal(_QTY),
    "quoteVolume": decimal(_QUOTE),
    "openTime": _AT // 1000,
    "closeTime": _AT // 1000,
    "firstId": 99,
    "lastId": 99,
    "count": 1,
    "priceChange": decimal(0),
    "priceChangePercent": "0.000",
    "weightedAvgPrice": decimal(_PRICE),
}
_TOP = {
    "symbol": "BTCUSDT",
    "bidPrice": decimal(_PRICE),
    "bidQty": decimal(_QTY),
    "askPrice": decimal(_PRICE + parse_units("0.01")),
    "askQty": decimal(_QTY),
}
_ANSWERS: dict[str, Any] = {
    "ping": {},
    "time": {"serverTime": _AT // 1000},
    "exchangeInfo": exchange_info(
        _UNIVERSE,
        dict.fromkeys(_UNIVERSE.symbols, SymbolStatus.TRADING),
        Limits(),
        ["BTCUSDT"],
        _AT,
    ),
    "depth": {
        "lastUpdateId": 1027024,
        "bids": [[decimal(_PRICE), decimal(_QTY)]],
        "asks": [[_TOP["askPrice"], decimal(_QTY)]],
    },
    "trades.recent": [formats.public_trade(_TRADE)],
    "trades.historical": [formats.public_trade(_TRADE)],
    "trades.aggregate": [formats.aggregate_trade(_TRADE)],
    "klines": _KLINES,
    "uiKlines": _KLINES,
    "avgPrice": {"mins": 5, "price": decimal(_PRICE), "closeTime": _AT // 1000},
    "ticker": _WINDOW,
    "ticker.tradingDay": _WINDOW,
    "ticker.24hr": {**_WINDOW, **_TOP, "lastQty": decimal(_QTY)},
    "ticker.price": {"symbol": "BTCUSDT", "price": decimal(_PRICE)},
    "ticker.book": _TOP,
    "order.place": formats.new_order([_NEW, _FILLED], "FULL", SelfTradePrevention.EXPIRE_MAKER),
    "order.test": {},
    "order.cancel": _CANCELLED,
    "openOrders.cancelAll": [_CANCELLED],
    "order.status": formats.order(Known(_FILLED, _AT)),
    "openOrders.status": [formats.order(Known(_NEW, _AT))],
    "allOrders": [formats.order(Known(_FILLED, _AT))],
    "myTrades": [
        formats.my_trade(
            Fill("BTCUSDT", 99, 4711, "my-order-1", True, False, _PRICE, _QTY, _QUOTE, _AT)
        )
    ],
    "account.status": {
        "canTrade": True,
        "accountType": "SPOT",
        "balances": [{"asset": "BTC", "free": decimal(_QTY), "locked": decimal(0)}],
        "permissions": ["SPOT"],
    },
    "account.commission": {"symbol": "BTCUSDT", "standardCommission": {"maker": decimal(0)}},
    "account.rateLimits.orders": [{**limit, "count": 1} for limit in order_limits(Limits())],
    "myPreventedMatches": [],
}
