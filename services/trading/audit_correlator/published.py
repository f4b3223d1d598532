"""Every price that the market data service has published, for as long as one may still be claimed.

A claim names a price that was published before it: at most as long before as a tick can be late,
or as long as the claims have been naming it. Prices of the last hours are looked up as they are,
older ones in packed chunks of one hour each.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from struct import pack
from typing import NamedTuple

from trading.units import DAY, HOUR

#: How long after it was published a price may come into the claims for the first time.
LATEST = DAY
#: Hours that are kept at most, however long nobody has claimed anything.
MAX_HOURS = 7 * 24


class _Hour(NamedTuple):
    """The prices of the hour that began at ``start``, sorted, eight bytes each."""

    start: int
    prices: bytes


class Published:
    """The prices of ``assets``, in units of 1e-8."""

    def __init__(self, assets: Iterable[str]) -> None:
        self._newest: dict[str, dict[int, None]] = {asset: {} for asset in assets}
        self._start: dict[str, int] = {}
        self._older: dict[str, deque[_Hour]] = {asset: deque() for asset in self._newest}
        self._claimed: dict[str, int] = {}

    def add(self, asset: str, price: int, at: int) -> None:
        """A price was published at the time ``at``, microseconds. Unknown assets have none."""
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
        """Was the price, which is claimed at ``at``, ever published? What no later claim can name
        is forgotten.
        """
        older = self._older.get(asset)
        if older is None:
            return False
        while older and older[0].start + HOUR + LATEST < at:
            older.popleft()
        found = (
            price in self._newest[asset]
            or self._claimed.get(asset) == price
            or any(_is_in(hour.prices, price) for hour in reversed(older))
        )
        if found:
            self._claimed[asset] = price
        return found


def _is_in(prices: bytes, price: int) -> bool:
    values = memoryview(prices).cast("q")
    place = bisect_left(values, price)
    return place < len(values) and values[place] == price
