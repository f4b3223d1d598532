"""The REST endpoints: one table, one way in."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from trading.api.exchange import errors
from trading.api.exchange.account import Account
from trading.api.exchange.gateway import Dropped, Gateway
from trading.api.exchange.keys import DEFAULT_WINDOW, Credential, Keys, check_time, wall_ms
from trading.api.exchange.limits import Limits
from trading.api.exchange.market import Market
from trading.api.exchange.params import Params, parse, signed

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_JSON = "application/json;charset=UTF-8"
#: How long a partitioned venue keeps a connection hanging, wall seconds.
_HANG = 30.0

READ, TRADE = "read", "trade"


class Endpoint(NamedTuple):
    """``security``: empty for public ones. ``params``: for the documentation, name -> example."""

    method: str
    path: str
    weight: int
    security: str
    answer: Callable[..., Awaitable[Any]]
    params: dict[str, Any]


def endpoints(market: Market, account: Account) -> list[Endpoint]:
    symbol = {"symbol": "BTCUSDT"}
    order = {**symbol, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    order |= {"quantity": "0.001", "price": "60000"}
    one = {**symbol, "origClientOrderId": "my-order-1"}
    public = [
        ("ping", 1, market.ping, {}),
        ("time", 1, market.time, {}),
        ("exchangeInfo", 20, market.exchange_info, {}),
        ("depth", 5, market.depth, symbol),
        ("trades", 25, market.trades, symbol),
        ("historicalTrades", 25, market.trades, symbol),
        ("aggTrades", 4, market.agg_trades, symbol),
        ("klines", 2, market.klines, {**symbol, "interval": "1m"}),
        ("avgPrice", 2, market.average_price, symbol),
        ("ticker/24hr", 2, market.ticker_24h, symbol),
        ("ticker/price", 2, market.ticker_price, symbol),
        ("ticker/bookTicker", 2, market.book_ticker, symbol),
    ]
    private = [
        ("POST", "order", 1, TRADE, account.new_order, order),
        ("POST", "order/test", 1, TRADE, account.test_order, order),
        ("DELETE", "order", 1, TRADE, account.cancel_order, one),
        ("GET", "order", 4, READ, account.order, one),
        ("GET", "openOrders", 6, READ, account.open_orders, symbol),
        ("DELETE", "openOrders", 1, TRADE, account.cancel_open_orders, symbol),
        ("GET", "allOrders", 20, READ, account.all_orders, symbol),
        ("GET", "myTrades", 20, READ, account.my_trades, symbol),
        ("GET", "account", 20, READ, account.account, {}),
    ]
    return [Endpoint("GET", f"/api/v3/{p}", w, "", a, x) for p, w, a, x in public] + [
        Endpoint(m, f"/api/v3/{p}", w, s, a, x) for m, p, w, s, a, x in private
    ]


def router(gateway: Gateway, market: Market, keys: Keys, limits: Limits) -> APIRouter:
    routes = APIRouter()
    for endpoint in endpoints(market, Account(gateway)):
        _add(routes, endpoint, gateway, keys, limits)
    for path, answer in _EMPTY.items():
        _add_empty(routes, path, answer)
    return routes


#: What clients ask of the wider exchange before they trade on Spot.
_EMPTY: dict[str, Any] = {
    "/sapi/v1/capital/config/getall": [],
    "/sapi/v1/margin/allPairs": [],
    "/sapi/v1/margin/isolated/allPairs": [],
    "/fapi/v1/exchangeInfo": {"symbols": []},
    "/dapi/v1/exchangeInfo": {"symbols": []},
}


def _add_empty(routes: APIRouter, path: str, answer: Any) -> None:
    async def handle() -> Any:
        return answer

    routes.add_api_route(
        path, handle, methods=["GET"], tags=["compatibility"], summary="Always empty"
    )


def _add(
    routes: APIRouter, endpoint: Endpoint, gateway: Gateway, keys: Keys, limits: Limits
) -> None:
    async def handle(request: Request) -> Response:
        headers: dict[str, str] = {}
        try:
            return await _serve(request, endpoint, gateway, keys, limits, headers)
        except errors.BinanceError as error:
            if error.retry_after:
                headers["Retry-After"] = str(error.retry_after)
            body = _encode({"code": error.code, "msg": error.text})
            return Response(body, error.status, headers, _JSON)
        except Dropped:
            return await _drop(gateway)

    routes.add_api_route(
        endpoint.path,
        handle,
        methods=[endpoint.method],
        tags=["trade" if endpoint.security == TRADE else endpoint.security or "market data"],
        summary=f"Weight {endpoint.weight}" + (", signed" if endpoint.security else ""),
        response_class=Response,
        openapi_extra=_documented(endpoint),
        responses={400: {"description": 'Binance\'s error: {"code": -1121, "msg": "..."}'}},
        name=f"{endpoint.method} {endpoint.path}",
    )


async def _serve(
    request: Request,
    endpoint: Endpoint,
    gateway: Gateway,
    keys: Keys,
    limits: Limits,
    headers: dict[str, str],
) -> Response:
    gateway.check_reachable()
    address = request.client.host if request.client is not None else ""
    query, body = request.scope["query_string"], await request.body()
    used = limits.use(address, endpoint.weight)
    headers["X-MBX-USED-WEIGHT"] = headers["X-MBX-USED-WEIGHT-1M"] = str(used)
    params = parse(query, body)
    if not endpoint.security:
        answer = await endpoint.answer(params)
    else:
        known = authenticate(
            keys, request.headers.get("x-mbx-apikey", ""), query, body, params, endpoint.security
        )
        if endpoint.method == "POST" and endpoint.path.endswith("/order"):
            counts = limits.order(known.account)
            headers["X-MBX-ORDER-COUNT-10S"] = str(counts.per_10_seconds)
            headers["X-MBX-ORDER-COUNT-1D"] = str(counts.per_day)
        answer = await endpoint.answer(known.account, params)
        _check_known(gateway, endpoint)
    await _be_slow(gateway)
    gateway.check_reachable()
    return Response(_encode(answer), 200, headers, _JSON)


def authenticate(
    keys: Keys, key: str, query: bytes, body: bytes, params: Params, security: str
) -> Credential:
    """Raises BinanceError unless a known key signed these bytes just now, and may do this."""
    known = keys.find(key)
    claim = signed(query, body)
    timestamp = params.integer("timestamp")
    window = params.integer("recvWindow", default=DEFAULT_WINDOW)
    check_time(timestamp, window, wall_ms())
    keys.check_signature(known, claim.payload, claim.signature)
    if security == TRADE and not known.trade:
        raise errors.BAD_KEY
    return known


def _check_known(gateway: Gateway, endpoint: Endpoint) -> None:
    if "unknown" in gateway.exchange.outage_modes and endpoint.security == TRADE:
        raise errors.STATUS_UNKNOWN


async def _be_slow(gateway: Gateway) -> None:
    delay = gateway.exchange.outage_delay
    if delay:
        await gateway.sleep(delay)


async def _drop(gateway: Gateway) -> Response:
    """A partition swallows the request; a reset cuts the connection. HTTP has no word for it, so
    the answer promises a body that never comes.
    """
    if "partition" in gateway.exchange.outage_modes:
        await asyncio.sleep(_HANG)

    async def nothing() -> Any:
        raise ConnectionResetError("the venue is dark")
        yield b""

    return StreamingResponse(nothing(), 200, {"content-length": "1", "connection": "close"})


def _documented(endpoint: Endpoint) -> dict[str, Any]:
    examples = dict(endpoint.params)
    if endpoint.security:
        examples |= {"timestamp": 1767571200000, "signature": "<hex of HMAC-SHA256>"}
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "query",
            "required": name in ("symbol", "interval") and "ticker" not in endpoint.path,
            "schema": {"type": "integer" if isinstance(value, int) else "string"},
            "example": value,
        }
        for name, value in examples.items()
    ]
    if endpoint.security:
        parameters.append({"name": "X-MBX-APIKEY", "in": "header", "schema": {"type": "string"}})
    return {"parameters": parameters}
