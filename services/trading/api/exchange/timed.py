"""Streams that are sent by time: every second, or ten times in a second for partial order books,
whether or not anything changed. Klines are the exception: they are sent only when they changed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from trading.api.exchange import events, klines
from trading.api.exchange.formats import JSON
from trading.api.exchange.market import book_levels
from trading.api.exchange.tickers import Tickers
from trading.units import DAY, HOUR, MINUTE

#: Streams of the best levels of a book -> number of levels.
PARTIAL = {"depth5": 5, "depth10": 10, "depth20": 20}
#: Names of ticker windows -> their length in microseconds.
WINDOWS = {"1h": HOUR, "4h": 4 * HOUR, "1d": DAY}
#: Streams that cover all symbols.
_ALL_SYMBOLS = ("!ticker", "!miniTicker", *(f"!ticker_{name}" for name in WINDOWS))

#: Returns an event, formatted for the client that is served at present.
EventFactory = Callable[[], Any]


class _KlineState(NamedTuple):
    """What the last event of a kline stream said: which kline, its number of trades, and if it was
    final.
    """

    start: int
    trades: int
    closed: bool


class TimedStreams:
    """Decides which events of timed streams are due, and makes them from `tickers` and their
    market.
    """

    def __init__(self, tickers: Tickers) -> None:
        self._tickers = tickers
        self._market = tickers.market
        self._last_sent: dict[str, _KlineState] = {}

    def reset(self) -> None:
        """Forget which klines were sent, since another session has its own."""
        self._last_sent.clear()

    def exists(self, symbol: str, kind: str) -> bool:
        """Return whether `<symbol>@<kind>` is a timed stream. The symbol must be one of the
        venue's.
        """
        base, _, speed = kind.partition("@")
        if base in PARTIAL:
            return speed in ("", "100ms", "1000ms")
        if base.startswith("kline_"):
            return base.removeprefix("kline_") in klines.INTERVALS and not speed
        if base.startswith("ticker_"):
            return base.removeprefix("ticker_") in WINDOWS and not speed
        return kind in ("ticker", "miniTicker", "avgPrice")

    def exists_for_all(self, stream: str) -> bool:
        """Return whether `stream` is a timed stream of all symbols, such as `!ticker@arr`."""
        name, _, kind = stream.partition("@")
        return name in _ALL_SYMBOLS and kind == "arr"

    def due(self, stream: str, is_full_second: bool) -> list[EventFactory]:
        """Return the events of `stream` that are due in this round. `is_full_second`: a round in
        which streams are due that are sent once in a second.
        """
        symbol, _, kind = stream.partition("@")
        base, _, speed = kind.partition("@")
        if base in PARTIAL:
            symbol = symbol.upper()
            if not is_full_second and speed != "100ms":
                return []
            return [lambda: book_levels(self._market.books[symbol], PARTIAL[base])]
        if not is_full_second:
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
            return events.mini_ticker(self._tickers.window_row(symbol, now - DAY, mini=True), now)
        if kind == "avgPrice":
            return events.average_price(symbol, *self._tickers.average_price(symbol), now)
        name = kind.removeprefix("ticker_")
        since = now - WINDOWS[name]
        return events.window_ticker(
            self._tickers.window_row(symbol, since - since % MINUTE), name, now
        )

    def _klines(self, stream: str, symbol: str, interval: str) -> list[EventFactory]:
        """Return an event of the newest kline if it has changed since it was last sent, and before
        it a final event of the previous kline if that has ended in the meantime.
        """
        bars = self._market.newest_klines(symbol, interval)
        if not bars:
            return []
        now, last = self._market.now(), bars[-1]
        end = klines.end_of(interval, last.start)
        previous = self._last_sent.get(stream)
        state = _KlineState(last.start, last.trades, now >= end)
        if previous == state:
            return []
        self._last_sent[stream] = state
        due: list[EventFactory] = []
        if (
            previous is not None
            and not previous.closed
            and previous.start < last.start
            and len(bars) == 2
        ):
            before = bars[0]
            due.append(lambda: events.kline_event(symbol, interval, before, last.start, True, now))
        due.append(lambda: events.kline_event(symbol, interval, last, end, state.closed, now))
        return due
