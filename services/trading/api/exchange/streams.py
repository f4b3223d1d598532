"""WebSockets: market streams, and the WebSocket API with the user data stream."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from trading.api.exchange import errors
from trading.api.exchange.account import Account
from trading.api.exchange.gateway import Dropped, Gateway
from trading.api.exchange.hub import Connection, Hub
from trading.api.exchange.keys import DEFAULT_WINDOW, Keys, check_time, wall_ms
from trading.api.exchange.limits import Limits
from trading.api.exchange.market import Market
from trading.api.exchange.params import Params
from trading.api.exchange.rest import READ, TRADE

#: Streams of one connection; incoming messages in a second.
MAX_STREAMS = 1024
MAX_PER_SECOND = 5
MAX_API_PER_SECOND = 200

_encode = msgspec.json.Encoder().encode


def router(gateway: Gateway, market: Market, hub: Hub, keys: Keys, limits: Limits) -> APIRouter:
    routes = APIRouter()
    api = _Api(gateway, market, hub, keys, limits)

    @routes.websocket("/ws")
    async def bare(socket: WebSocket) -> None:
        await _serve(socket, gateway, hub, Connection(), _Streams(hub).on)

    @routes.websocket("/ws/{name:path}")
    async def one(socket: WebSocket, name: str) -> None:
        await _serve(socket, gateway, hub, _following(hub, name, False), _Streams(hub).on)

    @routes.websocket("/stream")
    async def combined(socket: WebSocket, streams: str = "") -> None:
        await _serve(socket, gateway, hub, _following(hub, streams, True), _Streams(hub).on)

    @routes.websocket("/ws-api/v3")
    async def ws_api(socket: WebSocket) -> None:
        await _serve(socket, gateway, hub, Connection(), api.on, MAX_API_PER_SECOND)

    return routes


Handler = Callable[[Connection, WebSocket, Any], Awaitable[Any]]


def _following(hub: Hub, names: str, combined: bool) -> Connection:
    """As on Binance, a name in the address that is no stream is passed over in silence: clients
    put their own numbers there.
    """
    connection = Connection(combined)
    known = [name for name in names.split("/")[:MAX_STREAMS] if hub.known(name)]
    connection.streams.update(dict.fromkeys(known))
    return connection


def _follow(hub: Hub, connection: Connection, names: list[str]) -> bool:
    if len(names) > MAX_STREAMS or not all(hub.known(n) for n in names):
        return False
    connection.streams.update(dict.fromkeys(names))
    return True


async def _serve(
    socket: WebSocket,
    gateway: Gateway,
    hub: Hub,
    connection: Connection,
    on: Handler,
    per_second: int = MAX_PER_SECOND,
) -> None:
    """Until either side ends it. uvicorn sends the pings, and drops who does not answer."""
    try:
        gateway.check_reachable()
    except (Dropped, errors.BinanceError):
        await socket.close(1013)
        return
    await socket.accept()
    hub.join(connection)
    sending = asyncio.create_task(_send(socket, connection))
    recent: list[float] = []
    try:
        while not sending.done():
            text = await socket.receive_text()
            now = time.monotonic()
            recent = [*[t for t in recent if now - t < 1], now]
            if len(recent) > per_second:
                await socket.close(1008, "Too many requests")
                return
            try:
                message = msgspec.json.decode(text)
            except (msgspec.DecodeError, UnicodeEncodeError):
                message = None
            connection.put(_encode(await on(connection, socket, message)))
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return
    finally:
        sending.cancel()
        hub.leave(connection)


async def _send(socket: WebSocket, connection: Connection) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await connection.queue.get()) is not None:
            await socket.send_text(message.decode())
        await socket.close(1001)


class _Streams:
    """SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def on(self, connection: Connection, socket: WebSocket, message: Any) -> Any:
        if not isinstance(message, dict):
            return {"error": {"code": 3, "msg": "Invalid JSON: expected an object"}}
        request_id, names = message.get("id"), message.get("params", [])
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            return _invalid(request_id, "params must be a list of stream names")
        method = message.get("method")
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(connection.streams), "id": request_id}
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _invalid(request_id, f"unknown method {method}")
        if method == "UNSUBSCRIBE":
            for name in names:
                connection.streams.pop(name, None)
        elif len(connection.streams) + len(names) > MAX_STREAMS:
            return _invalid(request_id, f"at most {MAX_STREAMS} streams")
        elif not _follow(self._hub, connection, names):
            return _invalid(request_id, "unknown stream")
        return {"result": None, "id": request_id}


def _invalid(request_id: Any, why: str) -> dict[str, Any]:
    return {"error": {"code": 2, "msg": f"Invalid request: {why}"}, "id": request_id}


class _Api:
    """Requests over WebSocket: the same answers as over REST."""

    def __init__(
        self, gateway: Gateway, market: Market, hub: Hub, keys: Keys, limits: Limits
    ) -> None:
        self._gateway = gateway
        self._keys = keys
        self._limits = limits
        account = Account(gateway)
        self._public: dict[str, Callable[[Params], Awaitable[Any]]] = {
            "ping": market.ping,
            "time": market.time,
            "exchangeInfo": market.exchange_info,
            "depth": market.depth,
            "trades.recent": market.trades,
            "klines": market.klines,
            "ticker.24hr": market.ticker_24h,
            "ticker.price": market.ticker_price,
            "ticker.book": market.book_ticker,
        }
        self._signed: dict[str, tuple[str, Callable[[str, Params], Awaitable[Any]]]] = {
            "order.place": (TRADE, account.new_order),
            "order.test": (TRADE, account.test_order),
            "order.cancel": (TRADE, account.cancel_order),
            "openOrders.cancelAll": (TRADE, account.cancel_open_orders),
            "order.status": (READ, account.order),
            "openOrders.status": (READ, account.open_orders),
            "allOrders": (READ, account.all_orders),
            "myTrades": (READ, account.my_trades),
            "account.status": (READ, account.account),
        }

    async def on(self, connection: Connection, socket: WebSocket, message: Any) -> Any:
        if not isinstance(message, dict):
            message = {}
        request_id = message.get("id")
        address = socket.client.host if socket.client is not None else ""
        try:
            used = self._limits.use(address, 2)
            self._gateway.check_reachable()
            result = await self._answer(connection, message)
        except errors.BinanceError as error:
            failed = {"code": error.code, "msg": error.text}
            return {"id": request_id, "status": error.status, "error": failed}
        except Dropped:
            await socket.close(1013)
            raise WebSocketDisconnect(1013) from None
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        limit |= {"limit": self._limits.weight_per_minute, "count": used}
        return {"id": request_id, "status": 200, "result": result, "rateLimits": [limit]}

    async def _answer(self, connection: Connection, message: dict[str, Any]) -> Any:
        method, given = message.get("method"), message.get("params") or {}
        if not isinstance(method, str) or not isinstance(given, dict) or len(given) > 64:
            raise errors.BinanceError(-1135, "JSON request is not valid.")
        params = Params({str(k): _text(v) for k, v in given.items() if v is not None})
        if (public := self._public.get(method)) is not None:
            return await public(params)
        if method == "userDataStream.subscribe.signature":
            account = self._authenticate(given, params, READ)
            subscription = len(connection.accounts) and max(connection.accounts) + 1
            connection.accounts[subscription] = account
            return {"subscriptionId": subscription}
        if method == "userDataStream.unsubscribe":
            if "subscriptionId" in params:
                connection.accounts.pop(params.integer("subscriptionId"), None)
            else:
                connection.accounts.clear()
            return {}
        known = self._signed.get(method)
        if known is None:
            raise errors.BinanceError(-1020, "This operation is not supported.")
        security, answer = known
        account = self._authenticate(given, params, security)
        if method == "order.place":
            self._limits.order(account)
        return await answer(account, params)

    def _authenticate(self, given: dict[str, Any], params: Params, security: str) -> str:
        """Over the parameters by name, ``k=v`` joined by ``&``, not URL-encoded."""
        known = self._keys.find(params.optional("apiKey"))
        check_time(
            params.integer("timestamp"),
            params.integer("recvWindow", default=DEFAULT_WINDOW),
            wall_ms(),
        )
        pairs = (f"{k}={_text(given[k])}" for k in sorted(given) if k != "signature")
        self._keys.check_signature(known, "&".join(pairs).encode(), params.text("signature"))
        if security == TRADE and not known.trade:
            raise errors.BAD_KEY
        return known.account


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
