"""Order books as clients follow them: aggregated levels under one update counter per symbol."""

from typing import NamedTuple

from trading.exchange.book import Book, Side

Level = tuple[int, int]


class DepthUpdate(NamedTuple):
    """Update ids ``first`` to ``last``; a quantity of 0 removes the price."""

    symbol: str
    first: int
    last: int
    bids: list[Level]
    asks: list[Level]


class DepthBook:
    """What was last told of one symbol. Prices and quantities in units of 1e-8. ``update_id``: of
    the last change; starting with the time, it does not fall when the service starts again.
    """

    def __init__(self, symbol: str, update_id: int) -> None:
        self.symbol = symbol
        self.update_id = update_id
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def refresh(self, book: Book) -> DepthUpdate | None:
        """Catch up with the venue's book; None if nothing changed. The update ids follow those
        of the update before without a gap.
        """
        bids, asks = _levels(book.bids), _levels(book.asks)
        changed_bids, changed_asks = _changes(self.bids, bids), _changes(self.asks, asks)
        count = len(changed_bids) + len(changed_asks)
        if not count:
            return None
        self.bids, self.asks = bids, asks
        first = self.update_id + 1
        self.update_id += count
        return DepthUpdate(self.symbol, first, self.update_id, changed_bids, changed_asks)

    def top(self, limit: int) -> tuple[list[Level], list[Level]]:
        """The best ``limit`` levels of both sides, best first."""
        return list(self.bids.items())[:limit], list(self.asks.items())[:limit]


def _levels(side: Side) -> dict[int, int]:
    """Best first."""
    return {
        abs(key): sum(order.left for order in side.levels[key].values())
        for key in reversed(side.keys)
    }


def _changes(old: dict[int, int], new: dict[int, int]) -> list[Level]:
    changed = [(price, qty) for price, qty in new.items() if old.get(price) != qty]
    changed += [(price, 0) for price in old if price not in new]
    return changed


class Gathered:
    """Updates of one symbol put together, for those who are told less often."""

    def __init__(self) -> None:
        self._first = self._last = 0
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def add(self, update: DepthUpdate) -> None:
        self._first = self._first or update.first
        self._last = update.last
        self._bids.update(update.bids)
        self._asks.update(update.asks)

    def take(self, symbol: str) -> DepthUpdate | None:
        """What has gathered since the last time; None if nothing has."""
        if not self._first:
            return None
        bids, asks = list(self._bids.items()), list(self._asks.items())
        update = DepthUpdate(symbol, self._first, self._last, bids, asks)
        self._first = 0
        self._bids.clear()
        self._asks.clear()
        return update
