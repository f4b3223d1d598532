"""What the venue remembers for its clients: orders, fills, public trades and one-minute klines. It
is a read model that the host feeds with published messages and includes in snapshots.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.orders import BUY, OPEN_STATUSES, ExecutionReport, ExecutionType, Trade
from trading.universe import Universe

#: Most orders and fills of an account, and most public trades and one-minute klines of a symbol.
MAX_ORDERS = 10_000
MAX_FILLS = 10_000
MAX_TRADES = 1_000
MAX_KLINES = 1_500
_MINUTE = 60_000_000


class Fill(msgspec.Struct, gc=False):
    """A trade from the point of view of one of its orders. It is kept when the order is not any
    more. `price`, `qty` and `quote_qty` are in units of 1e-8, `time` is in simulated microseconds.
    """

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
    """Prices and volumes of a period that starts at `start`, simulated microseconds. `taker_volume`
    and `taker_quote` are the part of the volume in which the buyer was the taker; `first_id` and
    `last_id` are ids of trades, -1 if there was none. Prices and volumes are in units of 1e-8.
    """

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
        """Add a trade. `quote` is its value in the quote asset; `taker_buys` tells that the buyer
        was the taker.
        """
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
        """Extend this kline by the one of the period that follows directly."""
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
    """An order: its newest execution report, and when the venue accepted it (`since`), simulated
    microseconds.
    """

    report: ExecutionReport
    since: int


class History:
    """Keeps the history of a session for the accounts and symbols of `universe`, oldest first. When
    a container is full its oldest entry is dropped; of orders the oldest that is no longer open.
    """

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
        """Return the handlers of this read model, by type of message."""
        return {ExecutionReport: self._on_report, Trade: self._on_trade}

    def order(self, account: str, order_id: int, client_order_id: str) -> Known | None:
        """Return the order with the venue's id `order_id`, or if that is 0 the newest one with
        `client_order_id`; None if it is not known.
        """
        if not order_id:
            order_id = self._ids[account].get(client_order_id, 0)
        return self.orders[account].get(order_id)

    def orders_of(self, account: str, symbol: str) -> list[Known]:
        """Return the orders of `account` on `symbol`, oldest first."""
        orders = self.orders[account].values()
        return [o for o in orders if o.report.symbol == symbol]

    def _on_report(self, report: ExecutionReport, now: int) -> None:
        orders = self.orders.get(report.account)
        if orders is None or not report.order_id:
            return
        order = orders.get(report.order_id)
        if order is None:
            orders[report.order_id] = Known(report, report.event_time)
            self._ids[report.account][report.client_order_id] = report.order_id
            self._drop_oldest_closed(report.account)
        else:
            order.report = report
        if report.execution_type is ExecutionType.TRADE:
            self.fills[report.account].append(
                Fill(
                    report.symbol,
                    report.trade_id,
                    report.order_id,
                    report.client_order_id,
                    report.side == BUY,
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

    def _drop_oldest_closed(self, account: str) -> None:
        orders = self.orders[account]
        if len(orders) <= MAX_ORDERS:
            return
        for order_id, order in orders.items():
            if order.report.status not in OPEN_STATUSES:
                del orders[order_id]
                ids = self._ids[account]
                if ids.get(order.report.client_order_id) == order_id:
                    del ids[order.report.client_order_id]
                return
