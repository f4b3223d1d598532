"""Streams that tell something every second, or ten times a second, whether or not it changed."""

from collections.abc import Callable
from typing import Any, NamedTuple

from trading.api.exchange import events, klines
from trading.api.exchange.formats import JSON
from trading.api.exchange.market import book_levels
from trading.api.exchange.tickers import Tickers
from trading.units import DAY, HOUR, MINUTE

PARTIAL = {"depth5": 5, "depth10": 10, "depth20": 20}
WINDOWS = {"1h": HOUR, "4h": 4 * HOUR, "1d": DAY}
_ALL = ("!ticker", "!miniTicker", *(f"!ticker_{name}" for name in WINDOWS))

Make = Callable[[], Any]


class _Told(NamedTuple):
    start: int
    trades: int
    closed: bool


class Timed:
    def __init__(self, tickers: Tickers) -> None:
        self._tickers = tickers
        self._market = tickers.market
        self._told: dict[str, _Told] = {}

    def forget(self) -> None:
        """Another session was opened: klines start anew."""
        self._told.clear()

    def known(self, symbol: str, kind: str) -> bool:
        """``<symbol>@<kind>``: is it one of these streams? The symbol is one of the venue's."""
        base, _, speed = kind.partition("@")
        if base in PARTIAL:
            return speed in ("", "100ms", "1000ms")
        if base.startswith("kline_"):
            return base.removeprefix("kline_") in klines.INTERVALS and not speed
        if base.startswith("ticker_"):
            return base.removeprefix("ticker_") in WINDOWS and not speed
        return kind in ("ticker", "miniTicker", "avgPrice")

    def known_for_all(self, stream: str) -> bool:
        name, _, kind = stream.partition("@")
        return name in _ALL and kind == "arr"

    def due(self, stream: str, second: bool) -> list[Make]:
        """What ``stream`` has to tell now. ``second``: has another one begun?"""
        symbol, _, kind = stream.partition("@")
        base, _, speed = kind.partition("@")
        if base in PARTIAL:
            symbol = symbol.upper()
            if not second and speed != "100ms":
                return []
            return [lambda: book_levels(self._market.books[symbol], PARTIAL[base])]
        if not second:
            return []
        if symbol.startswith("!"):
            return [lambda: [self._row(s, symbol[1:]) for s in self._symbols()]]
        if base.startswith("kline_"):
            return self._klines(stream, symbol.upper(), base.removeprefix("kline_"))
        return [lambda: self._row(symbol.upper(), base)]

    def _symbols(self) -> list[str]:
        return list(self._market.gateway.exchange.engine.instruments)

    def _row(self, symbol: str, kind: str) -> JSON:
        now = self._market.now()
        if kind == "ticker":
            return events.ticker(self._tickers.row(symbol, now - DAY, mini=False), now)
        if kind == "miniTicker":
            return events.mini_ticker(self._tickers.bare(symbol, now - DAY, mini=True), now)
        if kind == "avgPrice":
            return events.average_price(symbol, *self._tickers.average_price(symbol), now)
        name = kind.removeprefix("ticker_")
        since = now - WINDOWS[name]
        return events.window_ticker(self._tickers.bare(symbol, since - since % MINUTE), name, now)

    def _klines(self, stream: str, symbol: str, interval: str) -> list[Make]:
        """The newest kline where it changed, and once more, closed, when its time is over."""
        bars = self._market.newest(symbol, interval)
        if not bars:
            return []
        now, last = self._market.now(), bars[-1]
        end = klines.end_of(interval, last.start)
        told, state = self._told.get(stream), _Told(last.start, last.trades, now >= end)
        if told == state:
            return []
        self._told[stream] = state
        made: list[Make] = []
        if told is not None and not told.closed and told.start < last.start and len(bars) == 2:
            before = bars[0]
            made.append(lambda: events.kline_event(symbol, interval, before, last.start, True, now))
        made.append(lambda: events.kline_event(symbol, interval, last, end, state.closed, now))
        return made
