"""Limit the number of connections that the edge keeps open.

Each connection needs two descriptors and buffer memory. Connections above the limit of a port or of
the whole process use a few slots that are reserved for each port. If all of these are in use, the
connection among them that has been idle for longest is closed. Therefore a client that holds many
connections open cannot lock others out: existing connections stay open, and an operator can still
connect.
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable

#: The limit of all connections, without the reserved ones. A connection buffers at most a quarter
#: of a MiB, so that all together stay below the container's memory limit of 256 MiB.
MAX_CONNECTIONS = 512
#: The share of the limit that one port may use.
_PORT_SHARE = 0.75
#: The number of reserved connections of each port.
RESERVED_PER_PORT = 16
#: Descriptors for other purposes, and for connections that are being closed.
_OTHER_DESCRIPTORS = 192
#: Wall seconds between two warnings.
_WARNING_INTERVAL = 10.0


def connection_limit(ports: int) -> int:
    """Return the limit of all connections, without those reserved for each of `ports` ports.

    The process's limit of descriptors is raised if necessary and permitted. If it remains too low,
    the limit of connections is reduced.
    """
    required = 2 * (MAX_CONNECTIONS + ports * RESERVED_PER_PORT) + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < required:
        soft = required if hard == resource.RLIM_INFINITY else min(hard, required)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= required:
        return MAX_CONNECTIONS
    return max((soft - _OTHER_DESCRIPTORS) // 2 - ports * RESERVED_PER_PORT, ports)


class Connection:
    """An open connection.

    `end` closes it immediately. `transfers` counts how often bytes were forwarded, in either
    direction; `last_active` is the time of the last one, in seconds of `clock`.
    """

    def __init__(
        self, end: Callable[[], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.end = end
        self._clock = clock
        self.transfers = 0
        self.last_active = clock()

    def record_transfer(self) -> None:
        """Record that bytes were forwarded."""
        self.transfers += 1
        self.last_active = self._clock()


class Admission:
    """Keeps the open connections of all ports and closes some if there are too many.

    `total` is the limit of all connections, as `connection_limit` returns it. `clock` returns
    seconds and never goes back.
    """

    def __init__(
        self, ports: Iterable[int], total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total = total
        self.share = max(int(total * _PORT_SHARE), 1)
        self._clock = clock
        self._open: dict[Connection, int] = {}
        self._open_by_port = Counter[int]()
        self._reserved: dict[int, set[Connection]] = {port: set() for port in ports}
        self._last_warning: float | None = None

    def enter(self, connection: Connection, port: int) -> None:
        """Register a new connection of a port.

        Above the limits it gets a reserved slot of the port. If none is free, the connection among
        them that has been idle for longest is closed.
        """
        if len(self._open) < self.total and self._open_by_port[port] < self.share:
            self._open[connection] = port
            self._open_by_port[port] += 1
            return
        reserved = self._reserved[port]
        if len(reserved) >= RESERVED_PER_PORT:
            most_idle = min(reserved, key=lambda candidate: candidate.last_active)
            reserved.remove(most_idle)
            most_idle.end()
        reserved.add(connection)
        self._warn(port)

    def leave(self, connection: Connection, port: int) -> None:
        """Remove a closed connection. Does nothing if it was removed to make room."""
        self._reserved[port].discard(connection)
        if self._open.pop(connection, None) is not None:
            self._open_by_port[port] -= 1

    def _warn(self, port: int) -> None:
        now = self._clock()
        if self._last_warning is None or now - self._last_warning >= _WARNING_INTERVAL:
            self._last_warning = now
            print(
                f"{port}: over the limit of connections: {len(self._open)} of {self.total} are"
                f" open, {self._open_by_port[port]} of {self.share} of this port; those that come"
                " now end each other",
                file=sys.stderr,
                flush=True,
            )
