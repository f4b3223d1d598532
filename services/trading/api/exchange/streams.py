"""WebSockets: how long they live, what they may send, and the market streams' few commands."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from trading.api.exchange import errors
from trading.api.exchange.formats import in_microseconds, microseconds
from trading.api.exchange.front import Front
from trading.api.exchange.gateway import Dropped
from trading.api.exchange.hub import Connection, Hub
from trading.api.exchange.wsapi import CONNECT_WEIGHT, WsApi

#: Streams of one connection; incoming messages in a second; wall seconds until it is closed.
MAX_STREAMS = 1024
MAX_PER_SECOND = 5
MAX_API_PER_SECOND = 200
LIFETIME = 24 * 3600.0

_encode = msgspec.json.Encoder().encode

Handler = Callable[[Connection, WebSocket, str], Awaitable[Any]]


def router(front: Front, hub: Hub, api: WsApi, lifetime: float = LIFETIME) -> APIRouter:
    """``lifetime``: as LIFETIME."""
    routes = APIRouter()
    streams = _Streams(hub)

    async def serve(
        socket: WebSocket,
        names: str,
        on: Handler,
        per_second: int = MAX_PER_SECOND,
        **kind: bool,
    ) -> None:
        try:
            front.gateway.check_reachable()
            if kind.get("api"):
                address = socket.client.host if socket.client is not None else ""
                front.limits.use(address, CONNECT_WEIGHT)
            micro = in_microseconds(socket.query_params.get("timeUnit", ""))
        except (Dropped, errors.BinanceError):
            # A handshake that is refused: the client sees 403, and no WebSocket.
            await socket.close(1013)
            return
        microseconds.set(micro)
        connection = Connection(micro=micro, **kind)
        connection.rate_limits = socket.query_params.get("returnRateLimits", "") != "false"
        _follow_known(hub, connection, names)
        await _serve(socket, hub, connection, on, per_second, lifetime)

    @routes.websocket("/ws")
    async def bare(socket: WebSocket) -> None:
        await serve(socket, "", streams.on)

    @routes.websocket("/ws/{name:path}")
    async def one(socket: WebSocket, name: str) -> None:
        await serve(socket, name, streams.on)

    @routes.websocket("/stream")
    async def combined(socket: WebSocket) -> None:
        await serve(socket, socket.query_params.get("streams", ""), streams.on, combined=True)

    @routes.websocket("/ws-api/v3")
    async def ws_api(socket: WebSocket) -> None:
        await serve(socket, "", api.on, MAX_API_PER_SECOND, api=True)

    return routes


def _follow_known(hub: Hub, connection: Connection, names: str) -> None:
    """As on Binance, a name in the address that is no stream is passed over in silence: clients
    put their own numbers there.
    """
    for name in names.split("/", MAX_STREAMS)[:MAX_STREAMS]:
        if hub.known(name):
            hub.follow(connection, name)


async def _serve(
    socket: WebSocket,
    hub: Hub,
    connection: Connection,
    on: Handler,
    per_second: int,
    lifetime: float,
) -> None:
    """Until either side ends it. The server sends the pings, and drops who does not answer."""
    await socket.accept()
    hub.join(connection)
    sending = asyncio.create_task(_send(socket, connection))
    recent: list[float] = []
    try:
        async with asyncio.timeout(lifetime):
            while not sending.done():
                text = await socket.receive_text()
                now = time.monotonic()
                recent = [*[t for t in recent if now - t < 1], now]
                if len(recent) > per_second:
                    await socket.close(1008, "Too many requests")
                    return
                connection.put(_encode(await on(connection, socket, text)))
    except TimeoutError:
        await socket.close(1001, "24 hours are over")
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return
    finally:
        sending.cancel()
        hub.leave(connection)


async def _send(socket: WebSocket, connection: Connection) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await connection.queue.get()) is not None:
            await socket.send_text(message.decode())
        await socket.close(connection.close_code)


class _Streams:
    """SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def on(self, connection: Connection, socket: WebSocket, text: str) -> Any:
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            message = None
        if not isinstance(message, dict):
            return {"error": {"code": 3, "msg": "Invalid JSON: expected an object"}}
        request_id, given = message.get("id"), message.get("params", [])
        if isinstance(request_id, dict | list | float | bool):
            return _refused(2, "Invalid request: request ID must be an unsigned integer")
        if not isinstance(given, list):
            return _refused(2, "Invalid request: params must be a list", request_id)
        method = message.get("method")
        refused = None
        result: Any = None
        if method == "LIST_SUBSCRIPTIONS":
            result = list(connection.streams)
        elif method == "SET_PROPERTY" or method == "GET_PROPERTY":
            refused, result = _property(connection, method, given)
        elif method == "UNSUBSCRIBE":
            for name in given:
                self._hub.unfollow(connection, str(name))
        elif method == "SUBSCRIBE":
            refused = self._subscribe(connection, given)
        else:
            refused = (2, f"Invalid request: unknown variant `{method}`")
        if refused is not None:
            return _refused(*refused, request_id)
        return {"result": result, "id": request_id}

    def _subscribe(self, connection: Connection, names: list[Any]) -> tuple[int, str] | None:
        if not all(isinstance(n, str) and self._hub.known(n) for n in names):
            return 2, "Invalid request: unknown stream"
        if len(connection.streams.keys() | set(names)) > MAX_STREAMS:
            return 2, f"Invalid request: at most {MAX_STREAMS} streams"
        for name in names:
            self._hub.follow(connection, name)
        return None


def _property(
    connection: Connection, method: str, given: list[Any]
) -> tuple[tuple[int, str] | None, Any]:
    """What is wrong, and the result."""
    if not given or not isinstance(given[0], str):
        return (2, "Invalid request: property name must be a string"), None
    if given[0] != "combined":
        return (0, "Unknown property"), None
    if method == "GET_PROPERTY":
        return None, connection.combined
    if len(given) < 2 or not isinstance(given[1], bool):
        return (1, "Invalid value type: expected Boolean"), None
    connection.combined = given[1]
    return None, None


def _refused(code: int, text: str, request_id: Any = None) -> dict[str, Any]:
    return {"error": {"code": code, "msg": text}, "id": request_id}
