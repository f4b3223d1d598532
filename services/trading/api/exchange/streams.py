"""The WebSocket endpoints: market streams and the WebSocket API. Limits how long a connection lives
and how much it sends, and implements the commands of the market streams, such as SUBSCRIBE.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from trading.api.exchange import errors
from trading.api.exchange.formats import in_microseconds, microseconds
from trading.api.exchange.gateway import ConnectionDropped
from trading.api.exchange.hub import Connection, Hub
from trading.api.exchange.pipeline import RequestPipeline
from trading.api.exchange.wsapi import CONNECT_WEIGHT, WsApi

#: Streams that one connection may subscribe to.
MAX_STREAMS = 1024
#: Messages that a client may send in a second: on market streams, and on the WebSocket API.
MAX_PER_SECOND = 5
MAX_API_PER_SECOND = 200
#: Wall seconds after which a connection is closed.
LIFETIME = 24 * 3600.0

_encode = msgspec.json.Encoder().encode

#: Takes a message of a client and returns the answer, which is encoded as JSON.
Handler = Callable[[Connection, WebSocket, str], Awaitable[Any]]


def router(
    pipeline: RequestPipeline, hub: Hub, api: WsApi, lifetime: float = LIFETIME
) -> APIRouter:
    """Return the routes of all WebSocket endpoints. Connections get their messages from `hub`;
    `api` answers requests of the WebSocket API. A connection is closed after `lifetime` wall
    seconds.
    """
    routes = APIRouter()
    streams = _StreamCommands(hub)

    async def serve(
        socket: WebSocket,
        names: str,
        on_message: Handler,
        per_second: int = MAX_PER_SECOND,
        **kind: bool,
    ) -> None:
        """Accept a connection that is subscribed to the streams in `names`. `kind` are arguments of
        Connection.
        """
        try:
            pipeline.gateway.check_reachable()
            if kind.get("api"):
                address = socket.client.host if socket.client is not None else ""
                pipeline.limits.count_request(address, CONNECT_WEIGHT)
            micro = in_microseconds(socket.query_params.get("timeUnit", ""))
        except (ConnectionDropped, errors.BinanceError):
            # Closing before accepting refuses the handshake: the client sees status 403.
            await socket.close(1013)
            return
        microseconds.set(micro)
        connection = Connection(micro=micro, **kind)
        connection.rate_limits = socket.query_params.get("returnRateLimits", "") != "false"
        _subscribe_from_url(hub, connection, names)
        await _run_connection(socket, hub, connection, on_message, per_second, lifetime)

    @routes.websocket("/ws")
    async def bare(socket: WebSocket) -> None:
        await serve(socket, "", streams.on_message)

    @routes.websocket("/ws/{name:path}")
    async def single(socket: WebSocket, name: str) -> None:
        await serve(socket, name, streams.on_message)

    @routes.websocket("/stream")
    async def combined(socket: WebSocket) -> None:
        names = socket.query_params.get("streams", "")
        await serve(socket, names, streams.on_message, combined=True)

    @routes.websocket("/ws-api/v3")
    async def ws_api(socket: WebSocket) -> None:
        await serve(socket, "", api.on_message, MAX_API_PER_SECOND, api=True)

    return routes


def _subscribe_from_url(hub: Hub, connection: Connection, names: str) -> None:
    """Subscribe `connection` to the streams named in the URL. Names that are no stream are ignored,
    as on Binance: some clients put ids of their own there.
    """
    for name in names.split("/", MAX_STREAMS)[:MAX_STREAMS]:
        if hub.exists(name):
            hub.subscribe(connection, name)


async def _run_connection(
    socket: WebSocket,
    hub: Hub,
    connection: Connection,
    on_message: Handler,
    per_second: int,
    lifetime: float,
) -> None:
    """Serve an open connection until either side closes it, its lifetime is over, or the client
    sends more than `per_second` messages in a second. The web server sends pings and drops clients
    that do not answer them.
    """
    await socket.accept()
    hub.connect(connection)
    sender = asyncio.create_task(_send_queued(socket, connection))
    recent: list[float] = []
    try:
        async with asyncio.timeout(lifetime):
            while not sender.done():
                text = await socket.receive_text()
                now = time.monotonic()
                recent = [*[t for t in recent if now - t < 1], now]
                if len(recent) > per_second:
                    await socket.close(1008, "Too many requests")
                    return
                connection.enqueue(_encode(await on_message(connection, socket, text)))
    except TimeoutError:
        await socket.close(1001, "24 hours are over")
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return
    finally:
        sender.cancel()
        hub.disconnect(connection)


async def _send_queued(socket: WebSocket, connection: Connection) -> None:
    """Send what is queued for the connection until the queue holds None, then close it."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await connection.queue.get()) is not None:
            await socket.send_text(message.decode())
        await socket.close(connection.close_code)


class _StreamCommands:
    """Executes the commands that clients of market streams send: SUBSCRIBE, UNSUBSCRIBE,
    LIST_SUBSCRIPTIONS, SET_PROPERTY and GET_PROPERTY.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def on_message(self, connection: Connection, socket: WebSocket, text: str) -> Any:
        """Execute a command and return its answer; an error is an answer, too."""
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            message = None
        if not isinstance(message, dict):
            return {"error": {"code": 3, "msg": "Invalid JSON: expected an object"}}
        request_id, params = message.get("id"), message.get("params", [])
        if isinstance(request_id, dict | list | float | bool):
            return _error(2, "Invalid request: request ID must be an unsigned integer")
        if not isinstance(params, list):
            return _error(2, "Invalid request: params must be a list", request_id)
        method = message.get("method")
        error = None
        result: Any = None
        if method == "LIST_SUBSCRIPTIONS":
            result = list(connection.streams)
        elif method == "SET_PROPERTY" or method == "GET_PROPERTY":
            error, result = _get_or_set_property(connection, method, params)
        elif method == "UNSUBSCRIBE":
            for name in params:
                self._hub.unsubscribe(connection, str(name))
        elif method == "SUBSCRIBE":
            error = self._subscribe(connection, params)
        else:
            error = (2, f"Invalid request: unknown variant `{method}`")
        if error is not None:
            return _error(*error, request_id)
        return {"result": result, "id": request_id}

    def _subscribe(self, connection: Connection, names: list[Any]) -> tuple[int, str] | None:
        if not all(isinstance(n, str) and self._hub.exists(n) for n in names):
            return 2, "Invalid request: unknown stream"
        if len(connection.streams.keys() | set(names)) > MAX_STREAMS:
            return 2, f"Invalid request: at most {MAX_STREAMS} streams"
        for name in names:
            self._hub.subscribe(connection, name)
        return None


def _get_or_set_property(
    connection: Connection, method: str, params: list[Any]
) -> tuple[tuple[int, str] | None, Any]:
    """Return an error as code and text, or None; and the result."""
    if not params or not isinstance(params[0], str):
        return (2, "Invalid request: property name must be a string"), None
    if params[0] != "combined":
        return (0, "Unknown property"), None
    if method == "GET_PROPERTY":
        return None, connection.combined
    if len(params) < 2 or not isinstance(params[1], bool):
        return (1, "Invalid value type: expected Boolean"), None
    connection.combined = params[1]
    return None, None


def _error(code: int, text: str, request_id: Any = None) -> dict[str, Any]:
    return {"error": {"code": code, "msg": text}, "id": request_id}
