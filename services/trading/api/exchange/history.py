"""What the venue remembers for its clients: orders, fills, public trades, klines."""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.orders import ExecutionReport, Trade
from trading.universe import Universe

#: Orders and fills kept by account, public trades and one-minute klines by symbol.
MAX_ORDERS = 10_000
MAX_FILLS = 10_000
MAX_TRADES = 1_000
MAX_KLINES = 1_500
_MINUTE = 60_000_000


class Fill(msgspec.Struct, gc=False):
    """Also of an order that is long gone. ``price``, ``qty``, ``quote_qty`` in units of 1e-8."""

    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    buyer: bool
    maker: bool
    price: int
    qty: int
    quote_qty: int
    time: int


class Kline(msgspec.Struct, gc=False):
    """``taker_*``: what aggressive buyers took. ``*_id``: of its first and last trade."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote_volume: int = 0
    trades: int = 0
    taker_volume: int = 0
    taker_quote: int = 0
    first_id: int = -1
    last_id: int = -1

    def add(self, trade_id: int, price: int, qty: int, quote: int, taker_buys: bool) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += qty
        self.quote_volume += quote
        self.trades += 1
        if taker_buys:
            self.taker_volume += qty
            self.taker_quote += quote
        if self.first_id < 0:
            self.first_id = trade_id
        self.last_id = trade_id

    def join(self, later: "Kline") -> None:
        """Go on with the kline of the time right behind this one's."""
        if not later.trades:
            return
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.quote_volume += later.quote_volume
        self.trades += later.trades
        self.taker_volume += later.taker_volume
        self.taker_quote += later.taker_quote
        self.first_id = later.first_id if self.first_id < 0 else self.first_id
        self.last_id = later.last_id


class Known(msgspec.Struct, gc=False):
    """An order: its newest report, and when it was taken."""

    report: ExecutionReport
    since: int


class History:
    """Oldest first everywhere; what no longer fits is forgotten, finished orders first."""

    def __init__(self, universe: Universe) -> None:
        self.orders: dict[str, OrderedDict[int, Known]] = {
            a: OrderedDict() for a in universe.firm_accounts
        }
        self.fills: dict[str, deque[Fill]] = {
            a: deque(maxlen=MAX_FILLS) for a in universe.firm_accounts
        }
        self.trades: dict[str, deque[Trade]] = {
            s: deque(maxlen=MAX_TRADES) for s in universe.symbols
        }
        self.klines: dict[str, deque[Kline]] = {
            s: deque(maxlen=MAX_KLINES) for s in universe.symbols
        }
        self._ids: dict[str, dict[str, int]] = {a: {} for a in universe.firm_accounts}

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]:
        return {ExecutionReport: self._on_report, Trade: self._on_trade}

    def order(self, account: str, order_id: int, client_order_id: str) -> Known | None:
        """By the venue's id, or by the client's, of which the newest counts."""
        if not order_id:
            order_id = self._ids[account].get(client_order_id, 0)
        return self.orders[account].get(order_id)

    def orders_of(self, account: str, symbol: str) -> list[Known]:
        known = self.orders[account].values()
        return [k for k in known if k.report.symbol == symbol]

    def _on_report(self, report: ExecutionReport, now: int) -> None:
        orders = self.orders.get(report.account)
        if orders is None or not report.order_id:
            return
        known = orders.get(report.order_id)
        if known is None:
            orders[report.order_id] = Known(report, report.event_time)
            self._ids[report.account][report.client_order_id] = report.order_id
            self._forget(report.account)
        else:
            known.report = report
        if report.execution_type == "TRADE":
            self.fills[report.account].append(
                Fill(
                    report.symbol,
                    report.trade_id,
                    report.order_id,
                    report.client_order_id,
                    report.side == "BUY",
                    report.is_maker,
                    report.last_price,
                    report.last_qty,
                    report.last_price * report.last_qty // 100_000_000,
                    report.event_time,
                )
            )

    def _on_trade(self, trade: Trade, now: int) -> None:
        self.trades[trade.symbol].append(trade)
        klines = self.klines[trade.symbol]
        start = trade.event_time - trade.event_time % _MINUTE
        if not klines or klines[-1].start != start:
            price = trade.price
            klines.append(Kline(start, price, price, price, price))
        klines[-1].add(
            trade.trade_id, trade.price, trade.qty, trade.quote_qty, not trade.buyer_is_maker
        )

    def _forget(self, account: str) -> None:
        orders = self.orders[account]
        if len(orders) <= MAX_ORDERS:
            return
        for order_id, known in orders.items():
            if known.report.status not in ("NEW", "PARTIALLY_FILLED"):
                del orders[order_id]
                ids = self._ids[account]
                if ids.get(known.report.client_order_id) == order_id:
                    del ids[known.report.client_order_id]
                return
