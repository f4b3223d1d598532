"""Recorded prices, played on the tick grid."""

from itertools import pairwise
from typing import Any


class RecordedSeries:
    """``points``: ``(offset since the start in microseconds, price in units)``, ascending.

    Between two points the price is interpolated linearly; before the first it is the first, after
    the last it stays. ValueError for a series that is empty, not ascending or not positive.
    """

    def __init__(self, asset: str, points: tuple[tuple[int, int], ...]) -> None:
        if not points:
            raise ValueError(f"{asset}: recorded series is empty")
        if any(b[0] <= a[0] for a, b in pairwise(points)):
            raise ValueError(f"{asset}: offsets of the recorded series do not ascend")
        if any(price <= 0 for _, price in points):
            raise ValueError(f"{asset}: recorded series has a price that is not positive")
        self._points = points
        self._next = 0

    def at(self, offset: int) -> int:
        """Price at ``offset``, which never goes back from one call to the next."""
        points = self._points
        following = self._next
        while following < len(points) and points[following][0] <= offset:
            following += 1
        self._next = following
        if following == len(points):
            return points[-1][1]
        to, price = points[following]
        if following == 0:
            return price
        since, before = points[following - 1]
        return before + (price - before) * (offset - since) // (to - since)

    def state(self) -> dict[str, Any]:
        return {"next": self._next}
