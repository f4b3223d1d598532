"""What the four kinds of strategies have in common."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.trading_engine.desk import Desk
from trading.units import SCALE, SECOND

#: A market order's worth of each step of a directional strategy, in quote units of 1e-8.
STEP = 10_000 * 100_000_000


class Strategy:
    """Looks at books, sends orders through its desk. ``tick``: microseconds between two books."""

    def __init__(self, desk: Desk, tick: int = SECOND) -> None:
        self.desk = desk
        self.tick = tick

    def on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        """A new best bid and ask of one of the desk's symbols; both sides are there."""

    def watch(self, top: BookTop, now: int) -> None:
        """The same while another engine trades for the account: learn, and send nothing."""

    def reset(self) -> None:
        """The desk's orders are gone: killed, or the connection was lost."""

    def take_over(self, now: int) -> None:
        """From now on this engine trades for the account: what the former one has done shows in
        what the desk holds.
        """

    def state(self) -> dict[str, Any]:
        return {}

    def steps_held(self, symbol: str, mid: int, most: int) -> int:
        """How many steps have led from the opening balance to what is held, from -most to most."""
        base = self.desk.instruments[symbol].base
        gained = (self.desk.held[base] - self.desk.opening[base]) * mid // SCALE
        return max(-most, min(most, (gained + STEP // 2) // STEP))


class Average:
    """Exponential moving average of integer prices; ``seconds`` is its time constant."""

    __slots__ = ("_share", "value")

    def __init__(self, seconds: int, tick: int) -> None:
        self._share = max(1, seconds * SECOND // tick)
        self.value = 0

    def add(self, price: int) -> int:
        if not self.value:
            self.value = price
        else:
            self.value += (price - self.value) // self._share
        return self.value
