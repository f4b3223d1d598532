"""Momentum: buys in upward and sells in downward trends, measured by two moving averages."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.messages.orders import BUY, SELL, Side
from trading.trading_engine.strategy import STEP, Average, Strategy
from trading.units import MINUTE, PPM, SCALE

#: Time constants of the two averages, in seconds.
FAST, SLOW = 120, 1_800
#: Least distance of the fast average from the slow one, in ppm, that is a trend.
THRESHOLD = 4_000
#: Steps in one direction, and the time between two of them.
MAX_STEPS = 8
PAUSE = 2 * MINUTE


class Momentum(Strategy):
    """Buys in steps in an upward trend, sells in steps in a downward one, and pauses in between."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._averages = {
            s: (Average(FAST, self.tick), Average(SLOW, self.tick)) for s in self.desk.symbols
        }
        # Net steps by symbol. A symbol is missing after a takeover until its price is known, from
        # which the steps are computed.
        self._steps = dict.fromkeys(self.desk.symbols, 0)
        self._last_step_at = dict.fromkeys(self.desk.symbols, 0)

    def on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        """Buy or sell one step in the direction of the trend; sell only what the account owns."""
        symbol = top.symbol
        mid = (top.bid + top.ask) // 2
        trend = self._trend(symbol, mid)
        if now - self._last_step_at[symbol] < PAUSE:
            return
        if symbol not in self._steps:
            self._steps[symbol] = self.steps_held(symbol, mid, MAX_STEPS)
        steps = self._steps[symbol]
        if trend > THRESHOLD and steps < MAX_STEPS:
            self._step(symbol, BUY, 1, now, out)
        elif trend < -THRESHOLD and steps > -MAX_STEPS and self._owns(symbol, mid):
            self._step(symbol, SELL, -1, now, out)

    def watch(self, top: BookTop, now: int) -> None:
        """Update the averages of the symbol without sending orders."""
        self._trend(top.symbol, (top.bid + top.ask) // 2)

    def take_over(self, now: int) -> None:
        """Pause, and compute the steps from the position at the next book of each symbol."""
        self._steps.clear()
        self._last_step_at = dict.fromkeys(self.desk.symbols, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "averages": {s: [a.value for a in pair] for s, pair in self._averages.items()},
            "steps": dict(self._steps),
            "acted": dict(self._last_step_at),
        }

    def _trend(self, symbol: str, mid: int) -> int:
        """Add a mid price, and return the fast average's distance from the slow one in ppm."""
        fast, slow = self._averages[symbol]
        return (fast.add(mid) - slow.add(mid)) * PPM // slow.value

    def _owns(self, symbol: str, mid: int) -> bool:
        """Return whether the balance of the base asset is worth more than one step."""
        base = self.desk.instruments[symbol].base
        return self.desk.held[base] * mid // SCALE > STEP

    def _step(self, symbol: str, side: Side, sign: int, now: int, out: list[Message]) -> None:
        self.desk.send_ioc(symbol, side, STEP, out)
        self._steps[symbol] += sign
        self._last_step_at[symbol] = now
