"""Market making: a bid and an ask a little inside everybody else's, renewed when the mid moves."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.messages.orders import BUY, SELL
from trading.trading_engine.strategy import Strategy
from trading.units import PPM, SCALE

HALF_SPREAD = 200
#: Quotes are renewed when they are off by more than this.
TOLERANCE = 250
QUOTE_VALUE = 3_000 * SCALE
#: Inventory, valued at the mid, that may be gained or lost before one side stops quoting.
MAX_INVENTORY = 60_000 * SCALE


class MarketMaking(Strategy):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._quotes: dict[str, tuple[int, str, str]] = {}
        self._frozen: dict[str, int] = {}

    def on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        desk, symbol = self.desk, top.symbol
        mid = self._price(top)
        quoted, bid, ask = self._quotes.get(symbol, (0, "", ""))
        live = bid in desk.open and ask in desk.open
        if live and abs(mid - quoted) * PPM <= TOLERANCE * quoted:
            return
        desk.cancel(bid, out)
        desk.cancel(ask, out)
        instrument = desk.instruments[symbol]
        gained = desk.held[instrument.base] - desk.opening[instrument.base]
        inventory = gained * mid // SCALE
        offset = mid * HALF_SPREAD // PPM
        bid = ask = ""
        if inventory < MAX_INVENTORY:
            bid = desk.quote(symbol, BUY, mid - offset, QUOTE_VALUE, out)
        if inventory > -MAX_INVENTORY:
            ask = desk.quote(symbol, SELL, mid + offset, QUOTE_VALUE, out)
        self._quotes[symbol] = (mid, bid or ask, ask or bid)

    def watch(self, top: BookTop, now: int) -> None:
        self._price(top)

    def reset(self) -> None:
        self._quotes.clear()

    def state(self) -> dict[str, Any]:
        return {
            "quotes": {s: list(q) for s, q in self._quotes.items()},
            "frozen": dict(self._frozen),
        }

    def _price(self, top: BookTop) -> int:
        """The mid price to quote around; an old one where the feed is thought to be at rest."""
        mid = (top.bid + top.ask) // 2
        if self.desk.malfunction.mode == "stale-quotes":
            return self._frozen.setdefault(top.symbol, mid)
        if self._frozen:
            self._frozen.clear()
        return mid
