"""One symbol's order book and its matching: price-time priority, nothing about money.

A side keeps its prices in a sorted list whose last element is the best one, so that the usual work
(match at the best price, add near it, remove it) is at the cheap end. A level is a dict from order
id to order: insertion order is time priority, and a cancel finds its order without a search.
"""

from bisect import bisect_left

from trading.messages.orders import BUY

EXPIRE_MAKER = "EXPIRE_MAKER"
EXPIRE_TAKER = "EXPIRE_TAKER"
EXPIRE_BOTH = "EXPIRE_BOTH"


class Order:
    """An order at work. ``left``: quantity not filled yet. ``limit``: price, 0 for MARKET."""

    __slots__ = (
        "account",
        "buy",
        "client_order_id",
        "cum_quote",
        "left",
        "limit",
        "order_id",
        "qty",
        "stp",
        "symbol",
        "time_in_force",
        "type",
    )

    def __init__(
        self,
        order_id: int,
        account: str,
        client_order_id: str,
        symbol: str,
        buy: bool,
        qty: int,
        limit: int,
        kind: str = "LIMIT",
        time_in_force: str = "GTC",
        stp: str = EXPIRE_MAKER,
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.client_order_id = client_order_id
        self.symbol = symbol
        self.buy = buy
        self.qty = qty
        self.left = qty
        self.limit = limit
        self.type = kind
        self.time_in_force = time_in_force
        self.stp = stp
        self.cum_quote = 0

    @property
    def side(self) -> str:
        return BUY if self.buy else "SELL"

    @property
    def filled(self) -> int:
        return self.qty - self.left


Level = dict[int, Order]
#: (maker, price, quantity)
Fill = tuple[Order, int, int]


class Side:
    """Bids or asks. Keys are prices, negated for asks: the best key is always the highest."""

    __slots__ = ("keys", "levels")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def add(self, key: int, order: Order) -> None:
        level = self.levels.get(key)
        if level is None:
            self.levels[key] = {order.order_id: order}
            keys = self.keys
            if not keys or key > keys[-1]:
                keys.append(key)
            else:
                keys.insert(bisect_left(keys, key), key)
        else:
            level[order.order_id] = order

    def remove(self, key: int, order_id: int) -> None:
        level = self.levels[key]
        del level[order_id]
        if not level:
            self.drop(key)

    def drop(self, key: int) -> None:
        """Forget an empty level."""
        del self.levels[key]
        keys = self.keys
        if keys[-1] == key:
            keys.pop()
        else:
            del keys[bisect_left(keys, key)]


class Book:
    """``orders``: everything that rests, by order id."""

    __slots__ = ("asks", "bids", "orders", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.bids = Side()
        self.asks = Side()
        self.orders: dict[int, Order] = {}

    @property
    def best_bid(self) -> int:
        """Highest bid price, 0 without one."""
        keys = self.bids.keys
        return keys[-1] if keys else 0

    @property
    def best_ask(self) -> int:
        """Lowest ask price, 0 without one."""
        keys = self.asks.keys
        return -keys[-1] if keys else 0

    def rest(self, order: Order) -> None:
        """Put what is left of an order into the book, behind everything at its price."""
        self.orders[order.order_id] = order
        if order.buy:
            self.bids.add(order.limit, order)
        else:
            self.asks.add(-order.limit, order)

    def remove(self, order: Order) -> None:
        """Take a resting order out. KeyError if it does not rest."""
        del self.orders[order.order_id]
        if order.buy:
            self.bids.remove(order.limit, order.order_id)
        else:
            self.asks.remove(-order.limit, order.order_id)

    def crosses(self, order: Order) -> bool:
        """Would a limit order match at once?"""
        if order.buy:
            keys = self.asks.keys
            return bool(keys) and -keys[-1] <= order.limit
        keys = self.bids.keys
        return bool(keys) and keys[-1] >= order.limit

    def available(self, order: Order) -> int:
        """Quantity of other accounts that ``order`` could match now, up to its own."""
        side = self.asks if order.buy else self.bids
        worst = _worst(order)
        total = 0
        for key in reversed(side.keys):
            if key < worst or total >= order.left:
                break
            for maker in side.levels[key].values():
                if maker.account != order.account or order.stp == "NONE":
                    total += maker.left
        return min(total, order.left)

    def match(self, taker: Order, budget: int = -1, lot: int = 1) -> tuple[list[Fill], list[Order]]:
        """Match ``taker`` against the other side, best price first, oldest first.

        ``budget``: quote units (times 1e8) that a MARKET buy may spend, -1: no bound; quantities
        are then cut to ``lot``. Returns the fills, and the makers that self-trade prevention
        expired; ``taker.left`` afterwards is what was not filled, and a taker that self-trade
        prevention expires has its ``stp`` set to EXPIRED.
        """
        side = self.asks if taker.buy else self.bids
        keys, levels, orders = side.keys, side.levels, self.orders
        worst = _worst(taker)
        left, account, stp = taker.left, taker.account, taker.stp
        fills: list[Fill] = []
        expired: list[Order] = []
        while left and keys:
            key = keys[-1]
            if key < worst:
                break
            price = -key if key < 0 else key
            level = levels[key]
            stopped = False
            while left and level:
                order_id = next(iter(level))
                maker = level[order_id]
                if maker.account == account and stp != "NONE":
                    if stp != EXPIRE_TAKER:
                        del level[order_id], orders[order_id]
                        expired.append(maker)
                    if stp != EXPIRE_MAKER:
                        taker.stp = "EXPIRED"
                        stopped = True
                        break
                    continue
                size = maker.left
                if size > left:
                    size = left
                if budget >= 0:
                    affordable = budget // price
                    if affordable < size:
                        size = affordable - affordable % lot
                        stopped = True
                        if not size:
                            break
                    budget -= price * size
                left -= size
                maker.left -= size
                fills.append((maker, price, size))
                if not maker.left:
                    del level[order_id], orders[order_id]
                if stopped:
                    break
            if not level:
                side.drop(key)
            if stopped:
                break
        taker.left = left
        return fills, expired


def _worst(order: Order) -> int:
    """The worst key of the other side that the order accepts."""
    if not order.limit:
        return -(1 << 200)
    return -order.limit if order.buy else order.limit
