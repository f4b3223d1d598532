"""What every service's HTTP does around a request: ids, limits, security headers, log line."""

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

#: Largest request body, bytes.
MAX_BODY = 256 * 1024
_DISCARDED = 16 * MAX_BODY
#: Request headers: how many, and bytes of all names and values together.
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
#: Largest WebSocket message that is taken, bytes.
MAX_MESSAGE = 64 * 1024
#: Wall seconds until a request's body must have arrived, and until its answer must have begun.
BODY_TIME = 10.0
ANSWER_TIME = 30.0

#: Nothing depends on an id that nobody could have guessed.
_ids = random.Random()

#: Asked every second or so by machines.
_QUIET = frozenset({"/health", "/ready", "/metrics", "/journal/head"})
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
#: A page's files may be kept and asked after; an answer is true only now.
_NOT_STORED = (b"cache-control", b"no-store")
_ASKED_AFTER = (b"cache-control", b"no-cache")

#: In a scope's extensions: the connection is one that was kept back, for one urgent request.
URGENT_ONLY = "trading.urgent"

_REFUSALS = {
    408: f"the request's body did not arrive within {BODY_TIME:g} s",
    413: f"the request is larger than {MAX_BODY} bytes",
    431: f"more than {MAX_HEADERS} headers, or {MAX_HEADER_BYTES} bytes of them",
    503: "too many connections; close some, or try again later",
    504: f"there was no answer within {ANSWER_TIME:g} s; what was asked may have happened",
}


#: What the log says of a request whose client went away, as other servers do.
_GONE = 499

Seen = Callable[[Scope, int, float], None]


class Guard:
    """ASGI middleware. A request that is too large or too slow is answered here: 408, 413, 431,
    504; one that is not urgent, on a connection that was kept back: 503. ``body_time`` and
    ``answer_time`` as BODY_TIME and ANSWER_TIME. ``seen`` gets every request but those of health
    and metrics, with its status and how many seconds it took.
    """

    def __init__(
        self,
        app: ASGIApp,
        service: str,
        body_time: float = BODY_TIME,
        answer_time: float = ANSWER_TIME,
        seen: Seen | None = None,
    ) -> None:
        self._app = app
        self._service = service
        self._body_time = body_time
        self._answer_time = answer_time
        self._seen = seen

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
                await self._app(scope, _short_messages(receive, send), send)
            else:
                status = await self._http(scope, headers, request, receive, send)
        finally:
            quiet = scope["path"] in _QUIET
            if self._seen is not None and kind == "http" and not quiet:
                self._seen(scope, status, time.perf_counter() - began)
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
        """The status that was answered."""
        status = 500
        seen = 0
        urgent_only = URGENT_ONLY in scope.get("extensions", ())
        deadline = Deadline(self._body_time, self._answer_time)

        async def limited() -> Message:
            nonlocal seen
            deadline.reading = True
            message = await receive()
            deadline.reading = bool(message.get("more_body"))
            seen += len(message.get("body", b""))
            if seen > MAX_BODY:
                raise _TooLarge
            return message

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                deadline.started = True
                status = message["status"]
                message["headers"] = _with_ours(message["headers"], request, scope["scheme"])
                if urgent_only:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if urgent_only and not is_urgent(scope["path"]):
                await _refuse(answer, 503)
            elif refused := _refused(scope["headers"], headers):
                await _discard(receive, deadline)
                await _refuse(answer, refused)
            else:
                await self._app(scope, limited, answer)
        except _TooLarge:
            if not deadline.started:
                await _refuse(answer, 413)
        except ClientDisconnect:
            # Nobody is there to be answered, and nothing is wrong here.
            status = _GONE
        except asyncio.CancelledError:
            if not deadline.passed():
                raise
            await _refuse(answer, deadline.status)
        finally:
            deadline.close()
        return status


class _TooLarge(Exception):
    pass


def _request_id(headers: MutableMapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"{_ids.getrandbits(64):016x}"


def _trace_id(headers: MutableMapping[bytes, bytes]) -> str:
    """W3C Trace Context's, empty where there is none that can be used."""
    given = headers.get(b"traceparent")
    found = _TRACEPARENT.fullmatch(given) if given is not None else None
    if found is None or given is None or given.startswith(b"ff") or not found[1].strip(b"0"):
        return ""
    return found[1].decode()


def _refused(listed: list[tuple[bytes, bytes]], headers: MutableMapping[bytes, bytes]) -> int:
    """The status that the headers alone earn, 0 if none."""
    if len(listed) > MAX_HEADERS:
        return 431
    if sum([len(name) + len(value) for name, value in listed]) > MAX_HEADER_BYTES:
        return 431
    given = headers.get(b"content-length", b"0")
    return 413 if given.isdigit() and (len(given) > 15 or int(given) > MAX_BODY) else 0


async def _discard(receive: Receive, deadline: Deadline) -> None:
    """A client that is still sending when the connection closes never sees the answer."""
    seen = 0
    deadline.reading = True
    while seen < _DISCARDED:
        message = await receive()
        seen += len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _with_ours(
    headers: list[tuple[bytes, bytes]], request: str, scheme: str
) -> list[tuple[bytes, bytes]]:
    names = {name for name, _ in headers}
    added = [*headers, (b"x-request-id", request.encode()), *_HEADERS]
    if b"cache-control" not in names:
        added.append(_ASKED_AFTER if b"etag" in names else _NOT_STORED)
    if scheme == "https":
        added.append(_HSTS)
    return added


async def _refuse(send: Send, status: int) -> None:
    body = b'{"detail":"%s"}' % _REFUSALS[status].encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _short_messages(receive: Receive, send: Send) -> Receive:
    """Whoever sends a longer one is disconnected with 1009."""

    async def short() -> Message:
        message = await receive()
        size = len(message.get("text") or message.get("bytes") or b"")
        if message["type"] == "websocket.receive" and size > MAX_MESSAGE:
            await send({"type": "websocket.close", "code": 1009})
            return {"type": "websocket.disconnect", "code": 1009}
        return message

    return short
