"""Index rebalancing: restores the opening weights of its coins once an hour."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.messages.orders import BUY, SELL
from trading.trading_engine.strategy import Strategy
from trading.units import HOUR, PPM, SCALE

#: Least drift of a weight, in ppm of the portfolio, that is traded.
DRIFT = 10_000
#: Largest value of one trade, in 1e-8 of the quote asset.
MAX_TRADE = 25_000 * SCALE


class IndexRebalancing(Strategy):
    """Trades once an hour towards the weights that its coins had in the first hour.

    It waits until all its symbols have a price.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._targets: dict[str, int] = {}
        self._last_hour = 0

    def on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        """Once an hour, trade every coin whose weight has drifted from its target.

        The first time, the current weights become the targets.
        """
        if now // HOUR == self._last_hour or len(self.desk.tops) < len(self.desk.symbols):
            return
        self._last_hour = now // HOUR
        values = {s: self._value(s) for s in self.desk.symbols}
        total = sum(values.values())
        if not total:
            return
        if not self._targets:
            self._set_targets(values, total)
            return
        for symbol, value in values.items():
            gap = total * self._targets[symbol] // PPM - value
            if abs(gap) * PPM > DRIFT * total:
                side = BUY if gap > 0 else SELL
                self.desk.send_ioc(symbol, side, min(abs(gap), MAX_TRADE), out)

    def watch(self, top: BookTop, now: int) -> None:
        """Learn the targets from the same books as the engine that trades."""
        if len(self.desk.tops) < len(self.desk.symbols):
            return
        self._last_hour = now // HOUR
        if not self._targets:
            values = {s: self._value(s) for s in self.desk.symbols}
            self._set_targets(values, sum(values.values()))

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {"targets": dict(self._targets), "looked": self._last_hour}

    def _set_targets(self, values: dict[str, int], total: int) -> None:
        """Make the current weights (ppm) the targets."""
        if total:
            self._targets = {s: v * PPM // total for s, v in values.items()}

    def _value(self, symbol: str) -> int:
        """Return the value of the balance in a symbol's base asset, in 1e-8 of the quote asset."""
        base = self.desk.instruments[symbol].base
        return self.desk.held[base] * self.desk.mid(symbol) // SCALE
