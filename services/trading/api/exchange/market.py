"""Public market data of the venue: books, trades, klines, and what it says of itself."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from trading.api.exchange import errors, formats, klines
from trading.api.exchange.depth import DepthBook, DepthUpdate
from trading.api.exchange.formats import JSON, decimal, stamp
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.history import Kline
from trading.api.exchange.info import exchange_info
from trading.api.exchange.keys import wall_us
from trading.api.exchange.limits import Limits
from trading.api.exchange.params import Params
from trading.messages.orders import Trade

_FOREVER = 2**60
_STATUSES = ("TRADING", "HALT", "BREAK", "CANCEL_ONLY", "END_OF_DAY")


class Market:
    """Its methods answer ``GET`` requests of the same name: parameters to JSON. ``now``: simulated
    time.
    """

    def __init__(self, gateway: Gateway, limits: Limits, now: Callable[[], int]) -> None:
        self.gateway = gateway
        self.now = now
        self._limits = limits
        self.books: dict[str, DepthBook] = {}
        self.on_update: Callable[[DepthUpdate], None] | None = None

    def refresh(self, symbol: str) -> DepthBook:
        """Catch the followers' book up with the venue's, and tell them."""
        book = self.books.get(symbol)
        if book is None:
            book = self.books[symbol] = DepthBook(symbol, wall_us() // 1000)
        update = book.refresh(self.gateway.exchange.engine.books[symbol])
        if update is not None and self.on_update is not None:
            self.on_update(update)
        return book

    def newest(self, symbol: str, interval: str) -> list[Kline]:
        """The last two klines of ``interval``, as far as there are any."""
        minutes = self.gateway.history.klines[symbol]
        if not minutes:
            return []
        start = klines.start_of(interval, minutes[-1].start)
        before = klines.start_of(interval, start - 1)
        wanted: list[Kline] = []
        for minute in reversed(minutes):
            if minute.start < before:
                break
            wanted.append(minute)
        return klines.merged(reversed(wanted), interval)[-2:]

    def symbols(self, params: Params) -> list[str]:
        """Those asked for with ``symbol`` or ``symbols``, else all; less those whose status is
        not ``symbolStatus``. Raises BinanceError.
        """
        engine = self.gateway.exchange.engine
        asked = params.symbols()
        for symbol in asked or ():
            if symbol not in engine.instruments:
                raise errors.INVALID_SYMBOL
        found = list(engine.instruments) if asked is None else asked
        if "symbolStatus" in params:
            wanted = params.choice("symbolStatus", _STATUSES, errors.INVALID_STATUS)
            found = [s for s in found if engine.status[s] == wanted]
            if not found and "symbol" in params:
                raise errors.INVALID_SYMBOL
        return found

    async def nothing(self, params: Params) -> JSON:
        return {}

    async def time(self, params: Params) -> JSON:
        return {"serverTime": stamp(wall_us())}

    async def exchange_info(self, params: Params) -> JSON:
        if "symbolStatus" in params and ("symbol" in params or "symbols" in params):
            raise errors.BAD_COMBINATION
        symbols = self.symbols(params)
        engine = self.gateway.exchange.engine
        return exchange_info(engine.universe, engine.status, self._limits, symbols, wall_us())

    async def depth(self, params: Params) -> JSON:
        symbol = self.gateway.symbol(params)
        limit = params.limit(100, 5000)
        book = self.refresh(symbol)
        return book_levels(book, limit)

    async def trades(self, params: Params) -> list[JSON]:
        symbol, limit = self.gateway.symbol(params), params.limit()
        trades: Sequence[Trade] = self.gateway.history.trades[symbol]
        if "fromId" in params:
            first = params.integer("fromId")
            found = list(islice((t for t in trades if t.trade_id >= first), limit))
        else:
            found = list(trades)[-limit:]
        return [formats.public_trade(t) for t in found]

    async def aggregate_trades(self, params: Params) -> list[JSON]:
        """Every trade is an aggregate of its own."""
        symbol, limit = self.gateway.symbol(params), params.limit()
        first, last = params.time("startTime", 0), params.time("endTime", _FOREVER)
        trades = [t for t in self.gateway.history.trades[symbol] if first <= t.event_time <= last]
        if "fromId" in params:
            from_id = params.integer("fromId")
            trades = [t for t in trades if t.trade_id >= from_id]
        ahead = "fromId" in params or "startTime" in params
        found = trades[:limit] if ahead else trades[-limit:]
        return [formats.aggregate_trade(t) for t in found]

    async def klines(self, params: Params) -> list[list[Any]]:
        symbol = self.gateway.symbol(params)
        interval = params.choice("interval", klines.INTERVALS, errors.INVALID_INTERVAL)
        limit = params.limit()
        first, last = params.time("startTime", 0), params.time("endTime", _FOREVER)
        bars = klines.merged(self.gateway.history.klines[symbol], interval)
        wanted = [b for b in bars if first <= b.start <= last]
        wanted = wanted[:limit] if "startTime" in params else wanted[-limit:]
        return [formats.kline(b, klines.end_of(interval, b.start)) for b in wanted]


def book_levels(book: DepthBook, limit: int) -> JSON:
    bids, asks = book.top(limit)
    return {
        "lastUpdateId": book.update_id,
        "bids": [[decimal(p), decimal(q)] for p, q in bids],
        "asks": [[decimal(p), decimal(q)] for p, q in asks],
    }
