"""A simple order book for comparison: price levels in `sortedcontainers.SortedDict`, queues in
deques.

It has the semantics of `trading.exchange.book.Book`, and is the reference for that book's speed.
"""

from collections import deque

from sortedcontainers import SortedDict

from trading.exchange.book import Fill, MatchResult, Order


class SortedBook:
    """An order book of one instrument. Bids are keyed by negative price, so that the best level of
    either side comes first.
    """

    def __init__(self) -> None:
        self.bids: SortedDict = SortedDict()
        self.asks: SortedDict = SortedDict()
        self.orders: dict[int, Order] = {}

    def rest(self, order: Order) -> None:
        """Add an order to the end of the queue at its price."""
        self.orders[order.order_id] = order
        side, key = (self.bids, -order.limit) if order.buy else (self.asks, order.limit)
        level = side.get(key)
        if level is None:
            level = side[key] = deque()
        level.append(order)

    def remove(self, order: Order) -> None:
        """Remove a resting order."""
        del self.orders[order.order_id]
        side, key = (self.bids, -order.limit) if order.buy else (self.asks, order.limit)
        level = side[key]
        level.remove(order)
        if not level:
            del side[key]

    def match(self, taker: Order, budget: int = -1, lot: int = 1) -> MatchResult:
        """Match an incoming order against the opposite side in price-time priority; return the
        fills, and the resting orders of the same account, which expire. `budget` and `lot` are not
        supported.
        """
        side = self.asks if taker.buy else self.bids
        fills: list[Fill] = []
        expired: list[Order] = []
        while taker.leaves_qty and side:
            key, level = side.peekitem(0)
            price = abs(key)
            if taker.limit and (price > taker.limit if taker.buy else price < taker.limit):
                break
            while taker.leaves_qty and level:
                maker = level[0]
                if maker.account == taker.account:
                    level.popleft()
                    del self.orders[maker.order_id]
                    expired.append(maker)
                    continue
                size = min(maker.leaves_qty, taker.leaves_qty)
                taker.leaves_qty -= size
                maker.leaves_qty -= size
                fills.append((maker, price, size))
                if not maker.leaves_qty:
                    level.popleft()
                    del self.orders[maker.order_id]
            if not level:
                del side[key]
        return MatchResult(fills, expired, False)
