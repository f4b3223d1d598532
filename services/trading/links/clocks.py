"""Compares this machine's wall clock with those of the services that it is linked with.

Between runs all services go by the wall clock: one whose clock is wrong stands still, or trades in
the others' future, and its links are up all the same.
"""

import time
from collections.abc import Callable
from statistics import median_low

#: Header of a link's request, and of its answer: the sender's wall clock, Unix nanoseconds.
CLOCK = "X-Clock"
#: Seconds that two clocks may differ.
TOLERANCE = 10.0


class Clocks:
    """``wall_ns``: this machine's clock."""

    def __init__(self, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._wall_ns = wall_ns
        self._ahead: dict[str, float] = {}

    def now(self) -> int:
        """This machine's clock."""
        return self._wall_ns()

    def shown(self) -> str:
        """What the header says."""
        return str(self._wall_ns())

    def compare(self, name: str, shown: str, since: int) -> None:
        """A peer has said what its clock shows, between ``since`` and now by ours. What is no
        number changes nothing.
        """
        if not shown.isascii() or not shown.isdigit() or len(shown) > 20:
            return
        theirs, now = int(shown), self._wall_ns()
        late, early = theirs - now, theirs - since
        self._ahead[name] = (late if late > 0 else min(early, 0)) / 1e9

    def problems(self) -> dict[str, str]:
        """By clock of a peer that is far from ours: how far."""
        return {
            f"clock of {name}": f"{_text(ahead)} ours"
            for name, ahead in self._ahead.items()
            if abs(ahead) > TOLERANCE
        }

    @property
    def problem(self) -> str:
        """How far our clock is from most peers'; empty: it is not."""
        ahead = -median_low(self._ahead.values()) if self._ahead else 0.0
        far = sum(abs(seconds) > TOLERANCE for seconds in self._ahead.values())
        if 2 * far <= len(self._ahead):
            return ""
        return f"this machine's clock is {_text(ahead)} those of {far} of {len(self._ahead)} peers"


def _text(ahead: float) -> str:
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
