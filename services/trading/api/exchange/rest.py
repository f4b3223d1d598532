"""Serves the endpoints over HTTP. Each endpoint becomes a FastAPI route, from which the
documentation is generated, and an entry of a lookup table that serves requests faster than routing
would.
"""

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
from trading.api.exchange.examples import openapi_extra, summary
from trading.api.exchange.formats import in_microseconds, microseconds
from trading.api.exchange.gateway import ConnectionDropped, Gateway
from trading.api.exchange.keys import TRADE
from trading.api.exchange.params import Params, parse, split_signature
from trading.api.exchange.pipeline import RateUsage, RequestPipeline
from trading.telemetry.http import MATCHED

_encode = msgspec.json.Encoder().encode
_JSON = "application/json;charset=UTF-8"
#: How long a request hangs while the venue plays a partition, wall seconds. It must be shorter than
#: the request guard's own timeout.
_HANG_SECONDS = 20.0


Handler = Callable[[Request], Awaitable[Response]]


def add_endpoints(app: FastAPI, pipeline: RequestPipeline, endpoints: list[Endpoint]) -> None:
    """Serve `endpoints` on `app` through `pipeline`."""
    table: dict[tuple[str, str], Handler] = {}
    for endpoint in endpoints:
        handle = table[endpoint.method, endpoint.path] = _make_handler(pipeline, endpoint)
        _add_route(app, endpoint, handle)
    # Added last, so that it runs after the request guard, which must see every request.
    app.user_middleware.append(Middleware(FastPathRouter, table=table))


class FastPathRouter:
    """ASGI middleware that finds a handler by method and path in one lookup of `table`, and passes
    other requests on to `app`. Going through the list of routes would cost more than executing an
    order.
    """

    def __init__(self, app: ASGIApp, table: dict[tuple[str, str], Handler]) -> None:
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


def _add_route(app: FastAPI, endpoint: Endpoint, handle: Handler) -> None:
    tag = "trade" if endpoint.security == TRADE else endpoint.security or "market data"
    app.add_api_route(
        endpoint.path,
        handle,
        methods=[endpoint.method],
        tags=[tag if endpoint.ws else "compatibility"],
        summary=summary(endpoint),
        response_class=Response,
        openapi_extra=openapi_extra(endpoint),
        name=f"{endpoint.method} {endpoint.path}",
    )


def _make_handler(pipeline: RequestPipeline, endpoint: Endpoint) -> Handler:
    async def handle(request: Request) -> Response:
        usage = RateUsage()
        try:
            return await _respond(request, pipeline, endpoint, usage)
        except errors.BinanceError as error:
            usage.weight = usage.weight or error.used
            headers = _headers(usage)
            if error.retry_after:
                headers["Retry-After"] = str(error.retry_after)
            body = _encode({"code": error.code, "msg": error.text})
            return Response(body, error.status, headers, _JSON)
        except ConnectionDropped:
            return await _drop_connection(pipeline.gateway)

    return handle


async def _respond(
    request: Request, pipeline: RequestPipeline, endpoint: Endpoint, usage: RateUsage
) -> Response:
    scope = request.scope
    query, body = scope["query_string"], await request.body()
    headers = request.headers
    microseconds.set(in_microseconds(headers.get("x-mbx-time-unit", "")))

    def authenticate(params: Params, security: str) -> str:
        credential = pipeline.keys.find(headers.get("x-mbx-apikey", ""))
        payload, signature = split_signature(query, body)
        pipeline.keys.verify(credential, payload, signature, params, security)
        return credential.account

    address = scope["client"][0] if scope["client"] else ""
    answer = await pipeline.handle(
        endpoint, address, usage, lambda: parse(query, body), authenticate
    )
    return Response(_encode(answer), 200, _headers(usage), _JSON)


def _headers(usage: RateUsage) -> dict[str, str]:
    if not usage.weight:
        return {}
    weight = str(usage.weight)
    headers = {"X-MBX-USED-WEIGHT": weight, "X-MBX-USED-WEIGHT-1M": weight}
    if usage.orders is not None:
        headers["X-MBX-ORDER-COUNT-10S"] = str(usage.orders.per_10_seconds)
        headers["X-MBX-ORDER-COUNT-1D"] = str(usage.orders.per_day)
    return headers


async def _drop_connection(gateway: Gateway) -> Response:
    """Return a response that ends the connection without an answer: at once while the venue plays a
    reset, after a while in which the request hangs while it plays a partition. ASGI cannot close a
    connection by itself, so the response announces a body and fails before it is sent.
    """
    if "partition" in gateway.exchange.outage_modes:
        await asyncio.sleep(_HANG_SECONDS)

    async def fail() -> Any:
        raise ConnectionResetError("the venue is dark")
        yield b""

    return StreamingResponse(fail(), 200, {"content-length": "1", "connection": "close"})
