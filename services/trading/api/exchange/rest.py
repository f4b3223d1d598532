"""The endpoints over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from trading.api.exchange import errors
from trading.api.exchange.endpoints import Endpoint
from trading.api.exchange.examples import documented, summary
from trading.api.exchange.formats import in_microseconds, microseconds
from trading.api.exchange.front import Front, Used
from trading.api.exchange.gateway import Dropped, Gateway
from trading.api.exchange.keys import TRADE
from trading.api.exchange.params import Params, parse, signed
from trading.telemetry.http import MATCHED

_encode = msgspec.json.Encoder().encode
_JSON = "application/json;charset=UTF-8"
#: How long a partitioned venue keeps a connection hanging, wall seconds: less than the guard does.
_HANG = 20.0


Handle = Callable[[Request], Awaitable[Response]]


def add_endpoints(app: FastAPI, front: Front, endpoints: list[Endpoint]) -> None:
    """As routes, which are its documentation, and on the short way to them."""
    table: dict[tuple[str, str], Handle] = {}
    for endpoint in endpoints:
        handle = table[endpoint.method, endpoint.path] = _handler(front, endpoint)
        _document(app, endpoint, handle)
    # Behind what is there already: the guard sees every request.
    app.user_middleware.append(Middleware(ShortWay, table=table))


class ShortWay:
    """ASGI middleware: one look into a table. Walking the routes costs more than an order does."""

    def __init__(self, app: ASGIApp, table: dict[tuple[str, str], Handle]) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handle = None
        if scope["type"] == "http":
            handle = self._table.get((scope["method"], scope["path"]))
        if handle is None:
            await self._app(scope, receive, send)
            return
        scope[MATCHED] = scope["path"]
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)


def _document(app: FastAPI, endpoint: Endpoint, handle: Handle) -> None:
    tag = "trade" if endpoint.security == TRADE else endpoint.security or "market data"
    app.add_api_route(
        endpoint.path,
        handle,
        methods=[endpoint.method],
        tags=[tag if endpoint.ws else "compatibility"],
        summary=summary(endpoint),
        response_class=Response,
        openapi_extra=documented(endpoint),
        name=f"{endpoint.method} {endpoint.path}",
    )


def _handler(front: Front, endpoint: Endpoint) -> Handle:
    async def handle(request: Request) -> Response:
        used = Used()
        try:
            return await _serve(request, front, endpoint, used)
        except errors.BinanceError as error:
            used.weight = used.weight or error.used
            headers = _headers(used)
            if error.retry_after:
                headers["Retry-After"] = str(error.retry_after)
            body = _encode({"code": error.code, "msg": error.text})
            return Response(body, error.status, headers, _JSON)
        except Dropped:
            return await _drop(front.gateway)

    return handle


async def _serve(request: Request, front: Front, endpoint: Endpoint, used: Used) -> Response:
    scope = request.scope
    query, body = scope["query_string"], await request.body()
    headers = request.headers
    microseconds.set(in_microseconds(headers.get("x-mbx-time-unit", "")))

    def authenticate(params: Params, security: str) -> str:
        known = front.keys.find(headers.get("x-mbx-apikey", ""))
        claim = signed(query, body)
        front.keys.check(known, claim.payload, claim.signature, params, security)
        return known.account

    address = scope["client"][0] if scope["client"] else ""
    answer = await front.answer(endpoint, address, used, lambda: parse(query, body), authenticate)
    return Response(_encode(answer), 200, _headers(used), _JSON)


def _headers(used: Used) -> dict[str, str]:
    if not used.weight:
        return {}
    weight = str(used.weight)
    headers = {"X-MBX-USED-WEIGHT": weight, "X-MBX-USED-WEIGHT-1M": weight}
    if used.orders is not None:
        headers["X-MBX-ORDER-COUNT-10S"] = str(used.orders.per_10_seconds)
        headers["X-MBX-ORDER-COUNT-1D"] = str(used.orders.per_day)
    return headers


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
