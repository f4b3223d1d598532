"""Market making: quotes a bid and an ask close to the mid price, and moves them with it."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.messages.orders import BUY, SELL
from trading.trading_engine.strategy import Strategy
from trading.units import PPM, SCALE

#: Distance of bid and ask from the mid price, in ppm.
HALF_SPREAD = 200
#: Quotes are replaced when the mid price has moved by more than this, in ppm.
TOLERANCE = 250
#: Value of one quote, in 1e-8 of the quote asset.
QUOTE_VALUE = 3_000 * SCALE
#: Change of inventory since the opening, in 1e-8 of the quote asset at the mid price, beyond which
#: the side that would add to it stops quoting.
MAX_INVENTORY = 60_000 * SCALE


class MarketMaking(Strategy):
    """Keeps one bid and one ask per symbol, within limits of the inventory."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: By symbol: mid price of the quotes, client order ids of bid and ask.
        self._quotes: dict[str, tuple[int, str, str]] = {}
        self._frozen: dict[str, int] = {}

    def on_top(self, top: BookTop, now: int, out: list[Message]) -> None:
        """Replace both quotes if one is gone or the mid price has moved by more than TOLERANCE."""
        desk, symbol = self.desk, top.symbol
        mid = self._reference(top)
        quoted_mid, bid, ask = self._quotes.get(symbol, (0, "", ""))
        both_open = bid in desk.open and ask in desk.open
        if both_open and abs(mid - quoted_mid) * PPM <= TOLERANCE * quoted_mid:
            return
        desk.cancel(bid, out)
        desk.cancel(ask, out)
        instrument = desk.instruments[symbol]
        change = desk.held[instrument.base] - desk.opening[instrument.base]
        inventory = change * mid // SCALE
        offset = mid * HALF_SPREAD // PPM
        bid = ask = ""
        if inventory < MAX_INVENTORY:
            bid = desk.quote(symbol, BUY, mid - offset, QUOTE_VALUE, out)
        if inventory > -MAX_INVENTORY:
            ask = desk.quote(symbol, SELL, mid + offset, QUOTE_VALUE, out)
        self._quotes[symbol] = (mid, bid or ask, ask or bid)

    def watch(self, top: BookTop, now: int) -> None:
        """Freeze the price under stale-quotes, as the engine that trades does."""
        self._reference(top)

    def reset(self) -> None:
        """Forget the quotes, so that the next book places new ones."""
        self._quotes.clear()

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "quotes": {s: list(q) for s, q in self._quotes.items()},
            "frozen": dict(self._frozen),
        }

    def _reference(self, top: BookTop) -> int:
        """Return the price to quote around: the mid price, or a frozen one under stale-quotes."""
        mid = (top.bid + top.ask) // 2
        if self.desk.malfunction.mode == "stale-quotes":
            return self._frozen.setdefault(top.symbol, mid)
        if self._frozen:
            self._frozen.clear()
        return mid
