"""Public market data of the venue: order books, trades, klines, and the exchange information."""

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
from trading.messages.market import SymbolStatus
from trading.messages.orders import Trade

#: End of a period that has none, microseconds.
_FOREVER = 2**60
#: What `symbolStatus` may name: no symbol here is ever in the last two, which Binance has.
_STATUSES = (*SymbolStatus, "BREAK", "END_OF_DAY")


class Market:
    """Answers requests for public market data, and keeps the books that depth streams are made
    from.

    The methods that take only parameters are endpoints: they return what is encoded as JSON and
    raise BinanceError. `now` returns the simulated time in microseconds.
    """

    def __init__(self, gateway: Gateway, limits: Limits, now: Callable[[], int]) -> None:
        self.gateway = gateway
        self.now = now
        self._limits = limits
        self.books: dict[str, DepthBook] = {}
        self._listeners: list[Callable[[DepthUpdate], None]] = []

    def listen(self, listener: Callable[[DepthUpdate], None]) -> None:
        """Call `listener` with every change of a book that :meth:`refresh` notices."""
        self._listeners.append(listener)

    def refresh(self, symbol: str) -> DepthBook:
        """Update the published copy of a symbol's book to the venue's, pass the changes to
        the listeners, and return the copy.
        """
        book = self.books.get(symbol)
        if book is None:
            book = self.books[symbol] = DepthBook(symbol, wall_us() // 1000)
        update = book.refresh(self.gateway.exchange.engine.books[symbol])
        if update is not None:
            for listener in self._listeners:
                listener(update)
        return book

    def newest_klines(self, symbol: str, interval: str) -> list[Kline]:
        """Return the last two klines of `interval`, or fewer if there are not so many; oldest
        first.
        """
        minutes = self.gateway.history.klines[symbol]
        if not minutes:
            return []
        start = klines.start_of(interval, minutes[-1].start)
        before = klines.start_of(interval, start - 1)
        recent: list[Kline] = []
        for minute in reversed(minutes):
            if minute.start < before:
                break
            recent.append(minute)
        return klines.merged(reversed(recent), interval)[-2:]

    def symbols(self, params: Params) -> list[str]:
        """Return the symbols that a request is about: those named with `symbol` or `symbols`, else
        all; without those whose status differs from `symbolStatus`. Raises BinanceError for an
        unknown symbol or status.
        """
        engine = self.gateway.exchange.engine
        requested = params.symbols()
        for symbol in requested or ():
            if symbol not in engine.instruments:
                raise errors.INVALID_SYMBOL
        symbols = list(engine.instruments) if requested is None else requested
        if "symbolStatus" in params:
            status = params.choice("symbolStatus", _STATUSES, errors.INVALID_STATUS)
            symbols = [s for s in symbols if engine.status[s] == status]
            if not symbols and "symbol" in params:
                raise errors.INVALID_SYMBOL
        return symbols

    async def ping(self, params: Params) -> JSON:
        """Answer `GET /api/v3/ping`."""
        return {}

    async def time(self, params: Params) -> JSON:
        """Answer `GET /api/v3/time` with the wall clock's time: signatures are checked
        against it.
        """
        return {"serverTime": stamp(wall_us())}

    async def exchange_info(self, params: Params) -> JSON:
        """Answer `GET /api/v3/exchangeInfo`."""
        if "symbolStatus" in params and ("symbol" in params or "symbols" in params):
            raise errors.BAD_COMBINATION
        symbols = self.symbols(params)
        engine = self.gateway.exchange.engine
        return exchange_info(engine.universe, engine.status, self._limits, symbols, wall_us())

    async def depth(self, params: Params) -> JSON:
        """Answer `GET /api/v3/depth` with the best levels of a book."""
        symbol = self.gateway.symbol(params)
        limit = params.limit(100, 5000)
        book = self.refresh(symbol)
        return book_levels(book, limit)

    async def trades(self, params: Params) -> list[JSON]:
        """Answer `GET /api/v3/trades` and `historicalTrades`: the newest trades, or those from
        `fromId` on.
        """
        symbol, limit = self.gateway.symbol(params), params.limit()
        trades: Sequence[Trade] = self.gateway.history.trades[symbol]
        if "fromId" in params:
            first = params.integer("fromId")
            selected = list(islice((t for t in trades if t.trade_id >= first), limit))
        else:
            selected = list(trades)[-limit:]
        return [formats.public_trade(t) for t in selected]

    async def aggregate_trades(self, params: Params) -> list[JSON]:
        """Answer `GET /api/v3/aggTrades`. Every trade is an aggregate of its own."""
        symbol, limit = self.gateway.symbol(params), params.limit()
        first, last = params.time("startTime", 0), params.time("endTime", _FOREVER)
        trades = [t for t in self.gateway.history.trades[symbol] if first <= t.event_time <= last]
        if "fromId" in params:
            from_id = params.integer("fromId")
            trades = [t for t in trades if t.trade_id >= from_id]
        ahead = "fromId" in params or "startTime" in params
        selected = trades[:limit] if ahead else trades[-limit:]
        return [formats.aggregate_trade(t) for t in selected]

    async def klines(self, params: Params) -> list[list[Any]]:
        """Answer `GET /api/v3/klines` and `uiKlines`: the newest klines, or the first from
        `startTime` on.
        """
        symbol = self.gateway.symbol(params)
        interval = params.choice("interval", klines.INTERVALS, errors.INVALID_INTERVAL)
        limit = params.limit()
        first, last = params.time("startTime", 0), params.time("endTime", _FOREVER)
        bars = klines.merged(self.gateway.history.klines[symbol], interval)
        selected = [b for b in bars if first <= b.start <= last]
        selected = selected[:limit] if "startTime" in params else selected[-limit:]
        return [formats.kline(b, klines.end_of(interval, b.start)) for b in selected]


def book_levels(book: DepthBook, limit: int) -> JSON:
    """Return the best `limit` levels of a book as `GET /api/v3/depth` does."""
    bids, asks = book.top(limit)
    return {
        "lastUpdateId": book.update_id,
        "bids": [[decimal(p), decimal(q)] for p, q in bids],
        "asks": [[decimal(p), decimal(q)] for p, q in asks],
    }
