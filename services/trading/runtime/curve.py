"""A curve that needs little memory however long it is recorded."""


class Curve:
    """A curve of ``(time, value)`` with evenly spaced points, at most ``max_points``, an even
    number: with an odd one, the newest point would be among those that are removed.

    When it is full, every other point is removed, and from then on only half as many are recorded.
    """

    def __init__(self, max_points: int) -> None:
        self.points: list[tuple[int, int]] = []
        self._max_points = max_points
        self._stride = 1
        self._skipped = 0

    def add(self, at: int, value: int) -> None:
        """Record a value at the simulated time ``at``, microseconds, unless it is skipped."""
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        self.points.append((at, value))
        if len(self.points) > self._max_points:
            del self.points[1::2]
            self._stride *= 2
