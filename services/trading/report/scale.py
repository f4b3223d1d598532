"""Map values to pixels, choose ticks, and thin out curves."""

from collections.abc import Sequence
from math import ceil, floor, log10

from trading.report.record import Point
from trading.units import DAY, HOUR, MINUTE, SECOND

_TIME_STEPS = (
    *(n * SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7, 30)),
)


class Scale:
    """A linear map from values in ``[low, high]`` to pixels in ``[first, last]``. An empty interval
    is widened, so that the map is always defined.
    """

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        self.low = low
        self.high = high if high > low else low + 1
        self._first = first
        self._factor = (last - first) / (self.high - self.low)

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        return self._first + (value - self.low) * self._factor

    def clamped(self, value: float) -> float:
        """Return the pixel of a value, or of the nearest value within ``[low, high]``."""
        return self(min(max(value, self.low), self.high))


def value_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about ``count`` round numbers (1, 2, 5 x 10^n) that enclose ``[low, high]``."""
    span = (high - low) or abs(high) or 1
    power = 10.0 ** floor(log10(span / count))
    step = next((m * power for m in (1, 2, 5, 10) if span / (m * power) <= count), 10 * power)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def time_ticks(length: int, count: int = 10) -> list[int]:
    """Return about ``count`` microseconds since the start, at whole seconds, minutes, hours or
    days, up to ``length``.
    """
    step = next((s for s in _TIME_STEPS if length / s <= count), _TIME_STEPS[-1])
    return list(range(0, length + 1, step))


def thin(points: Sequence[Point], columns: int) -> Sequence[Point]:
    """Return at most four points for each pixel column (first, lowest, highest, last), so that
    spikes remain visible.
    """
    if len(points) <= 4 * columns:
        return points
    start, end = points[0].at, points[-1].at
    width = max(1, (end - start) // columns + 1)
    thinned: list[Point] = []
    bucket: list[Point] = []
    column = 0
    for point in points:
        if (point.at - start) // width != column:
            thinned += _corners(bucket)
            bucket = []
            column = (point.at - start) // width
        bucket.append(point)
    return thinned + _corners(bucket)


def _corners(bucket: list[Point]) -> list[Point]:
    if len(bucket) <= 4:
        return bucket
    low = min(bucket, key=lambda p: p.value)
    high = max(bucket, key=lambda p: p.value)
    return sorted({bucket[0], low, high, bucket[-1]}, key=lambda p: p.at)
