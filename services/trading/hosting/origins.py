"""Which names a service is asked by, and from which pages: what browsers are protected with.

A page of any web site can have its visitor's browser send requests to 127.0.0.1. It can even read
the answers if the name of its site is made to point there (DNS rebinding): the browser then takes
the service for the page's own. Two headers tell, and no page can change them: ``Host`` is the name
that was asked for, ``Origin`` the site whose page asks.
"""

import logging
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from trading.hosting.addresses import address

log = logging.getLogger("trading.http")

_LOCAL = "localhost"
#: What Kubernetes puts behind a service's name and its namespace. Nobody can own names in there.
_CLUSTER = (("svc",), ("svc", "cluster", "local"))
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
#: Methods that change nothing.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Origins:
    """ASGI middleware that refuses requests which a foreign page may have sent: 421 where the host
    is none of the service's names, 403 where the origin is another than the host and the request
    changes something or opens a WebSocket. ``state.hosts`` of the app has the names; an address
    is always good, since no name has to be resolved for it, and so is a request without Host or
    Origin, since no browser leaves them out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refused = refusal(scope, scope["app"].state.hosts)
        if refused is None:
            await self._app(scope, receive, send)
            return
        log.warning("refused: %s", refused[1])
        await _refuse(scope, send, *refused)


def refusal(scope: Scope, hosts: frozenset[str]) -> tuple[int, str] | None:
    """Return status and reason where the request is refused. ``hosts``: as of :func:`names`."""
    host, origin = [], []
    for name, value in scope["headers"]:
        if name == b"host":
            host.append(value)
        elif name == b"origin":
            origin.append(value)
    asked = host[0].decode("latin-1") if host else ""
    if len(host) > 1 or (host and not _is_ours(asked, hosts)):
        return 421, (
            f"the host '{asked[:100]}' is no name of this service; if it is one, add it to the"
            " setting ALLOWED_HOSTS"
        )
    if not origin or (scope["type"] == "http" and scope["method"] in _SAFE):
        return None
    page = origin[0].decode("latin-1")
    if len(origin) > 1 or not _is_same(page, asked):
        return 403, f"the origin '{page[:100]}' is not this service ('{asked[:100]}')"
    return None


def names(service: str, bound: Iterable[str], allowed: Iterable[str] = ()) -> frozenset[str]:
    """Return the names that ``service`` is asked by, in lower case. ``bound``: where it listens;
    ``allowed``: further names, as of the setting ALLOWED_HOSTS.
    """
    known = (_LOCAL, service, f"trading-{service}", *bound, *allowed)
    return frozenset(name.lower().rstrip(".") for name in known)


@lru_cache(maxsize=1024)
def _is_ours(asked: str, hosts: frozenset[str]) -> bool:
    name = _split(asked)[0]
    if name in hosts or address(name) is not None or name.endswith(f".{_LOCAL}"):
        return True
    first, *rest = name.split(".")
    return first in hosts and tuple(rest[1:]) in _CLUSTER


@lru_cache(maxsize=1024)
def _is_same(page: str, asked: str) -> bool:
    """Is the page of the site that is asked? A host without port has its scheme's, which a proxy
    that speaks TLS changes: then the page's must be its own scheme's.
    """
    try:
        parts = urlsplit(page)
        port = parts.port
    except ValueError:
        return False
    usual = _PORTS.get(parts.scheme)
    if usual is None or not parts.hostname:
        return False
    name, number = _split(asked)
    same = parts.hostname.rstrip(".") == name
    return same and (port or usual) == (number if number is not None else usual)


def _split(host: str) -> tuple[str, int | None]:
    """Return name and port of a Host header: no name where it is none, no port where it has none.
    An IPv6 address comes without its brackets.
    """
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port
    except ValueError:
        return "", None
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return "", None
    return (parts.hostname or "").rstrip("."), port


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    said = why.replace("\\", "\\\\").replace('"', '\\"')
    body = b'{"detail":"%s"}' % said.encode("ascii", "replace")
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", b"%d" % len(body)))
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
