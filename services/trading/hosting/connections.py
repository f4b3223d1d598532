"""How many connections a process takes: each is a descriptor, and without one nobody gets in.

Whoever opens more than its share, or comes when all are given, gets one of a few that are kept
back. These are for what cannot wait, such as the circuit breaker, and for one request. Where all of
them are taken the oldest makes room, first of all one that has asked nothing. So an operator gets
in, however many connections somebody else holds open.
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

#: Descriptors for all but connections: journals, databases, links to other services. An eighth of
#: what the process may have, at least so many.
_OWN = 128
#: Connections that are kept back.
KEPT_BACK = 64
#: More are taken by no process, whatever it may have.
_MOST = 8192
#: The share of one client's address.
_SHARE = 0.75
#: Wall seconds between two warnings.
_WARN_EVERY = 10.0

_URGENT = re.compile(
    r"/(health|ready|metrics|login|link|chaos/session)"
    r"|/api/(breaker|alerts|silences)(/.*)?"
    r"|/runs/[^/]+/abort"
)


def is_urgent(path: str) -> bool:
    """Is a request for ``path`` answered on a connection that was kept back?"""
    return _URGENT.fullmatch(path) is not None


def most() -> int:
    """Return how many connections fit under the process's limit of descriptors (RLIMIT_NOFILE)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST
    return max(min(soft - max(_OWN, soft // 8) - KEPT_BACK, _MOST), 16)


class Connections:
    """The open connections of a process. ``total``: how many it takes beside those that are kept
    back, as of :func:`most` where it is 0; ``clock``: wall seconds.
    """

    def __init__(
        self,
        total: int = 0,
        kept_back: int = KEPT_BACK,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total or most()
        self.share = max(int(self.total * _SHARE), 1)
        self._kept_back = kept_back
        self._clock = clock
        self._open: dict[asyncio.BaseTransport, str] = {}
        self._of = Counter[str]()
        #: Of those that are kept back: has a request come? The oldest is the first.
        self._urgent: dict[asyncio.BaseTransport, bool] = {}
        self._refused = 0
        self._warned: float | None = None

    def __len__(self) -> int:
        return len(self._open) + len(self._urgent)

    def enter(self, transport: asyncio.BaseTransport, client: str) -> bool:
        """Count a new connection of a client's address. Return whether it is one like any other;
        otherwise it is for urgent requests alone.
        """
        key = client_key(client)
        if len(self._open) < self.total and self._of[key] < self.share:
            self._open[transport] = key
            self._of[key] += 1
            return True
        self._warn(client, self._of[key])
        if len(self._urgent) >= self._kept_back:
            silent = (t for t, asked in self._urgent.items() if not asked)
            oldest = next(silent, next(iter(self._urgent)))
            del self._urgent[oldest]
            _abort(oldest)
        self._urgent[transport] = False
        return False

    def asked(self, transport: asyncio.BaseTransport) -> None:
        """A request has come on it."""
        if transport in self._urgent:
            self._urgent[transport] = True

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """It is closed. Nothing where that is known."""
        self._urgent.pop(transport, None)
        key = self._open.pop(transport, None)
        if key is not None:
            self._of[key] -= 1
            if not self._of[key]:
                del self._of[key]

    def _warn(self, client: str, count: int) -> None:
        self._refused += 1
        now = self._clock()
        if self._warned is not None and now - self._warned < _WARN_EVERY:
            return
        log.warning(
            "%d connections over the limit: %d of %d are open, %d of %d from %s, which came last;"
            " until some are closed, only urgent requests are answered to it",
            self._refused,
            len(self._open),
            self.total,
            count,
            self.share,
            client,
        )
        self._warned, self._refused = now, 0


def _abort(transport: asyncio.BaseTransport) -> None:
    if isinstance(transport, asyncio.Transport):
        transport.abort()


#: Descriptors are the process's, whatever number of servers runs in it.
OF_PROCESS = Connections()
