"""Compares this machine's wall clock with the clocks of the services that it has links to.

Between runs all services follow the wall clock. A service whose clock is wrong stands still or
trades in the others' future, although all of its links work, so the clocks are compared with each
handshake.
"""

import time
from collections.abc import Callable
from statistics import median_low

#: Header of a link's handshake in both directions: the sender's wall clock, Unix nanoseconds.
CLOCK_HEADER = "X-Clock"
#: Largest difference between two clocks that is no problem, seconds.
TOLERANCE = 10.0


class Clocks:
    """Keeps the latest difference between this machine's clock and that of each peer. ``wall_ns``
    returns this machine's wall time in Unix nanoseconds.
    """

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._wall_ns = wall_ns
        self._ahead: dict[str, float] = {}

    def now(self) -> int:
        """Return this machine's wall time in Unix nanoseconds."""
        return self._wall_ns()

    def header_value(self) -> str:
        """Return the value of the clock header for a handshake that is sent now."""
        return str(self._wall_ns())

    def compare(self, name: str, header: str, since: int) -> None:
        """Note the difference to the clock of a peer, whose clock header was written between
        ``since`` and now by this machine's clock. A header that is not a number changes nothing.
        """
        if not header.isascii() or not header.isdigit() or len(header) > 20:
            return
        theirs, now = int(header), self._wall_ns()
        # The header may be as old as ``since``: only a difference beyond that interval counts.
        late, early = theirs - now, theirs - since
        self._ahead[name] = (late if late > 0 else min(early, 0)) / 1e9

    def problems(self) -> dict[str, str]:
        """Return a text for each peer whose clock is more than the tolerance away from this one."""
        return {
            f"clock of {name}": f"{_as_text(ahead)} ours"
            for name, ahead in self._ahead.items()
            if abs(ahead) > TOLERANCE
        }

    @property
    def problem(self) -> str:
        """How far this machine's clock is from those of most peers; empty if it agrees."""
        ahead = -median_low(self._ahead.values()) if self._ahead else 0.0
        far = sum(abs(seconds) > TOLERANCE for seconds in self._ahead.values())
        if 2 * far <= len(self._ahead):
            return ""
        return (
            f"this machine's clock is {_as_text(ahead)} those of {far} of {len(self._ahead)} peers"
        )


def _as_text(ahead: float) -> str:
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
