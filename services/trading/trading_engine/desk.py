"""The access of one strategy to the exchange: its account, open orders and balances."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.messages.orders import (
    BUY,
    CLOSED_STATUSES,
    SELL,
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    ExecutionType,
    OrderType,
    PlaceOrder,
    Side,
    TimeInForce,
)
from trading.trading_engine.malfunction import Malfunction
from trading.units import SCALE
from trading.universe import FirmAccount, Universe


class Desk:
    """Sends the orders of one strategy and keeps its account up to date.

    ``account`` is the firm's account it trades on, ``prefix`` the beginning of its client order
    ids.

    ``open`` has the orders at the exchange, or on their way there, by client order id. ``held``
    has the balances (1e-8) that follow from ``opening`` and the account's execution reports, and
    ``tops`` the newest two-sided book by symbol. ``killed`` is whether the kill switch is engaged.
    ``fence`` is the fencing number of the lease on the account, 0 without one. It is part of every
    client order id, so that reports on orders of another owner do not match. ``malfunction``
    changes the orders on their way out; ``last`` is the newest order, for it to repeat.
    """

    def __init__(self, account: FirmAccount, universe: Universe, prefix: str) -> None:
        self.account = account.name
        self.symbols = account.symbols
        self.instruments = {i.symbol: i for i in universe.instruments}
        self.opening = {a.name: 0 for a in universe.assets} | dict(account.balances)
        self.held = dict(self.opening)
        self.open: dict[str, PlaceOrder] = {}
        self.tops: dict[str, BookTop] = {}
        self.killed = False
        self.malfunction = Malfunction()
        self.last: PlaceOrder | None = None
        self.fence = 0
        self._prefix = prefix
        self._number = 0

    def mid(self, symbol: str) -> int:
        """Return the mid price of the newest two-sided book, 0 before the first."""
        top = self.tops.get(symbol)
        return (top.bid + top.ask) // 2 if top is not None else 0

    def update_top(self, top: BookTop) -> None:
        """Record a book, unless a side is empty: it has no mid price then."""
        if top.bid and top.ask:
            self.tops[top.symbol] = top

    def quote(self, symbol: str, side: Side, price: int, value: int, out: list[Message]) -> str:
        """Send a GTC limit order for about ``value`` (1e-8 of the quote asset).

        The price is rounded to the tick, away from the market. Return the client order id, or "" if
        the quantity rounds to zero.
        """
        tick = self.instruments[symbol].tick
        price -= price % tick if side == BUY else -(-price % tick)
        qty = self._qty(symbol, value)
        return self._send(symbol, side, OrderType.LIMIT, price, qty, TimeInForce.GTC, out)

    def send_ioc(self, symbol: str, side: Side, value: int, out: list[Message]) -> str:
        """Send an immediate-or-cancel order for about ``value``, at most 10 bp through the book.

        Return as :meth:`quote` does. Raises KeyError before the first book of the symbol.
        """
        top = self.tops[symbol]
        tick = self.instruments[symbol].tick
        price = top.ask + top.ask // 1000 if side == BUY else top.bid - top.bid // 1000
        price -= price % tick
        qty = self._qty(symbol, value)
        return self._send(symbol, side, OrderType.LIMIT, price, qty, TimeInForce.IOC, out)

    def cancel(self, client_order_id: str, out: list[Message]) -> None:
        """Send a cancel for an open order; do nothing if it is not open. Its report closes it."""
        order = self.open.get(client_order_id)
        if order is not None:
            out.append(CancelOrder(self.account, order.symbol, client_order_id))

    def cancel_all(self, out: list[Message]) -> None:
        """Send a cancel for all orders of the account, and consider them closed."""
        self.open.clear()
        out.append(CancelAllOrders(self.account))

    def repeat(self, count: int, out: list[Message]) -> None:
        """Send ``count`` MARKET orders on symbol and side of the last order, as a runaway does.

        They are not recorded in ``open``. Nothing is sent before the first book of the symbol.
        """
        last = self.last
        symbol = last.symbol if last is not None else self.symbols[0]
        side = last.side if last is not None else BUY
        if symbol not in self.tops:
            return
        qty = self._qty(symbol, 5_000 * SCALE)
        for _ in range(count):
            out.append(
                PlaceOrder(self.account, self._next_id(), symbol, side, OrderType.MARKET, qty)
            )

    def cross(self, other: "Desk", symbol: str, out: list[Message]) -> None:
        """Sell to ``other`` at the mid price: send a resting order and one that matches it."""
        instrument = self.instruments[symbol]
        top = self.tops[symbol]
        price = (top.bid + top.ask) // 2
        price -= price % instrument.tick
        qty = 2_000 * SCALE * SCALE // price
        qty -= qty % instrument.lot
        for desk, side, time_in_force in (
            (self, SELL, TimeInForce.GTC),
            (other, BUY, TimeInForce.IOC),
        ):
            client_order_id = f"{desk.account}-x{len(out)}-{desk.tops[symbol].update_id}"
            out.append(
                PlaceOrder(
                    desk.account,
                    client_order_id,
                    symbol,
                    side,
                    OrderType.LIMIT,
                    qty,
                    price,
                    time_in_force,
                )
            )

    def on_report(self, report: ExecutionReport) -> None:
        """Book a fill in ``held``, and remove a closed order from ``open``."""
        if report.execution_type is ExecutionType.TRADE:
            instrument = self.instruments[report.symbol]
            value = report.last_price * report.last_qty // SCALE
            sign = 1 if report.side == BUY else -1
            self.held[instrument.base] += sign * report.last_qty
            self.held[instrument.quote] -= sign * value
        if report.status in CLOSED_STATUSES:
            self.open.pop(report.client_order_id, None)

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "held": dict(self.held),
            "open": {i: [o.symbol, o.side, o.qty, o.price] for i, o in self.open.items()},
            "tops": {s: [t.bid, t.ask] for s, t in self.tops.items()},
            "killed": self.killed,
            "malfunction": self.malfunction.state(),
            "last": [self.last.symbol, self.last.side] if self.last is not None else None,
            "fence": self.fence,
            "number": self._number,
        }

    def _next_id(self) -> str:
        self._number += 1
        fence = f"-{self.fence}" if self.fence else ""
        return f"{self._prefix}{fence}-{self._number:06d}"

    def _qty(self, symbol: str, value: int) -> int:
        """Return the quantity that is worth ``value`` at the mid price, in whole lots."""
        qty = value * SCALE // max(self.mid(symbol), 1)
        return qty - qty % self.instruments[symbol].lot

    def _send(
        self,
        symbol: str,
        side: Side,
        kind: OrderType,
        price: int,
        qty: int,
        time_in_force: TimeInForce,
        out: list[Message],
    ) -> str:
        """Send an order, as the malfunction changes it; return its id, or "" if nothing is sent."""
        client_order_id = self._next_id()
        malfunction = self.malfunction
        if malfunction.mode == "wrong-side":
            side = SELL if side == BUY else BUY
            top, tick = self.tops[symbol], self.instruments[symbol].tick
            price = top.ask + top.ask // 1000 if side == BUY else top.bid - top.bid // 1000
            price -= price % tick
            time_in_force = TimeInForce.IOC
        elif malfunction.mode == "fat-finger":
            qty *= malfunction.factor
        if qty <= 0:
            return ""
        order = PlaceOrder(
            self.account, client_order_id, symbol, side, kind, qty, price, time_in_force
        )
        self.open[client_order_id] = order
        self.last = order
        out.append(order)
        return client_order_id
