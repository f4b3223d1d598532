"""Simulated time that follows the wall clock at a chosen speed.

Processes that share an anchor show the same simulated time, as far as their wall clocks agree.
"""

import time
from collections.abc import Callable

import msgspec


class ClockAnchor(msgspec.Struct, frozen=True):
    """A relation between simulated and wall time that several processes share.

    It is ``sim`` (microseconds) at the wall time ``wall`` (nanoseconds since the Unix epoch), and
    ``speed`` simulated seconds pass per wall second.
    """

    sim: int
    wall: int
    speed: float


class SimClock:
    """A clock that shows ``sim`` microseconds at its creation.

    ``speed`` is the number of simulated seconds per wall second; ``slipped`` sums up the simulated
    microseconds that :meth:`limit_lead` has cut off.
    """

    def __init__(
        self, sim: int, speed: float = 1.0, *, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self.slipped = 0
        self.set(sim, speed)

    def set(self, sim: int, speed: float) -> None:
        """Show ``sim`` now, and go on at ``speed``. Raises ValueError unless it is positive."""
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.speed = speed
        self._sim = sim
        self._since = self._monotonic_ns()

    def follow(self, anchor: ClockAnchor, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        """Agree with all clocks that follow ``anchor``.

        Later steps of the wall clock are ignored, so that simulated time does not go back.
        """
        self.set(anchor.sim, anchor.speed)
        self._since -= wall_ns() - anchor.wall

    def now(self) -> int:
        """Return the simulated time in microseconds."""
        return self._sim + int((self._monotonic_ns() - self._since) * self.speed) // 1000

    def seconds_until(self, sim: int) -> float:
        """Return the wall seconds until the simulated time ``sim``; 0 if it has passed."""
        return max(0.0, (sim - self.now()) / self.speed / 1e6)

    def limit_lead(self, sim: int, slack: float) -> None:
        """Keep the clock at most ``slack`` wall seconds ahead of the simulated time ``sim``.

        It is called where the machine cannot keep up, so that simulated time waits for it. What is
        cut off is added to ``slipped``.
        """
        now, limit = self.now(), sim + int(slack * self.speed * 1e6)
        if now > limit:
            self.slipped += now - limit
            self.set(limit, self.speed)
