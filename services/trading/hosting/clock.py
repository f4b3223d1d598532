"""Simulated time that follows the wall clock, at some speed."""

import time
from collections.abc import Callable

import msgspec


class Anchor(msgspec.Struct, frozen=True):
    """It is ``sim`` (microseconds) when it is ``wall`` (nanoseconds since the Unix epoch), and time
    goes on at ``speed``: how the clocks of several processes agree.
    """

    sim: int
    wall: int
    speed: float


class SimClock:
    """``speed``: simulated seconds per wall second. Times in microseconds."""

    def __init__(
        self, sim: int, speed: float = 1.0, *, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self.slipped = 0
        self.set(sim, speed)

    def set(self, sim: int, speed: float) -> None:
        """From now on it is ``sim``, and time goes on at ``speed``."""
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.speed = speed
        self._sim = sim
        self._since = self._monotonic_ns()

    def follow(self, anchor: Anchor, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        """Agree with everybody who follows ``anchor``. Later steps of the wall clock are not
        followed: time does not go back.
        """
        self.set(anchor.sim, anchor.speed)
        self._since -= wall_ns() - anchor.wall

    def now(self) -> int:
        return self._sim + int((self._monotonic_ns() - self._since) * self.speed) // 1000

    def seconds_until(self, sim: int) -> float:
        """Wall seconds until it is ``sim``; 0 when it is, or was."""
        return max(0.0, (sim - self.now()) / self.speed / 1e6)

    def hold(self, sim: int, slack: float) -> None:
        """The machine cannot keep up: simulated time waits for it. Be at most ``slack`` wall
        seconds ahead of ``sim``; what is cut off is added to ``slipped``.
        """
        now, limit = self.now(), sim + int(slack * self.speed * 1e6)
        if now > limit:
            self.slipped += now - limit
            self.set(limit, self.speed)
