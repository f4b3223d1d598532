"""Tickers: last prices, best quotes, and statistics of a window of time."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from trading.api.exchange import errors
from trading.api.exchange.formats import JSON, decimal, stamp
from trading.api.exchange.history import Kline
from trading.api.exchange.market import Market
from trading.api.exchange.params import Params
from trading.units import DAY, HOUR, MINUTE, SCALE

_UNITS = {"m": (MINUTE, 59), "h": (HOUR, 23), "d": (DAY, 7)}
_AVERAGE_MINUTES = 5


class Window(NamedTuple):
    """Statistics from ``opened`` to ``closed``, as far as the klines go back. Prices and
    quantities in units of 1e-8; ids -1 where nothing was traded.
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
        return self.last - self.open

    @property
    def percent(self) -> str:
        return f"{self.change * 100 / self.open if self.open else 0:.3f}"

    @property
    def average(self) -> int:
        return self.quote * SCALE // self.volume if self.volume else 0


class Tickers:
    def __init__(self, market: Market) -> None:
        self.market = market

    async def price(self, params: Params) -> Any:
        return self._each(params, lambda s: {"symbol": s, "price": decimal(self._last(s))})

    async def book(self, params: Params) -> Any:
        return self._each(params, self.quote)

    async def day(self, params: Params) -> Any:
        mini = self._mini(params)
        return self._each(params, lambda s: self.row(s, self.market.now() - DAY, mini=mini))

    async def trading_day(self, params: Params) -> Any:
        """Since midnight, UTC."""
        if params.symbols() is None:
            raise errors.neither("symbol", "symbols")
        mini, now = self._mini(params), self.market.now()
        return self._each(params, lambda s: self.bare(s, now - now % DAY, mini=mini))

    async def rolling(self, params: Params) -> Any:
        """Of the last ``windowSize``."""
        if params.symbols() is None:
            raise errors.neither("symbol", "symbols")
        mini, size = self._mini(params), _window_size(params.optional("windowSize", "1d"))
        now = self.market.now()
        since = (now - size) - (now - size) % MINUTE
        return self._each(params, lambda s: self.bare(s, since, mini=mini))

    async def average(self, params: Params) -> JSON:
        symbol = self.market.gateway.symbol(params)
        price, at = self.average_price(symbol)
        return {"mins": _AVERAGE_MINUTES, "price": decimal(price), "closeTime": stamp(at)}

    def average_price(self, symbol: str) -> tuple[int, int]:
        """Weighted, over the last minutes; and when the last trade was."""
        found = self.window(symbol, self.market.now() - _AVERAGE_MINUTES * MINUTE)
        trades = self.market.gateway.history.trades[symbol]
        at = trades[-1].event_time if trades else self.market.now()
        return found.average or found.last, at

    def window(self, symbol: str, since: int) -> Window:
        bars: list[Kline] = []
        for bar in reversed(self.market.gateway.history.klines[symbol]):
            if bar.start < since:
                break
            bars.append(bar)
        last = self._last(symbol)
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
        """As ``ticker/24hr`` has it."""
        row = self.bare(symbol, since, mini=mini)
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
        bids, asks = self.market.refresh(symbol).top(1)
        bid, ask = bids[0] if bids else (0, 0), asks[0] if asks else (0, 0)
        return {
            "symbol": symbol,
            "bidPrice": decimal(bid[0]),
            "bidQty": decimal(bid[1]),
            "askPrice": decimal(ask[0]),
            "askQty": decimal(ask[1]),
        }

    def bare(self, symbol: str, since: int, *, mini: bool = False) -> JSON:
        """As ``ticker`` has it: without quotes."""
        found = self.window(symbol, since)
        row = {
            "symbol": symbol,
            "openPrice": decimal(found.open),
            "highPrice": decimal(found.high),
            "lowPrice": decimal(found.low),
            "lastPrice": decimal(found.last),
            "volume": decimal(found.volume),
            "quoteVolume": decimal(found.quote),
            "openTime": stamp(found.opened),
            "closeTime": stamp(found.closed),
            "firstId": found.first_id,
            "lastId": found.last_id,
            "count": found.trades,
        }
        if not mini:
            row["priceChange"] = decimal(found.change)
            row["priceChangePercent"] = found.percent
            row["weightedAvgPrice"] = decimal(found.average)
        return row

    def _last(self, symbol: str) -> int:
        """Of the last trade; before the first, the reference price."""
        trades = self.market.gateway.history.trades[symbol]
        return trades[-1].price if trades else self.market.gateway.exchange.engine.reference[symbol]

    def _each(self, params: Params, answer: Callable[[str], JSON]) -> Any:
        symbols: Sequence[str] = self.market.symbols(params)
        if "symbol" in params:
            return answer(symbols[0])
        return [answer(s) for s in symbols]

    def _mini(self, params: Params) -> bool:
        kind = params.optional("type", "FULL")
        if kind not in ("FULL", "MINI"):
            raise errors.INVALID_TICKER_TYPE
        return kind == "MINI"


def _window_size(text: str) -> int:
    """1m to 59m, 1h to 23h, 1d to 7d, as microseconds. Raises BinanceError."""
    number, unit = text[:-1], text[-1:]
    length, most = _UNITS.get(unit, (0, 0))
    if not (
        number.isascii() and number.isdigit() and len(number) <= 2 and 1 <= int(number) <= most
    ):
        raise errors.out_of_range("windowSize")
    return int(number) * length
