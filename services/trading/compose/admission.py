"""How many connections the edge has open: each is two descriptors, and memory for what one side has
said and the other has not taken yet.

What comes over the limits, of a port or of all, gets one of a few places that each port keeps back.
Where all of these are taken, the one that has said nothing for longest makes room. So whoever holds
connections open shuts nobody out: an operator's request gets through, and what was there stays.
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable

#: Connections in all, beside those that are kept back. With them below the 256 MiB that the
#: container may have: whatever both sides say and do not take, each has a quarter of a MiB.
TOTAL = 512
#: The share of one port.
_SHARE = 0.75
#: Kept back for each port.
KEPT_BACK = 16
#: Descriptors for all but connections, and for those that are being closed.
_OWN = 192
#: Wall seconds between two warnings.
_WARN_EVERY = 10.0


def most(ports: int) -> int:
    """Return how many connections there may be in all, beside those that are kept back for so many
    ports. Have the process get more descriptors where it may.
    """
    wanted = 2 * (TOTAL + ports * KEPT_BACK) + _OWN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return TOTAL
    return max((soft - _OWN) // 2 - ports * KEPT_BACK, ports)


class Connection:
    """One that is open. ``end``: breaks it off at once; ``moved``: how often bytes were handed on,
    in either direction; ``heard``: when that was last, wall seconds.
    """

    def __init__(
        self, end: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.end = end
        self._clock = clock
        self.moved = 0
        self.heard = clock()

    def move(self) -> None:
        """Bytes were handed on."""
        self.moved += 1
        self.heard = self._clock()


class Admission:
    """The open connections of all ports. ``total``: as of :func:`most`; ``clock``: wall seconds."""

    def __init__(
        self, ports: Iterable[int], total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total = total
        self.share = max(int(total * _SHARE), 1)
        self._clock = clock
        self._open: dict[Connection, int] = {}
        self._of = Counter[int]()
        self._kept_back: dict[int, set[Connection]] = {port: set() for port in ports}
        self._warned: float | None = None

    def enter(self, connection: Connection, port: int) -> None:
        """Count it, and end another one of the port where there is no room."""
        if len(self._open) < self.total and self._of[port] < self.share:
            self._open[connection] = port
            self._of[port] += 1
            return
        late = self._kept_back[port]
        if len(late) >= KEPT_BACK:
            silent = min(late, key=lambda one: one.heard)
            late.remove(silent)
            silent.end()
        late.add(connection)
        self._warn(port)

    def leave(self, connection: Connection, port: int) -> None:
        """It is closed. Nothing where it has made room."""
        self._kept_back[port].discard(connection)
        if self._open.pop(connection, None) is not None:
            self._of[port] -= 1

    def _warn(self, port: int) -> None:
        now = self._clock()
        if self._warned is None or now - self._warned >= _WARN_EVERY:
            self._warned = now
            print(
                f"{port}: over the limit of connections: {len(self._open)} of {self.total} are"
                f" open, {self._of[port]} of {self.share} of this port; those that come now end"
                " each other",
                file=sys.stderr,
                flush=True,
            )
