"""Recorded price series, sampled at the ticks of the market data service."""

from itertools import pairwise
from typing import Any


class RecordedSeries:
    """Plays one recorded series of ``asset``.

    ``points`` are pairs of offset since the start (simulated microseconds) and price (1e-8 USD), in
    ascending order. The price is interpolated linearly between points, and constant before the
    first and after the last. Raises ValueError for a series that is empty, not ascending or not
    positive.
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
        """Return the price at ``offset``, which must not decrease between calls."""
        points = self._points
        following = self._next
        while following < len(points) and points[following][0] <= offset:
            following += 1
        self._next = following
        if following == len(points):
            return points[-1][1]
        end, end_price = points[following]
        if following == 0:
            return end_price
        start, start_price = points[following - 1]
        return start_price + (end_price - start_price) * (offset - start) // (end - start)

    def state(self) -> dict[str, Any]:
        """Return the position in the series."""
        return {"next": self._next}
