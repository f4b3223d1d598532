"""Public market data of the venue: books, trades, klines, tickers."""

from collections.abc import Callable, Sequence
from typing import Any

from trading.api.exchange import errors, formats
from trading.api.exchange.depth import DepthBook, DepthUpdate
from trading.api.exchange.formats import JSON, decimal, ms
from trading.api.exchange.gateway import Gateway
from trading.api.exchange.history import Kline
from trading.api.exchange.keys import wall_ms
from trading.api.exchange.limits import Limits
from trading.api.exchange.params import Params
from trading.units import DAY, HOUR, MINUTE

INTERVALS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "8h": 8 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
}
_WRONG_INTERVAL = errors.BinanceError(-1120, "Invalid interval.")


class Market:
    """Its methods answer ``GET`` requests of the same name: parameters to JSON."""

    def __init__(self, gateway: Gateway, limits: Limits, now: Callable[[], int]) -> None:
        self._gateway = gateway
        self._limits = limits
        self._now = now
        self.books: dict[str, DepthBook] = {}
        self.on_update: Callable[[DepthUpdate], None] | None = None

    def refresh(self, symbol: str) -> None:
        """Catch the followers' book up with the venue's, and tell them."""
        book = self.books.get(symbol)
        if book is None:
            book = self.books[symbol] = DepthBook(symbol, wall_ms())
        update = book.refresh(self._gateway.exchange.engine.books[symbol])
        if update is not None and self.on_update is not None:
            self.on_update(update)

    def bars(self, symbol: str, length: int) -> list[Kline]:
        """The one-minute klines of the newest bar of ``length`` microseconds."""
        klines = self._gateway.history.klines[symbol]
        start = klines[-1].start - klines[-1].start % length if klines else 0
        found: list[Kline] = []
        for bar in reversed(klines):
            if bar.start < start:
                break
            found.append(bar)
        return found[::-1]

    async def ping(self, params: Params) -> JSON:
        return {}

    async def time(self, params: Params) -> JSON:
        return {"serverTime": wall_ms()}

    async def exchange_info(self, params: Params) -> JSON:
        engine = self._gateway.exchange.engine
        symbols = params.symbols() or list(engine.instruments)
        self._check(symbols)
        return formats.exchange_info(
            engine.universe, engine.status, self._limits, symbols, wall_ms()
        )

    async def depth(self, params: Params) -> JSON:
        symbol = self._gateway.symbol(params)
        limit = params.integer("limit", default=100, low=1, high=5000)
        self.refresh(symbol)
        bids, asks = self.books[symbol].top(limit)
        return {
            "lastUpdateId": self.books[symbol].update_id,
            "bids": [[decimal(p), decimal(q)] for p, q in bids],
            "asks": [[decimal(p), decimal(q)] for p, q in asks],
        }

    async def trades(self, params: Params) -> list[JSON]:
        limit = params.integer("limit", default=500, low=1, high=1000)
        trades = self._gateway.history.trades[self._gateway.symbol(params)]
        return [formats.public_trade(t) for t in list(trades)[-limit:]]

    async def agg_trades(self, params: Params) -> list[JSON]:
        """Every trade is an aggregate of its own."""
        found = await self.trades(params)
        return [
            {
                "a": t["id"],
                "p": t["price"],
                "q": t["qty"],
                "f": t["id"],
                "l": t["id"],
                "T": t["time"],
                "m": t["isBuyerMaker"],
                "M": True,
            }
            for t in found
        ]

    async def klines(self, params: Params) -> list[list[Any]]:
        symbol = self._gateway.symbol(params)
        length = INTERVALS[params.choice("interval", INTERVALS, _WRONG_INTERVAL)]
        limit = params.integer("limit", default=500, low=1, high=1000)
        first = params.integer("startTime", default=0) * 1000
        last = params.integer("endTime", default=2**50) * 1000
        bars = merged(self._gateway.history.klines[symbol], length)
        wanted = [b for b in bars if first <= b.start <= last]
        wanted = wanted[:limit] if first else wanted[-limit:]
        return [formats.kline(b, length) for b in wanted]

    async def ticker_price(self, params: Params) -> Any:
        return self._each(params, lambda s: {"symbol": s, "price": decimal(self._last(s))})

    async def book_ticker(self, params: Params) -> Any:
        return self._each(params, self._book_ticker)

    async def ticker_24h(self, params: Params) -> Any:
        return self._each(params, self.day)

    async def average_price(self, params: Params) -> JSON:
        symbol = self._gateway.symbol(params)
        return {"mins": 5, "price": decimal(self._last(symbol)), "closeTime": ms(self._now())}

    def day(self, symbol: str) -> JSON:
        """Rolling statistics of the last 24 hours, as far as the klines go back."""
        now = self._now()
        bars = [b for b in self._gateway.history.klines[symbol] if b.start > now - DAY]
        last = self._last(symbol)
        opened = bars[0].open if bars else last
        volume, quote = sum(b.volume for b in bars), sum(b.quote_volume for b in bars)
        trades = self._gateway.history.trades[symbol]
        top = self._book_ticker(symbol)
        change = last - opened
        return {
            "symbol": symbol,
            "priceChange": decimal(change),
            "priceChangePercent": f"{change * 100 / opened if opened else 0:.3f}",
            "weightedAvgPrice": decimal(quote * 100_000_000 // volume if volume else 0),
            "prevClosePrice": decimal(opened),
            "lastPrice": decimal(last),
            "lastQty": decimal(trades[-1].qty if trades else 0),
            "bidPrice": top["bidPrice"],
            "bidQty": top["bidQty"],
            "askPrice": top["askPrice"],
            "askQty": top["askQty"],
            "openPrice": decimal(opened),
            "highPrice": decimal(max((b.high for b in bars), default=last)),
            "lowPrice": decimal(min((b.low for b in bars), default=last)),
            "volume": decimal(volume),
            "quoteVolume": decimal(quote),
            "openTime": ms(now - DAY),
            "closeTime": ms(now),
            "firstId": trades[0].trade_id if trades else -1,
            "lastId": trades[-1].trade_id if trades else -1,
            "count": sum(b.trades for b in bars),
        }

    def _book_ticker(self, symbol: str) -> JSON:
        self.refresh(symbol)
        bids, asks = self.books[symbol].top(1)
        bid, ask = bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)
        return {
            "symbol": symbol,
            "bidPrice": decimal(bid[0]),
            "bidQty": decimal(bid[1]),
            "askPrice": decimal(ask[0]),
            "askQty": decimal(ask[1]),
        }

    def _last(self, symbol: str) -> int:
        """Of the last trade; before the first, the reference price."""
        trades = self._gateway.history.trades[symbol]
        return trades[-1].price if trades else self._gateway.exchange.engine.reference[symbol]

    def _each(self, params: Params, answer: Callable[[str], JSON]) -> Any:
        symbols = params.symbols()
        self._check(symbols or ())
        if symbols is not None and "symbol" in params:
            return answer(symbols[0])
        return [answer(s) for s in symbols or self._gateway.exchange.engine.instruments]

    def _check(self, symbols: Sequence[str]) -> None:
        for symbol in symbols:
            if symbol not in self._gateway.exchange.engine.instruments:
                raise errors.INVALID_SYMBOL


def merged(bars: Sequence[Kline], length: int) -> list[Kline]:
    """One-minute klines as klines of ``length`` microseconds."""
    found: list[Kline] = []
    for bar in bars:
        start = bar.start - bar.start % length
        if not found or found[-1].start != start:
            found.append(Kline(start, bar.open, bar.high, bar.low, bar.close))
        into = found[-1]
        into.high, into.low, into.close = (
            max(into.high, bar.high),
            min(into.low, bar.low),
            bar.close,
        )
        into.volume += bar.volume
        into.quote_volume += bar.quote_volume
        into.trades += bar.trades
        into.taker_volume += bar.taker_volume
        into.taker_quote += bar.taker_quote
    return found
