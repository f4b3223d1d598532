"""Tickers: last prices, best bids and asks, and statistics over a window of time."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from trading.api.exchange import errors
from trading.api.exchange.formats import JSON, decimal, stamp
from trading.api.exchange.history import Kline
from trading.api.exchange.market import Market
from trading.api.exchange.params import Params
from trading.units import DAY, HOUR, MINUTE, SCALE

#: Unit of `windowSize` -> its length in microseconds, and the largest number of them.
_UNITS = {"m": (MINUTE, 59), "h": (HOUR, 23), "d": (DAY, 7)}
_AVERAGE_MINUTES = 5


class Window(NamedTuple):
    """Statistics of a symbol from `opened` to `closed`, simulated microseconds, as far back as
    klines are kept. Prices and quantities are in units of 1e-8; the ids are -1 if nothing was
    traded.
    """

    opened: int
    closed: int
    open: int
    high: int
    low: int
    last: int
    volume: int
    quote: int
    trades: int
    first_id: int
    last_id: int

    @property
    def change(self) -> int:
        """Last price minus opening price, in units of 1e-8."""
        return self.last - self.open

    @property
    def percent(self) -> str:
        """Change in percent of the opening price, with three decimals."""
        return f"{self.change * 100 / self.open if self.open else 0:.3f}"

    @property
    def average(self) -> int:
        """Average price weighted by volume, in units of 1e-8; 0 if nothing was traded."""
        return self.quote * SCALE // self.volume if self.volume else 0


class Tickers:
    """Answers the ticker endpoints from `market`. Methods that take only parameters are endpoints:
    they return what is encoded as JSON, one object for a request with `symbol`, else a list, and
    raise BinanceError.
    """

    def __init__(self, market: Market) -> None:
        self.market = market

    async def price(self, params: Params) -> Any:
        """Answer `ticker/price`: the last price."""
        return self._for_each_symbol(
            params, lambda s: {"symbol": s, "price": decimal(self._last_price(s))}
        )

    async def book(self, params: Params) -> Any:
        """Answer `ticker/bookTicker`: the best bid and ask."""
        return self._for_each_symbol(params, self.quote)

    async def day(self, params: Params) -> Any:
        """Answer `ticker/24hr`: statistics of the last 24 hours."""
        mini = self._is_mini(params)
        return self._for_each_symbol(
            params, lambda s: self.row(s, self.market.now() - DAY, mini=mini)
        )

    async def trading_day(self, params: Params) -> Any:
        """Answer `ticker/tradingDay`: statistics since midnight UTC."""
        if params.symbols() is None:
            raise errors.neither("symbol", "symbols")
        mini, now = self._is_mini(params), self.market.now()
        return self._for_each_symbol(
            params, lambda s: self.window_row(s, now - now % DAY, mini=mini)
        )

    async def rolling(self, params: Params) -> Any:
        """Answer `ticker`: statistics of the last `windowSize`."""
        if params.symbols() is None:
            raise errors.neither("symbol", "symbols")
        mini, size = self._is_mini(params), _window_size(params.optional("windowSize", "1d"))
        now = self.market.now()
        since = (now - size) - (now - size) % MINUTE
        return self._for_each_symbol(params, lambda s: self.window_row(s, since, mini=mini))

    async def average(self, params: Params) -> JSON:
        """Answer `avgPrice`: the average price of the last five minutes."""
        symbol = self.market.gateway.symbol(params)
        price, at = self.average_price(symbol)
        return {"mins": _AVERAGE_MINUTES, "price": decimal(price), "closeTime": stamp(at)}

    def average_price(self, symbol: str) -> tuple[int, int]:
        """Return the average price of the last five minutes, weighted by volume, in units of 1e-8,
        and the simulated time of the last trade. Without a trade in that time the price is the last
        one.
        """
        window = self.window(symbol, self.market.now() - _AVERAGE_MINUTES * MINUTE)
        trades = self.market.gateway.history.trades[symbol]
        at = trades[-1].event_time if trades else self.market.now()
        return window.average or window.last, at

    def window(self, symbol: str, since: int) -> Window:
        """Return the statistics of `symbol` since the simulated time `since`."""
        bars: list[Kline] = []
        for bar in reversed(self.market.gateway.history.klines[symbol]):
            if bar.start < since:
                break
            bars.append(bar)
        last = self._last_price(symbol)
        first, newest = (bars[-1], bars[0]) if bars else (None, None)
        return Window(
            since,
            self.market.now(),
            first.open if first else last,
            max((b.high for b in bars), default=last),
            min((b.low for b in bars), default=last),
            last,
            sum(b.volume for b in bars),
            sum(b.quote_volume for b in bars),
            sum(b.trades for b in bars),
            first.first_id if first else -1,
            newest.last_id if newest else -1,
        )

    def row(self, symbol: str, since: int, *, mini: bool) -> JSON:
        """Return a row of `ticker/24hr`: statistics since `since` and the best bid and ask; with
        `mini` only the former, and fewer of them.
        """
        row = self.window_row(symbol, since, mini=mini)
        if mini:
            return row
        trades = self.market.gateway.history.trades[symbol]
        return {
            **row,
            **self.quote(symbol),
            "prevClosePrice": row["openPrice"],
            "lastQty": decimal(trades[-1].qty if trades else 0),
        }

    def quote(self, symbol: str) -> JSON:
        """Return a row of `ticker/bookTicker`: the best bid and ask, 0 where a side is empty."""
        bids, asks = self.market.refresh(symbol).top(1)
        bid, ask = bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)
        return {
            "symbol": symbol,
            "bidPrice": decimal(bid[0]),
            "bidQty": decimal(bid[1]),
            "askPrice": decimal(ask[0]),
            "askQty": decimal(ask[1]),
        }

    def window_row(self, symbol: str, since: int, *, mini: bool = False) -> JSON:
        """Return a row of `ticker`: statistics since `since`; with `mini` without changes and
        average.
        """
        window = self.window(symbol, since)
        row = {
            "symbol": symbol,
            "openPrice": decimal(window.open),
            "highPrice": decimal(window.high),
            "lowPrice": decimal(window.low),
            "lastPrice": decimal(window.last),
            "volume": decimal(window.volume),
            "quoteVolume": decimal(window.quote),
            "openTime": stamp(window.opened),
            "closeTime": stamp(window.closed),
            "firstId": window.first_id,
            "lastId": window.last_id,
            "count": window.trades,
        }
        if not mini:
            row["priceChange"] = decimal(window.change)
            row["priceChangePercent"] = window.percent
            row["weightedAvgPrice"] = decimal(window.average)
        return row

    def _last_price(self, symbol: str) -> int:
        """Return the price of the last trade; before the first one the reference price. Units of
        1e-8.
        """
        trades = self.market.gateway.history.trades[symbol]
        return trades[-1].price if trades else self.market.gateway.exchange.engine.reference[symbol]

    def _for_each_symbol(self, params: Params, make_row: Callable[[str], JSON]) -> Any:
        symbols: Sequence[str] = self.market.symbols(params)
        if "symbol" in params:
            return make_row(symbols[0])
        return [make_row(s) for s in symbols]

    def _is_mini(self, params: Params) -> bool:
        kind = params.optional("type", "FULL")
        if kind not in ("FULL", "MINI"):
            raise errors.INVALID_TICKER_TYPE
        return kind == "MINI"


def _window_size(text: str) -> int:
    """Return the length of a `windowSize`, 1m to 59m, 1h to 23h or 1d to 7d, in microseconds.
    Raises BinanceError for anything else.
    """
    number, unit = text[:-1], text[-1:]
    length, maximum = _UNITS.get(unit, (0, 0))
    if not (
        number.isascii() and number.isdigit() and len(number) <= 2 and 1 <= int(number) <= maximum
    ):
        raise errors.out_of_range("windowSize")
    return int(number) * length
