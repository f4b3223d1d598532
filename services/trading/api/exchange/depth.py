"""Aggregated order books as clients see them: levels of price and quantity, with one update counter
for each symbol. A client that has a snapshot and every later update has the venue's book.
"""

from typing import NamedTuple

from trading.exchange.book import Book, BookSide

#: Price and total quantity, both in units of 1e-8.
Level = tuple[int, int]


class DepthUpdate(NamedTuple):
    """The levels of `symbol` that changed in the updates `first` to `last`. A quantity of 0 removes
    the level.
    """

    symbol: str
    first: int
    last: int
    bids: list[Level]
    asks: list[Level]


class DepthBook:
    """The book of one symbol as it was last sent to clients. Prices and quantities are in units of
    1e-8.

    `update_id` numbers the last change. It starts from the wall clock's time, so that it does not
    fall when the service is started again.
    """

    def __init__(self, symbol: str, update_id: int) -> None:
        self.symbol = symbol
        self.update_id = update_id
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def refresh(self, book: Book) -> DepthUpdate | None:
        """Update this copy to the venue's `book` and return what changed; None if nothing did. Each
        changed level has an update id of its own, and the ids continue those of the update before
        without a gap.
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
        """Return the best `limit` bids and asks, best first."""
        return list(self.bids.items())[:limit], list(self.asks.items())[:limit]


def _levels(side: BookSide) -> dict[int, int]:
    """Return total quantity by price, best price first."""
    return {
        abs(key): sum(order.leaves_qty for order in side.levels[key].values())
        for key in reversed(side.keys)
    }


def _changes(old: dict[int, int], new: dict[int, int]) -> list[Level]:
    """Return the levels that are new or different, then those that are gone, with quantity 0."""
    changed = [(price, qty) for price, qty in new.items() if old.get(price) != qty]
    changed += [(price, 0) for price in old if price not in new]
    return changed


class DepthAccumulator:
    """Merges the updates of one symbol for streams that are sent less often than the
    book changes.
    """

    def __init__(self) -> None:
        self._first = self._last = 0
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def add(self, update: DepthUpdate) -> None:
        """Merge `update`, which must follow directly on the one before."""
        self._first = self._first or update.first
        self._last = update.last
        self._bids.update(update.bids)
        self._asks.update(update.asks)

    def flush(self, symbol: str) -> DepthUpdate | None:
        """Return everything since the last call as one update and start anew; None if nothing was
        added.
        """
        if not self._first:
            return None
        bids, asks = list(self._bids.items()), list(self._asks.items())
        update = DepthUpdate(symbol, self._first, self._last, bids, asks)
        self._first = 0
        self._bids.clear()
        self._asks.clear()
        return update
