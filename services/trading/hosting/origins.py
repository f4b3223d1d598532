"""Protects services from requests that foreign web pages make in a user's browser.

A page of any web site can make its visitor's browser send requests to 127.0.0.1. It can even read
the answers if the name of its site is made to resolve to that address (DNS rebinding), since the
browser then takes the service for the page's own site. Two headers, which no page can change,
give such requests away: ``Host`` is the requested name, ``Origin`` the site of the page.
"""

import logging
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from trading.hosting.addresses import address

log = logging.getLogger("trading.http")

_LOCALHOST = "localhost"
#: What Kubernetes appends to the name of a service and its namespace. Only the cluster assigns
#: names there.
_CLUSTER_SUFFIXES = (("svc",), ("svc", "cluster", "local"))
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
#: Methods that change nothing.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Origins:
    """ASGI middleware that refuses requests which a foreign page may have sent.

    It answers 421 where the Host header is not a name of the service, and 403 where the origin
    differs from the host and the request changes something or opens a WebSocket. ``hosts`` are the
    names, as of :func:`host_names`. An IP address is always accepted, since it is not resolved, and
    so is a request without Host or Origin, since browsers always send them.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refused = refusal(scope, self._hosts)
        if refused is None:
            await self._app(scope, receive, send)
            return
        log.warning("refused: %s", refused[1])
        await _refuse(scope, send, *refused)


def refusal(scope: Scope, hosts: frozenset[str]) -> tuple[int, str] | None:
    """Return status and reason if the request is refused; ``hosts``: see :func:`host_names`."""
    host, origin = [], []
    for name, value in scope["headers"]:
        if name == b"host":
            host.append(value)
        elif name == b"origin":
            origin.append(value)
    requested = host[0].decode("latin-1") if host else ""
    if len(host) > 1 or (host and not _is_own_host(requested, hosts)):
        return 421, (
            f"the host '{requested[:100]}' is no name of this service; if it is one, add it to the"
            " setting ALLOWED_HOSTS"
        )
    if not origin or (scope["type"] == "http" and scope["method"] in _SAFE_METHODS):
        return None
    page = origin[0].decode("latin-1")
    if len(origin) > 1 or not _is_same_site(page, requested):
        return 403, f"the origin '{page[:100]}' is not this service ('{requested[:100]}')"
    return None


def host_names(service: str, bound: Iterable[str], allowed: Iterable[str] = ()) -> frozenset[str]:
    """Return the host names under which ``service`` may be requested, in lower case.

    ``bound`` are the addresses where it listens, ``allowed`` further names from ALLOWED_HOSTS.
    """
    accepted = (_LOCALHOST, service, f"trading-{service}", *bound, *allowed)
    return frozenset(name.lower().rstrip(".") for name in accepted)


@lru_cache(maxsize=1024)
def _is_own_host(requested: str, hosts: frozenset[str]) -> bool:
    name = _split(requested)[0]
    if name in hosts or address(name) is not None or name.endswith(f".{_LOCALHOST}"):
        return True
    first, *rest = name.split(".")
    return first in hosts and tuple(rest[1:]) in _CLUSTER_SUFFIXES


@lru_cache(maxsize=1024)
def _is_same_site(page: str, requested: str) -> bool:
    """Return whether the page belongs to the requested host.

    A host without a port has the default port of its scheme. The scheme may differ behind a proxy
    that terminates TLS, so that then the page must have the default port of its own scheme.
    """
    try:
        parts = urlsplit(page)
        port = parts.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or not parts.hostname:
        return False
    name, number = _split(requested)
    same = parts.hostname.rstrip(".") == name
    return same and (port or default) == (number if number is not None else default)


def _split(host: str) -> tuple[str, int | None]:
    """Return name and port of a Host header: an empty name if it is invalid, None without a port.

    An IPv6 address is returned without its brackets.
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
    escaped = why.replace("\\", "\\\\").replace('"', '\\"')
    body = b'{"detail":"%s"}' % escaped.encode("ascii", "replace")
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
