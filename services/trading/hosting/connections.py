"""Limits the open connections of a process, since each takes one of its file descriptors.

A client that opens more than its share, or connects when the limit is reached, gets one of a few
reserved connections. These serve a single urgent request each, for instance to the circuit
breaker. Where all of them are open, the oldest is closed to make room, preferably one without a
request. So an operator gets access however many connections another client holds open.
"""

import asyncio
import logging
import re
import resource
import time
from collections import Counter
from collections.abc import Callable

from trading.hosting.tokens import client_key

log = logging.getLogger("trading.http")

#: Least number of descriptors for anything but connections: journals, databases, links to other
#: services. They get an eighth of the process's limit where that is more.
_RESERVED_DESCRIPTORS = 128
#: Reserved connections for urgent requests.
RESERVED = 64
#: Greatest number of other connections, whatever the process's limit of descriptors is.
_MAX_TOTAL = 8192
#: The share of the connections that one client's address may have.
_SHARE = 0.75
#: Wall seconds between two warnings.
_WARN_INTERVAL = 10.0

_URGENT = re.compile(
    r"/(health|ready|metrics|login|link|chaos/session)"
    r"|/api/(breaker|alerts|silences)(/.*)?"
    r"|/runs/[^/]+/abort"
)


def is_urgent(path: str) -> bool:
    """Return whether a request for ``path`` is served on a reserved connection."""
    return _URGENT.fullmatch(path) is not None


def max_connections() -> int:
    """Return how many connections the process's limit of descriptors (RLIMIT_NOFILE) allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MAX_TOTAL
    return max(min(soft - max(_RESERVED_DESCRIPTORS, soft // 8) - RESERVED, _MAX_TOTAL), 16)


class Connections:
    """Counts the open connections of a process by client.

    ``total`` is the number of ordinary connections that are accepted, ``reserved`` that of reserved
    ones. A ``total`` of 0 stands for :func:`max_connections`. ``clock`` returns wall seconds.
    """

    def __init__(
        self,
        total: int = 0,
        reserved: int = RESERVED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total or max_connections()
        self.share = max(int(self.total * _SHARE), 1)
        self._reserved = reserved
        self._clock = clock
        self._open: dict[asyncio.BaseTransport, str] = {}
        self._count_of = Counter[str]()
        #: The reserved connections, oldest first, and whether each has had a request.
        self._urgent: dict[asyncio.BaseTransport, bool] = {}
        self._refused = 0
        self._warned_at: float | None = None

    def __len__(self) -> int:
        return len(self._open) + len(self._urgent)

    def enter(self, transport: asyncio.BaseTransport, client: str) -> bool:
        """Count a new connection from the address ``client``.

        Returns whether it is an ordinary connection; otherwise it serves urgent requests only.
        """
        key = client_key(client)
        if len(self._open) < self.total and self._count_of[key] < self.share:
            self._open[transport] = key
            self._count_of[key] += 1
            return True
        self._warn(client, self._count_of[key])
        if len(self._urgent) >= self._reserved:
            unused = (t for t, has_request in self._urgent.items() if not has_request)
            oldest = next(unused, next(iter(self._urgent)))
            del self._urgent[oldest]
            _abort(oldest)
        self._urgent[transport] = False
        return False

    def mark_requested(self, transport: asyncio.BaseTransport) -> None:
        """Record that a request has arrived on the connection."""
        if transport in self._urgent:
            self._urgent[transport] = True

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """Record that the connection is closed. Calling it again has no effect."""
        self._urgent.pop(transport, None)
        key = self._open.pop(transport, None)
        if key is not None:
            self._count_of[key] -= 1
            if not self._count_of[key]:
                del self._count_of[key]

    def _warn(self, client: str, count: int) -> None:
        self._refused += 1
        now = self._clock()
        if self._warned_at is not None and now - self._warned_at < _WARN_INTERVAL:
            return
        log.warning(
            "%d connections over the limit: %d of %d are open, %d of %d from %s, the last client;"
            " until some are closed, only its urgent requests are answered",
            self._refused,
            len(self._open),
            self.total,
            count,
            self.share,
            client,
        )
        self._warned_at, self._refused = now, 0


def _abort(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.Transport):
        transport.abort()


#: The connections of this process; its servers share them, as they share its descriptors.
PROCESS_CONNECTIONS = Connections()
