"""Surrounds every HTTP request with what all services share.

It assigns ids, enforces limits of size and time, adds security headers, and writes a log line.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, MutableMapping

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trading.hosting.connections import is_urgent
from trading.hosting.deadline import Deadline
from trading.hosting.logs import request_id, trace_id

log = logging.getLogger("trading.http")

#: Largest request body, bytes; and how much of a refused one is read before the connection closes.
MAX_BODY = 256 * 1024
_MAX_DISCARDED = 16 * MAX_BODY
#: Larger bodies, by the beginning of their path: uploaded recordings, and sessions, whose plan has
#: the points of such recordings. These routes read a body only after they have checked a token.
_LARGER_BODIES = {"/recordings/": 4 * 1024 * 1024, "/chaos/session": 4 * 1024 * 1024}
#: Request headers: greatest number, and bytes of all names and values together.
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
#: Largest WebSocket message that is accepted, bytes.
MAX_MESSAGE = 64 * 1024
#: The same between services, which show a token before they are connected: a batch of messages, or
#: one fault that follows a recorded path.
MAX_LINK_MESSAGE = 1024 * 1024
_LINK = "/link"
#: Wall seconds until a request's body must have arrived, and until its answer must have begun.
BODY_TIME = 10.0
ANSWER_TIME = 30.0

#: No security depends on these ids, so a fast generator will do.
_ids = random.Random()

#: Paths that machines request every second or so; these requests are not logged.
_UNLOGGED_PATHS = frozenset({"/health", "/ready", "/metrics", "/journal/head"})
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Without a referrer, a form of our own page would have the origin "null".
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        b" connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")
#: Static files may be cached and revalidated; all other answers must not be stored.
_NOT_STORED = (b"cache-control", b"no-store")
_REVALIDATED = (b"cache-control", b"no-cache")

#: Key in a scope's extensions: the connection is reserved for one urgent request.
URGENT_ONLY = "trading.urgent"

_REFUSALS = {
    408: f"the request's body did not arrive within {BODY_TIME:g} s",
    431: f"more than {MAX_HEADERS} headers, or {MAX_HEADER_BYTES} bytes of them",
    503: "too many connections; close some, or try again later",
    504: f"there was no answer within {ANSWER_TIME:g} s; what was asked may have happened",
}


#: Status, for logs only, of a request whose client closed the connection, as in other servers.
_CLIENT_CLOSED_REQUEST = 499

#: Called for a request with its scope, its status and the wall seconds that it took.
RequestObserver = Callable[[Scope, int, float], None]


class RequestGuard:
    """ASGI middleware that applies limits to the requests of ``service``.

    A request that is too large or too slow is answered 408, 413, 431 or 504; one that is not urgent
    503 on a reserved connection. ``body_time`` and ``answer_time`` are in wall seconds, as
    BODY_TIME and ANSWER_TIME. ``on_request`` is called for every request except those that are not
    logged.
    """

    def __init__(
        self,
        app: ASGIApp,
        service: str,
        body_time: float = BODY_TIME,
        answer_time: float = ANSWER_TIME,
        on_request: RequestObserver | None = None,
    ) -> None:
        self._app = app
        self._service = service
        self._body_time = body_time
        self._answer_time = answer_time
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request = _request_id(headers)
        tokens = request_id.set(request), trace_id.set(_trace_id(headers))
        began = time.perf_counter()
        status = 500
        try:
            if kind == "websocket":
                status = 101
                largest = MAX_LINK_MESSAGE if scope["path"] == _LINK else MAX_MESSAGE
                await self._app(scope, _limit_messages(receive, send, largest), send)
            else:
                status = await self._http(scope, headers, request, receive, send)
        finally:
            quiet = scope["path"] in _UNLOGGED_PATHS
            if self._on_request is not None and kind == "http" and not quiet:
                self._on_request(scope, status, time.perf_counter() - began)
            if not quiet and log.isEnabledFor(logging.INFO):
                log.info(
                    "%s %s",
                    scope.get("method", "WEBSOCKET"),
                    scope["path"],
                    extra={
                        "service": self._service,
                        "status": status,
                        "milliseconds": round((time.perf_counter() - began) * 1e3, 2),
                    },
                )
            request_id.reset(tokens[0])
            trace_id.reset(tokens[1])

    async def _http(
        self,
        scope: Scope,
        headers: MutableMapping[bytes, bytes],
        request: str,
        receive: Receive,
        send: Send,
    ) -> int:
        """Serve a request within the limits, and return the status of the answer."""
        status = 500
        received = 0
        largest = max_body(scope["path"])
        urgent_only = URGENT_ONLY in scope.get("extensions", ())
        deadline = Deadline(self._body_time, self._answer_time)

        async def limited() -> Message:
            nonlocal received
            deadline.reading = True
            message = await receive()
            deadline.reading = bool(message.get("more_body"))
            received += len(message.get("body", b""))
            if received > largest:
                raise _TooLarge
            return message

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                deadline.started = True
                status = message["status"]
                message["headers"] = _with_common_headers(
                    message["headers"], request, scope["scheme"]
                )
                if urgent_only:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if urgent_only and not is_urgent(scope["path"]):
                await _refuse(answer, 503)
            elif refusal := _status_of_refusal(scope["headers"], headers, largest):
                await _discard(receive, deadline)
                await _refuse(answer, refusal, largest)
            else:
                await self._app(scope, limited, answer)
        except _TooLarge:
            if not deadline.started:
                await _refuse(answer, 413, largest)
        except ClientDisconnect:
            # No client is left to be answered, and the service has made no mistake.
            status = _CLIENT_CLOSED_REQUEST
        except asyncio.CancelledError:
            if not deadline.passed():
                raise
            await _refuse(answer, deadline.status)
        finally:
            deadline.close()
        return status


class _TooLarge(Exception):
    pass


def max_body(path: str) -> int:
    """Return the largest body of a request to ``path``, in bytes."""
    sizes = (size for start, size in _LARGER_BODIES.items() if path.startswith(start))
    return next(sizes, MAX_BODY)


def _request_id(headers: MutableMapping[bytes, bytes]) -> str:
    value = headers.get(b"x-request-id")
    if value is not None and _REQUEST_ID.fullmatch(value):
        return value.decode()
    return f"{_ids.getrandbits(64):016x}"


def _trace_id(headers: MutableMapping[bytes, bytes]) -> str:
    """Return the id in the W3C Trace Context header; empty if there is none, or it is invalid."""
    value = headers.get(b"traceparent")
    match = _TRACEPARENT.fullmatch(value) if value is not None else None
    if match is None or value is None or value.startswith(b"ff") or not match[1].strip(b"0"):
        return ""
    return match[1].decode()


def _status_of_refusal(
    listed: list[tuple[bytes, bytes]], headers: MutableMapping[bytes, bytes], largest: int
) -> int:
    """Return the status with which the headers alone are refused; 0 if they are accepted.

    ``largest`` is the largest body in bytes.
    """
    if len(listed) > MAX_HEADERS:
        return 431
    if sum([len(name) + len(value) for name, value in listed]) > MAX_HEADER_BYTES:
        return 431
    length = headers.get(b"content-length", b"0")
    return 413 if length.isdigit() and (len(length) > 15 or int(length) > largest) else 0


async def _discard(receive: Receive, deadline: Deadline) -> None:
    """Read the body: a client that is still sending when we close never sees the answer."""
    received = 0
    deadline.reading = True
    while received < _MAX_DISCARDED:
        message = await receive()
        received += len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _with_common_headers(
    headers: list[tuple[bytes, bytes]], request: str, scheme: str
) -> list[tuple[bytes, bytes]]:
    names = {name for name, _ in headers}
    added = [*headers, (b"x-request-id", request.encode()), *_HEADERS]
    if b"cache-control" not in names:
        added.append(_REVALIDATED if b"etag" in names else _NOT_STORED)
    if scheme == "https":
        added.append(_HSTS)
    return added


async def _refuse(send: Send, status: int, largest: int = MAX_BODY) -> None:
    detail = _REFUSALS.get(status, f"the request is larger than {largest} bytes")
    body = b'{"detail":"%s"}' % detail.encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _limit_messages(receive: Receive, send: Send, largest: int) -> Receive:
    """Return ``receive`` with a limit: a message of more than ``largest`` bytes closes the
    connection with code 1009.
    """

    async def receive_limited() -> Message:
        message = await receive()
        size = len(message.get("text") or message.get("bytes") or b"")
        if message["type"] == "websocket.receive" and size > largest:
            await send({"type": "websocket.close", "code": 1009})
            return {"type": "websocket.disconnect", "code": 1009}
        return message

    return receive_limited
