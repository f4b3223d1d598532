"""Index rebalancing: keeps the opening weights of its coins, looking once an hour."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.messages.orders import BUY, SELL
from trading.trading_engine.strategy import Strategy
from trading.units import HOUR, PPM, SCALE

#: Drift of a weight, in ppm of the portfolio, that is worth a trade.
DRIFT = 10_000
MAX_TRADE = 25_000 * SCALE


class IndexRebalancing(Strategy):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._targets: dict[str, int] = {}
        self._looked = 0

    def on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        if now // HOUR == self._looked or len(self.desk.tops) < len(self.desk.symbols):
            return
        self._looked = now // HOUR
        values = {s: self._value(s) for s in self.desk.symbols}
        total = sum(values.values())
        if not total:
            return
        if not self._targets:
            self._aim(values, total)
            return
        for symbol, value in values.items():
            gap = total * self._targets[symbol] // PPM - value
            if abs(gap) * PPM > DRIFT * total:
                side = BUY if gap > 0 else SELL
                self.desk.take(symbol, side, min(abs(gap), MAX_TRADE), out)

    def watch(self, top: BookTop, now: int) -> None:
        if len(self.desk.tops) < len(self.desk.symbols):
            return
        self._looked = now // HOUR
        if not self._targets:
            values = {s: self._value(s) for s in self.desk.symbols}
            self._aim(values, sum(values.values()))

    def state(self) -> dict[str, Any]:
        return {"targets": dict(self._targets), "looked": self._looked}

    def _aim(self, values: dict[str, int], total: int) -> None:
        if total:
            self._targets = {s: v * PPM // total for s, v in values.items()}

    def _value(self, symbol: str) -> int:
        base = self.desk.instruments[symbol].base
        return self.desk.held[base] * self.desk.mid(symbol) // SCALE
