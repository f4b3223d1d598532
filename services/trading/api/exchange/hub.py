"""Who follows which stream, and what each of them is told."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from trading.api.exchange import formats
from trading.api.exchange.depth import DepthUpdate
from trading.api.exchange.formats import JSON, decimal, ms
from trading.api.exchange.market import INTERVALS, Market, merged
from trading.exchange import Exchange
from trading.hosting.host import Host
from trading.hosting.live import Published
from trading.messages.orders import ExecutionReport, Trade
from trading.topology import EXCHANGE

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode

#: Messages that one connection may be behind before it is dropped.
BACKLOG = 4096
#: Wall seconds between two depth updates, and between two tickers.
DEPTH_EVERY = 0.1
TICKER_EVERY = 1.0
_PARTIAL = {"depth5": 5, "depth10": 10, "depth20": 20}
_TIMED = ("ticker", "miniTicker", "depth5", "depth10", "depth20")


class Connection:
    """One WebSocket: ``queue`` holds what it has yet to be sent, None to close it."""

    def __init__(self, combined: bool = False) -> None:
        self.combined = combined
        self.streams: dict[str, None] = {}
        self.accounts: dict[int, str] = {}
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG)
        self.dropped = False

    def put(self, message: bytes | None) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.dropped = True


class Hub:
    """Runs while somebody follows something."""

    def __init__(self, host: Host, market: Market) -> None:
        self._host = host
        self._market = market
        self._connections: list[Connection] = []
        self._task: asyncio.Task[None] | None = None
        self._tops: dict[str, tuple[Any, Any]] = {}
        market.on_update = self._on_depth
        host.listen(self._hear)

    def known(self, stream: str) -> bool:
        """Is there such a stream? ``<symbol>@<kind>``, or ``!ticker@arr`` and its like."""
        symbol, _, kind = stream.partition("@")
        if symbol in ("!ticker", "!miniTicker"):
            return kind == "arr"
        if symbol.upper() not in self._host.session.plan.universe.symbols or not symbol.islower():
            return False
        base, _, rest = kind.partition("@")
        if base.startswith("kline_"):
            return base.removeprefix("kline_") in INTERVALS and not rest
        if base == "depth" or base in _PARTIAL:
            return rest in ("", "100ms", "1000ms")
        return kind in ("trade", "aggTrade", "bookTicker", "ticker", "miniTicker")

    def join(self, connection: Connection) -> None:
        self._connections.append(connection)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def leave(self, connection: Connection) -> None:
        self._connections.remove(connection)
        if not self._connections and self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """The service ends: everybody is told."""
        for connection in self._connections:
            connection.put(_encode({"e": "serverShutdown", "E": ms(self._host.kernel.now)}))
            connection.put(None)

    async def _run(self) -> None:
        """Depth every 100 ms of wall time, tickers every second."""
        rounds = 0
        per_ticker = round(TICKER_EVERY / DEPTH_EVERY)
        while True:
            followed = {stream for c in self._connections for stream in c.streams}
            exchange: Exchange = self._host.component(EXCHANGE)
            if not exchange.outage_modes:
                for symbol in {s.partition("@")[0].upper() for s in followed if s[0] != "!"}:
                    self._market.refresh(symbol)
                    self._tell_top(symbol)
                if rounds % per_ticker == 0:
                    self._tell_timed(followed)
            rounds += 1
            for connection in [c for c in self._connections if c.dropped]:
                connection.queue = asyncio.Queue()
                connection.put(None)
            await asyncio.sleep(DEPTH_EVERY)

    def _tell(self, stream: str, data: Callable[[], Any]) -> None:
        plain = wrapped = b""
        for connection in self._connections:
            if stream not in connection.streams:
                continue
            plain = plain or _encode(data())
            if connection.combined:
                name = _encode(stream)
                wrapped = wrapped or b'{"stream":%s,"data":%s}' % (name, plain)
            connection.put(wrapped if connection.combined else plain)

    def _on_depth(self, update: DepthUpdate) -> None:
        symbol = update.symbol.lower()
        data = {
            "e": "depthUpdate",
            "E": ms(self._host.kernel.now),
            "s": update.symbol,
            "U": update.first,
            "u": update.last,
            "b": [[decimal(p), decimal(q)] for p, q in update.bids],
            "a": [[decimal(p), decimal(q)] for p, q in update.asks],
        }
        for name in ("depth", "depth@100ms", "depth@1000ms"):
            self._tell(f"{symbol}@{name}", lambda: data)

    def _tell_top(self, symbol: str) -> None:
        book = self._market.books[symbol]
        bids, asks = book.top(1)
        top = (bids[0] if bids else (0, 0), asks[0] if asks else (0, 0))
        if self._tops.get(symbol) == top:
            return
        self._tops[symbol] = top
        (bid, bid_qty), (ask, ask_qty) = top
        data = {"u": book.update_id, "s": symbol, "b": decimal(bid), "B": decimal(bid_qty)}
        data |= {"a": decimal(ask), "A": decimal(ask_qty)}
        self._tell(f"{symbol.lower()}@bookTicker", lambda: data)

    def _tell_timed(self, followed: set[str]) -> None:
        for stream in followed:
            symbol, _, kind = stream.partition("@")
            if symbol in ("!ticker", "!miniTicker"):
                mini = symbol == "!miniTicker"
                symbols = self._host.session.plan.universe.symbols
                rows = [self._ticker(s, mini=mini) for s in symbols]
                self._tell(stream, lambda rows=rows: rows)  # type: ignore[misc]
                continue
            base = kind.partition("@")[0]
            if base in _PARTIAL:
                bids, asks = self._market.books[symbol.upper()].top(_PARTIAL[base])
                data: JSON = {
                    "lastUpdateId": self._market.books[symbol.upper()].update_id,
                    "bids": [[decimal(p), decimal(q)] for p, q in bids],
                    "asks": [[decimal(p), decimal(q)] for p, q in asks],
                }
                self._tell(stream, lambda data=data: data)  # type: ignore[misc]
            elif base in ("ticker", "miniTicker"):
                row = self._ticker(symbol.upper(), mini=base == "miniTicker")
                self._tell(stream, lambda row=row: row)  # type: ignore[misc]

    def _ticker(self, symbol: str, *, mini: bool) -> JSON:
        day = self._market.day(symbol)
        row = {
            "e": "24hrMiniTicker" if mini else "24hrTicker",
            "E": ms(self._host.kernel.now),
            "s": symbol,
            "c": day["lastPrice"],
            "o": day["openPrice"],
            "h": day["highPrice"],
            "l": day["lowPrice"],
            "v": day["volume"],
            "q": day["quoteVolume"],
        }
        if mini:
            return row
        return row | {
            "p": day["priceChange"],
            "P": day["priceChangePercent"],
            "w": day["weightedAvgPrice"],
            "x": day["prevClosePrice"],
            "Q": day["lastQty"],
            "b": day["bidPrice"],
            "B": day["bidQty"],
            "a": day["askPrice"],
            "A": day["askQty"],
            "O": day["openTime"],
            "C": day["closeTime"],
            "F": day["firstId"],
            "L": day["lastId"],
            "n": day["count"],
        }

    def _hear(self, published: Sequence[Published]) -> None:
        if not self._connections:
            return
        for message, _ in published:
            if isinstance(message, Trade):
                self._on_trade(message)
            elif isinstance(message, ExecutionReport):
                self._on_report(message)

    def _on_trade(self, trade: Trade) -> None:
        symbol = trade.symbol.lower()
        at = ms(trade.event_time)
        data = {"E": at, "s": trade.symbol, "p": decimal(trade.price), "q": decimal(trade.qty)}
        data |= {"T": at, "m": trade.buyer_is_maker, "M": True}
        self._tell(f"{symbol}@trade", lambda: {"e": "trade", "t": trade.trade_id, **data})
        ids = {"a": trade.trade_id, "f": trade.trade_id, "l": trade.trade_id}
        self._tell(f"{symbol}@aggTrade", lambda: {"e": "aggTrade", **ids, **data})
        for interval, length in INTERVALS.items():
            stream = f"{symbol}@kline_{interval}"
            self._tell(stream, partial(self._kline, trade, interval, length))

    def _kline(self, trade: Trade, interval: str, length: int) -> JSON:
        bar = merged(self._market.bars(trade.symbol, length), length)[-1]
        row = formats.kline(bar, length)
        names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
        data = dict(zip(names, row, strict=True))
        data |= {"s": trade.symbol, "i": interval, "f": -1, "L": trade.trade_id, "x": False}
        return {"e": "kline", "E": ms(trade.event_time), "s": trade.symbol, "k": data}

    def _on_report(self, report: ExecutionReport) -> None:
        for connection in self._connections:
            for subscription, account in connection.accounts.items():
                if account == report.account:
                    for event in (formats.execution_report(report), self._position(report)):
                        wrapped = {"subscriptionId": subscription, "event": event}
                        connection.put(_encode(wrapped))

    def _position(self, report: ExecutionReport) -> JSON:
        exchange: Exchange = self._host.component(EXCHANGE)
        balances = exchange.engine.balances[report.account]
        instrument = exchange.engine.instruments.get(report.symbol)
        assets = (instrument.base, instrument.quote) if instrument is not None else ()
        at = ms(report.event_time)
        return {
            "e": "outboundAccountPosition",
            "E": at,
            "u": at,
            "B": [
                {"a": a, "f": decimal(balances.free[a]), "l": decimal(balances.locked[a])}
                for a in assets
            ],
        }
