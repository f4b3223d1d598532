"""The order book of one symbol and its matching, by price-time priority. Knows no balances.

A side keeps its prices in a sorted list whose last element is the best price, so that the frequent
operations (match at the best price, add near it, remove it) work at the cheap end of the list. A
level is a dict from order id to order: insertion order is time priority, and a cancel finds its
order without a search. Prices and quantities are integers in units of 1e-8.
"""

from bisect import bisect_left

import msgspec

from trading.messages.orders import BUY, SELL, OrderType, SelfTradePrevention, Side, TimeInForce

# By short names for the inner loops: to look a member up in its class takes longer.
_NONE = SelfTradePrevention.NONE
_EXPIRE_MAKER = SelfTradePrevention.EXPIRE_MAKER
_EXPIRE_TAKER = SelfTradePrevention.EXPIRE_TAKER


class Order:
    """An accepted order, while it is matched and while it rests in a book.

    ``qty`` is the ordered quantity, ``leaves_qty`` the part of it that is not filled yet (FIX:
    LeavesQty), and ``cum_quote`` the notional of the fills so far, in units of the quote asset.
    ``limit`` is the limit price, 0 for a MARKET order. ``stp`` is the order's mode of self-trade
    prevention.
    """

    __slots__ = (
        "account",
        "buy",
        "client_order_id",
        "cum_quote",
        "leaves_qty",
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
        kind: str = OrderType.LIMIT,
        time_in_force: str = TimeInForce.GTC,
        stp: str = SelfTradePrevention.EXPIRE_MAKER,
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.client_order_id = client_order_id
        self.symbol = symbol
        self.buy = buy
        self.qty = qty
        self.leaves_qty = qty
        self.limit = limit
        self.type = kind
        self.time_in_force = time_in_force
        self.stp = stp
        self.cum_quote = 0

    @property
    def side(self) -> Side:
        """Return the side as messages have it."""
        return BUY if self.buy else SELL


#: Orders at one price by order id, oldest first.
Level = dict[int, Order]
#: A maker that was hit, the price (its limit) and the quantity.
Fill = tuple[Order, int, int]


class MatchResult(msgspec.Struct, gc=False):
    """The outcome of one call of :meth:`Book.match`.

    ``fills`` are in the order in which they happened. ``expired_makers`` are the resting orders
    that self-trade prevention removed from the book, and ``taker_expired`` tells whether it expired
    the incoming order as well, which then must not rest.
    """

    fills: list[Fill]
    expired_makers: list[Order]
    taker_expired: bool


class BookSide:
    """The bids or the asks of a book.

    Levels are stored by key: the price of a bid, the negated price of an ask. The best key is
    therefore the highest on both sides. ``keys`` is sorted in ascending order and has exactly the
    keys of ``levels``; no level is empty between two calls.
    """

    __slots__ = ("keys", "levels")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.levels: dict[int, Level] = {}

    def add(self, key: int, order: Order) -> None:
        """Append ``order`` to the level at ``key``, which is created if there is none."""
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
        """Remove an order, and its level if it was the last one there. Raises KeyError."""
        level = self.levels[key]
        del level[order_id]
        if not level:
            self.drop(key)

    def drop(self, key: int) -> None:
        """Delete the empty level at ``key``."""
        del self.levels[key]
        keys = self.keys
        if keys[-1] == key:
            keys.pop()
        else:
            del keys[bisect_left(keys, key)]


class Book:
    """Keeps the resting orders of one ``symbol`` and matches incoming orders against them.

    ``orders`` has every resting order of both sides by its order id.
    """

    __slots__ = ("asks", "bids", "orders", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.bids = BookSide()
        self.asks = BookSide()
        self.orders: dict[int, Order] = {}

    @property
    def best_bid(self) -> int:
        """Return the highest bid price, or 0 if there are no bids."""
        keys = self.bids.keys
        return keys[-1] if keys else 0

    @property
    def best_ask(self) -> int:
        """Return the lowest ask price, or 0 if there are no asks."""
        keys = self.asks.keys
        return -keys[-1] if keys else 0

    def rest(self, order: Order) -> None:
        """Add the unfilled rest of a limit order to the book, last in time at its price."""
        self.orders[order.order_id] = order
        if order.buy:
            self.bids.add(order.limit, order)
        else:
            self.asks.add(-order.limit, order)

    def remove(self, order: Order) -> None:
        """Remove a resting order. Raises KeyError if it does not rest in this book."""
        del self.orders[order.order_id]
        if order.buy:
            self.bids.remove(order.limit, order.order_id)
        else:
            self.asks.remove(-order.limit, order.order_id)

    def crosses(self, order: Order) -> bool:
        """Return whether a limit order would match at once, self-trades included."""
        if order.buy:
            keys = self.asks.keys
            return bool(keys) and -keys[-1] <= order.limit
        keys = self.bids.keys
        return bool(keys) and keys[-1] >= order.limit

    def available(self, order: Order) -> int:
        """Return the quantity that ``order`` could fill now, at most its own unfilled quantity.

        Resting orders of its own account count only if its self-trade prevention is NONE.
        """
        side = self.asks if order.buy else self.bids
        worst_key = _worst_key(order)
        total = 0
        for key in reversed(side.keys):
            if key < worst_key or total >= order.leaves_qty:
                break
            for maker in side.levels[key].values():
                if maker.account != order.account or order.stp == _NONE:
                    total += maker.leaves_qty
        return min(total, order.leaves_qty)

    def match(self, taker: Order, budget: int = -1, lot: int = 1) -> MatchResult:
        """Match ``taker`` against the other side, best price first, oldest order first.

        ``budget`` bounds what a MARKET buy may spend, in quote units times 1e8 (the scale of price
        times quantity); quantities are then cut to whole multiples of ``lot``. -1 means no bound.
        Filled and expired makers leave the book, and ``leaves_qty`` of taker and makers is updated.
        The taker is not put into the book: see :meth:`rest`. Balances and ``cum_quote`` are the
        caller's.
        """
        side = self.asks if taker.buy else self.bids
        keys, levels, orders = side.keys, side.levels, self.orders
        worst_key = _worst_key(taker)
        left, account, stp = taker.leaves_qty, taker.account, taker.stp
        fills: list[Fill] = []
        expired_makers: list[Order] = []
        taker_expired = False
        while left and keys:
            key = keys[-1]
            if key < worst_key:
                break
            price = -key if key < 0 else key
            level = levels[key]
            stopped = False
            while left and level:
                order_id = next(iter(level))
                maker = level[order_id]
                if maker.account == account and stp != _NONE:
                    if stp != _EXPIRE_TAKER:
                        del level[order_id], orders[order_id]
                        expired_makers.append(maker)
                    if stp != _EXPIRE_MAKER:
                        taker_expired = stopped = True
                        break
                    continue
                size = maker.leaves_qty
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
                maker.leaves_qty -= size
                fills.append((maker, price, size))
                if not maker.leaves_qty:
                    del level[order_id], orders[order_id]
                if stopped:
                    break
            if not level:
                side.drop(key)
            if stopped:
                break
        taker.leaves_qty = left
        return MatchResult(fills, expired_makers, taker_expired)


def _worst_key(order: Order) -> int:
    """Return the lowest key of the other side that the order accepts; a MARKET order takes all."""
    if not order.limit:
        return -(1 << 200)
    return -order.limit if order.buy else order.limit
