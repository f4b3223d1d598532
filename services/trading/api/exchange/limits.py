"""Request weights and order counts. As on Binance, both are counted in fixed windows of wall time:
weight by client address, orders by account.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from trading.api.exchange.errors import BinanceError

#: Weight that one address may use in a minute.
WEIGHT_PER_MINUTE = 6000
#: Orders that one account may send in 10 seconds, and in a day.
ORDERS_PER_10_SECONDS = 100
ORDERS_PER_DAY = 200_000
#: Orders that one account may have open on one symbol.
OPEN_ORDERS = 10_000
#: Weight above the limit that is answered with 429. An address that uses more than that is banned
#: for BAN_SECONDS wall seconds and answered with 418.
BAN_MARGIN = 1000
BAN_SECONDS = 120
#: Addresses whose weight is tracked; when there are more, all counts start anew.
_MAX_TRACKED = 10_000


class OrderCounts(NamedTuple):
    """Orders that an account has sent in the current 10-second window and on the current day."""

    per_10_seconds: int
    per_day: int


class _Window:
    """A counter that starts from 0 whenever the number of the window changes."""

    __slots__ = ("count", "number")

    def __init__(self) -> None:
        self.number = -1
        self.count = 0

    def add(self, amount: int, number: int) -> int:
        """Add `amount` in the window numbered `number`, and return the window's sum."""
        if number != self.number:
            self.number, self.count = number, 0
        self.count += amount
        return self.count


class Limits:
    """Counts weight and orders, and refuses what exceeds a limit.

    The limits can be raised for load tests. `clock` returns monotonic seconds and numbers the
    windows; `wall` returns Unix seconds, in which clients are told the end of a ban.
    """

    def __init__(
        self,
        *,
        weight_per_minute: int = WEIGHT_PER_MINUTE,
        orders_per_10_seconds: int = ORDERS_PER_10_SECONDS,
        open_orders: int = OPEN_ORDERS,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.weight_per_minute = weight_per_minute
        self.orders_per_10_seconds = orders_per_10_seconds
        self.open_orders = open_orders
        self._clock = clock
        self._wall = wall
        self._weights: dict[str, _Window] = {}
        self._orders: dict[str, tuple[_Window, _Window]] = {}
        self._banned: dict[str, float] = {}

    def count_request(self, address: str, weight: int) -> int:
        """Count a request of `weight` for `address` and return the weight that the address has used
        in this minute. Raises BinanceError: status 429 above the limit, 418 while the address is
        banned because it went on sending.
        """
        now = self._clock()
        banned = self._banned.get(address, 0.0)
        if banned > now:
            until = int((self._wall() + banned - now) * 1000)
            raise BinanceError(
                -1003,
                f"Way too much request weight used; IP banned until {until}. Please use WebSocket"
                " Streams for live updates to avoid bans.",
                418,
                int(banned - now) + 1,
            )
        if len(self._weights) > _MAX_TRACKED:
            self._weights.clear()
        used = self._weights.setdefault(address, _Window()).add(weight, int(now // 60))
        if used > self.weight_per_minute + BAN_MARGIN:
            self._banned[address] = now + BAN_SECONDS
        if used > self.weight_per_minute:
            raise BinanceError(
                -1003,
                f"Too much request weight used; current limit is {self.weight_per_minute} request"
                " weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid"
                " polling the API.",
                429,
                60 - int(now % 60),
                used,
            )
        return used

    def order_counts(self, account: str) -> OrderCounts:
        """Return the orders that `account` has sent in the current windows."""
        now = self._clock()
        short, day = self._orders.setdefault(account, (_Window(), _Window()))
        return OrderCounts(short.add(0, int(now // 10)), day.add(0, int(now // 86400)))

    def count_order(self, account: str) -> OrderCounts:
        """Count an order of `account` and return its counts. Raises BinanceError with status 429
        above a limit.
        """
        now = self._clock()
        short, day = self._orders.setdefault(account, (_Window(), _Window()))
        order_counts = OrderCounts(short.add(1, int(now // 10)), day.add(1, int(now // 86400)))
        if (
            order_counts.per_10_seconds > self.orders_per_10_seconds
            or order_counts.per_day > ORDERS_PER_DAY
        ):
            limit, interval, wait = self.orders_per_10_seconds, "10 SECOND", 10 - int(now % 10)
            if order_counts.per_day > ORDERS_PER_DAY:
                limit, interval, wait = ORDERS_PER_DAY, "1 DAY", 86400 - int(now % 86400)
            raise BinanceError(
                -1015,
                f"Too many new orders; current limit is {limit} orders per {interval}.",
                429,
                wait,
            )
        return order_counts
