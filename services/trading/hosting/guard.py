"""What every service's HTTP does around a request: id, size limit, security headers, log line."""

import hmac
import logging
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

from fastapi import HTTPException, Request
from pydantic import SecretStr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trading.hosting.logs import request_id

log = logging.getLogger("trading.http")

#: Largest request body, bytes.
MAX_BODY = 256 * 1024
_DISCARDED = 16 * MAX_BODY

_QUIET = frozenset({"/health", "/ready", "/metrics"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    b" connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Guard:
    """ASGI middleware. Bodies above MAX_BODY are answered with 413 before anybody reads them."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request = given if given.isascii() and given.isalnum() and len(given) <= 64 else ""
        request = request or secrets.token_hex(8)
        token = request_id.set(request)
        began = time.perf_counter()
        status = 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_added(request, message, scope)]
            await send(message)

        try:
            if _length(headers) > MAX_BODY:
                await _discard(receive)
                await _refuse(answer)
                return
            await self._app(scope, _limited(receive), answer)
        except _TooLarge:
            await _refuse(answer)
        finally:
            if scope["path"] not in _QUIET:
                log.info(
                    "%s %s",
                    scope["method"],
                    scope["path"],
                    extra={
                        "service": self._service,
                        "status": status,
                        "milliseconds": round((time.perf_counter() - began) * 1e3, 2),
                    },
                )
            request_id.reset(token)


class _TooLarge(Exception):
    pass


def _limited(receive: Receive) -> Receive:
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY:
            raise _TooLarge
        return message

    return limited


async def _discard(receive: Receive) -> None:
    """A client that is still sending when the connection closes never sees the answer."""
    seen = 0
    while seen < _DISCARDED:
        message = await receive()
        seen += len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _length(headers: MutableMapping[bytes, bytes]) -> int:
    given = headers.get(b"content-length", b"0")
    return int(given) if given.isdigit() else 0


def _added(request: str, message: Message, scope: Scope) -> list[tuple[bytes, bytes]]:
    added = [(b"x-request-id", request.encode()), *_HEADERS]
    if scope["path"] not in ("/docs", "/redoc"):
        added.append((b"content-security-policy", _POLICY))
    return added


async def _refuse(send: Send) -> None:
    body = b'{"detail":"the request is larger than %d bytes"}' % MAX_BODY
    start: dict[str, Any] = {
        "type": "http.response.start",
        "status": 413,
        "headers": [(b"content-type", b"application/json"), (b"connection", b"close")],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})


def same(given: str, secret: SecretStr) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode(), secret.get_secret_value().encode())


def require_token(request: Request, secret: SecretStr | None, setting: str) -> None:
    """401 unless the request carries ``Authorization: Bearer`` with the secret; 403 where there
    is none, because then nobody may.
    """
    if secret is None:
        raise HTTPException(403, f"not enabled here: {setting} is not set")
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not same(given.strip(), secret):
        raise HTTPException(
            401, f"needs 'Authorization: Bearer' with {setting}", {"WWW-Authenticate": "Bearer"}
        )
