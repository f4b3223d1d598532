"""Every price that the market data service has published, for as long as it may be claimed.

A claim may only name a price that was published before it: at most :data:`LATEST` before, or
earlier if claims have been naming that price ever since. The prices of the present hour are kept in
a dictionary, older ones in one sorted and packed chunk per hour.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from struct import pack
from typing import NamedTuple

from trading.units import DAY, HOUR

#: A price may appear in a claim for the first time up to this long after it was published.
LATEST = DAY
#: The most hours that are kept if there are no claims.
MAX_HOURS = 7 * 24


class _Hour(NamedTuple):
    """The prices of the hour that began at ``start``: sorted, 8 bytes each."""

    start: int
    prices: bytes


class PublishedPrices:
    """Keeps the published prices of ``assets``, in units of 1e-8 USD."""

    def __init__(self, assets: Iterable[str]) -> None:
        self._newest: dict[str, dict[int, None]] = {asset: {} for asset in assets}
        self._start: dict[str, int] = {}
        self._older: dict[str, deque[_Hour]] = {asset: deque() for asset in self._newest}
        self._claimed: dict[str, int] = {}

    def add(self, asset: str, price: int, at: int) -> None:
        """Add a price that was published at the time ``at`` (simulated microseconds); ignore assets
        that are not kept.
        """
        newest = self._newest.get(asset)
        if newest is None:
            return
        start = self._start.setdefault(asset, at - at % HOUR)
        if at >= start + HOUR:
            older = self._older[asset]
            older.append(_Hour(start, pack(f"{len(newest)}q", *sorted(newest))))
            if len(older) > MAX_HOURS:
                older.popleft()
            newest.clear()
            self._start[asset] = at - at % HOUR
        newest[price] = None

    def claim(self, asset: str, price: int, at: int) -> bool:
        """Return whether a price that is claimed at the time ``at`` was ever published, and drop
        the prices that no later claim may name.
        """
        older = self._older.get(asset)
        if older is None:
            return False
        while older and older[0].start + HOUR + LATEST < at:
            older.popleft()
        published = (
            price in self._newest[asset]
            or self._claimed.get(asset) == price
            or any(_contains(hour.prices, price) for hour in reversed(older))
        )
        if published:
            self._claimed[asset] = price
        return published


def _contains(prices: bytes, price: int) -> bool:
    values = memoryview(prices).cast("q")
    index = bisect_left(values, price)
    return index < len(values) and values[index] == price
