"""Mean reversion: buys below and sells above the long average (for stablecoins: the peg)."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.messages.orders import BUY, SELL, Side
from trading.trading_engine.strategy import STEP, Average, Strategy
from trading.units import MINUTE, PPM, SCALE

#: Time constant of the long average, in seconds.
LONG = 3_600
#: Distance from the mean, in ppm, that triggers a step; for coins and for stablecoins.
COIN_THRESHOLD, STABLE_THRESHOLD = 12_000, 4_000
#: Steps in one direction, and the time between two of them.
MAX_STEPS = 5
PAUSE = 5 * MINUTE


class MeanReversion(Strategy):
    """Buys in steps below the mean and sells in steps above it, with a pause between steps."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        desk = self.desk
        self._means = {s: Average(LONG, self.tick) for s in desk.symbols}
        # Net steps by symbol. A symbol is missing after a takeover until its price is known, from
        # which the steps are computed.
        self._steps = dict.fromkeys(desk.symbols, 0)
        self._last_step_at = dict.fromkeys(desk.symbols, 0)
        self._stable = {s: desk.instruments[s].base.startswith("USD") for s in desk.symbols}

    def on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        """Buy or sell one step if the price is far enough from the mean.

        Steps that were bought are sold as soon as the price is above the mean.
        """
        symbol = top.symbol
        mid = (top.bid + top.ask) // 2
        mean = self._mean(symbol, mid)
        if now - self._last_step_at[symbol] < PAUSE:
            return
        deviation = (mid - mean) * PPM // mean
        threshold = STABLE_THRESHOLD if self._stable[symbol] else COIN_THRESHOLD
        if symbol not in self._steps:
            self._steps[symbol] = self.steps_held(symbol, mid, MAX_STEPS)
        steps = self._steps[symbol]
        if deviation < -threshold and steps < MAX_STEPS:
            self._step(symbol, BUY, 1, now, out)
        elif (steps > 0 and deviation > 0) or (deviation > threshold and steps > -MAX_STEPS):
            self._step(symbol, SELL, -1, now, out)

    def watch(self, top: BookTop, now: int) -> None:
        """Update the averages of the symbol without sending orders."""
        self._mean(top.symbol, (top.bid + top.ask) // 2)

    def take_over(self, now: int) -> None:
        """Pause, and compute the steps from the position at the next book of each symbol."""
        self._steps.clear()
        self._last_step_at = dict.fromkeys(self.desk.symbols, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "means": {s: m.value for s, m in self._means.items()},
            "steps": dict(self._steps),
            "acted": dict(self._last_step_at),
        }

    def _mean(self, symbol: str, mid: int) -> int:
        """Add a mid price, and return what it should return to."""
        return SCALE if self._stable[symbol] else self._means[symbol].add(mid)

    def _step(self, symbol: str, side: Side, sign: int, now: int, out: list[Message]) -> None:
        self.desk.send_ioc(symbol, side, STEP, out)
        self._steps[symbol] += sign
        self._last_step_at[symbol] = now
