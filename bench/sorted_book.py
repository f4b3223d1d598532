"""The book that people build first: levels in ``sortedcontainers.SortedDict``, queues in deques.

The same semantics as :class:`trading.exchange.book.Book`, as the yardstick for its speed.
"""

from collections import deque

from sortedcontainers import SortedDict

from trading.exchange.book import Fill, MatchResult, Order


class SortedBook:
    """Bids are keyed by negative price, so that both sides' best level comes first."""

    def __init__(self) -> None:
        self.bids: SortedDict = SortedDict()
        self.asks: SortedDict = SortedDict()
        self.orders: dict[int, Order] = {}

    def rest(self, order: Order) -> None:
        self.orders[order.order_id] = order
        side, key = (self.bids, -order.limit) if order.buy else (self.asks, order.limit)
        level = side.get(key)
        if level is None:
            level = side[key] = deque()
        level.append(order)

    def remove(self, order: Order) -> None:
        del self.orders[order.order_id]
        side, key = (self.bids, -order.limit) if order.buy else (self.asks, order.limit)
        level = side[key]
        level.remove(order)
        if not level:
            del side[key]

    def match(self, taker: Order, budget: int = -1, lot: int = 1) -> MatchResult:
        side = self.asks if taker.buy else self.bids
        fills: list[Fill] = []
        expired: list[Order] = []
        while taker.left and side:
            key, level = side.peekitem(0)
            price = abs(key)
            if taker.limit and (price > taker.limit if taker.buy else price < taker.limit):
                break
            while taker.left and level:
                maker = level[0]
                if maker.account == taker.account:
                    level.popleft()
                    del self.orders[maker.order_id]
                    expired.append(maker)
                    continue
                size = min(maker.left, taker.left)
                taker.left -= size
                maker.left -= size
                fills.append((maker, price, size))
                if not maker.left:
                    level.popleft()
                    del self.orders[maker.order_id]
            if not level:
                del side[key]
        return MatchResult(fills, expired, False)
