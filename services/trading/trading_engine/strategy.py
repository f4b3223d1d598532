"""The base class of the strategies, and the moving average that two of them use."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.trading_engine.desk import Desk
from trading.units import SCALE, SECOND

#: Value of one step of a directional strategy, in 1e-8 of the quote asset.
STEP = 10_000 * 100_000_000


class Strategy:
    """Decides on orders from book updates, and sends them through its ``desk``.

    ``tick`` is the interval of book updates in simulated microseconds. While another engine trades
    for the account, only :meth:`watch` is called.
    """

    def __init__(self, desk: Desk, tick: int = SECOND) -> None:
        self.desk = desk
        self.tick = tick

    def on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        """React to a new book of one of the desk's symbols; neither side is empty."""

    def watch(self, top: BookTop, now: int) -> None:
        """Update averages and the like from a new book without sending orders."""

    def reset(self) -> None:
        """Forget the own orders: they are canceled, or their connection was lost."""

    def take_over(self, now: int) -> None:
        """Prepare to trade for the account from ``now`` on.

        What the former owner did is to be concluded from the balances of the desk.
        """

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {}

    def steps_held(self, symbol: str, mid: int, most: int) -> int:
        """Return by how many steps, valued at ``mid``, the balance differs from the opening one.

        The result is between -most and most.
        """
        base = self.desk.instruments[symbol].base
        value_change = (self.desk.held[base] - self.desk.opening[base]) * mid // SCALE
        return max(-most, min(most, (value_change + STEP // 2) // STEP))


class Average:
    """An exponential moving average of integer prices.

    ``seconds`` is its time constant in simulated time, ``tick`` the interval of prices in
    microseconds. ``value`` is the current average, 0 before the first price.
    """

    __slots__ = ("_share", "value")

    def __init__(self, seconds: int, tick: int) -> None:
        self._share = max(1, seconds * SECOND // tick)
        self.value = 0

    def add(self, price: int) -> int:
        """Add a price and return the new average."""
        if not self.value:
            self.value = price
        else:
            self.value += (price - self.value) // self._share
        return self.value
