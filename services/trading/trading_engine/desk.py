"""One strategy's access to the exchange: its account, its orders, what it holds."""

from typing import Any

from trading.messages import Message
from trading.messages.market import BookTop
from trading.messages.orders import (
    BUY,
    SELL,
    CancelAllOrders,
    CancelOrder,
    ExecutionReport,
    PlaceOrder,
)
from trading.trading_engine.malfunction import Malfunction
from trading.units import SCALE
from trading.universe import FirmAccount, Universe

_DONE = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})


class Desk:
    """``open``: client order id -> order that is at the venue, or on its way there. ``held``: the
    account's balances by its own execution reports. A malfunction sits between the strategy and
    the wire. ``fence``: number of the lease on the account, 0 without one; part of every order id,
    so that no report about an order of another owner is taken for one of ours.
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
        """Mid price of the last two-sided book, 0 before the first."""
        top = self.tops.get(symbol)
        return (top.bid + top.ask) // 2 if top is not None else 0

    def see(self, top: BookTop) -> None:
        """Books with an empty side say nothing about the price."""
        if top.bid and top.ask:
            self.tops[top.symbol] = top

    def quote(self, symbol: str, side: str, price: int, value: int, out: list[Message]) -> str:
        """A resting limit order for about ``value`` quote units; returns its client order id."""
        tick = self.instruments[symbol].tick
        price -= price % tick if side == BUY else -(-price % tick)
        return self._send(symbol, side, "LIMIT", price, self._qty(symbol, value), "GTC", out)

    def take(self, symbol: str, side: str, value: int, out: list[Message]) -> str:
        """An immediate-or-cancel order for about ``value``, at most 10 bp through the book."""
        top = self.tops[symbol]
        tick = self.instruments[symbol].tick
        price = top.ask + top.ask // 1000 if side == BUY else top.bid - top.bid // 1000
        qty = self._qty(symbol, value)
        return self._send(symbol, side, "LIMIT", price - price % tick, qty, "IOC", out)

    def cancel(self, client_order_id: str, out: list[Message]) -> None:
        order = self.open.get(client_order_id)
        if order is not None:
            out.append(CancelOrder(self.account, order.symbol, client_order_id))

    def cancel_all(self, out: list[Message]) -> None:
        self.open.clear()
        out.append(CancelAllOrders(self.account))

    def repeat(self, count: int, out: list[Message]) -> None:
        """The last order over and over, marketable, whatever the venue says to it."""
        pattern = self.last
        symbol = pattern.symbol if pattern is not None else self.symbols[0]
        side = pattern.side if pattern is not None else BUY
        if symbol not in self.tops:
            return
        qty = self._qty(symbol, 5_000 * SCALE)
        for _ in range(count):
            out.append(PlaceOrder(self.account, self._next_id(), symbol, side, "MARKET", qty))

    def cross(self, other: "Desk", symbol: str, out: list[Message]) -> None:
        """Sell to ``other`` at the mid price: a resting order, and the one that takes it."""
        instrument = self.instruments[symbol]
        top = self.tops[symbol]
        price = (top.bid + top.ask) // 2
        price -= price % instrument.tick
        qty = 2_000 * SCALE * SCALE // price
        qty -= qty % instrument.lot
        for trader, side, terms in ((self, SELL, "GTC"), (other, BUY, "IOC")):
            client_order_id = f"{trader.account}-x{len(out)}-{trader.tops[symbol].update_id}"
            out.append(
                PlaceOrder(
                    trader.account, client_order_id, symbol, side, "LIMIT", qty, price, terms
                )
            )

    def on_report(self, report: ExecutionReport) -> None:
        if report.execution_type == "TRADE":
            instrument = self.instruments[report.symbol]
            value = report.last_price * report.last_qty // SCALE
            sign = 1 if report.side == BUY else -1
            self.held[instrument.base] += sign * report.last_qty
            self.held[instrument.quote] -= sign * value
        if report.status in _DONE:
            self.open.pop(report.client_order_id, None)

    def state(self) -> dict[str, Any]:
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
        qty = value * SCALE // max(self.mid(symbol), 1)
        return qty - qty % self.instruments[symbol].lot

    def _send(
        self,
        symbol: str,
        side: str,
        kind: str,
        price: int,
        qty: int,
        time_in_force: str,
        out: list[Message],
    ) -> str:
        client_order_id = self._next_id()
        malfunction = self.malfunction
        if malfunction.mode == "wrong-side":
            side = SELL if side == BUY else BUY
            top, tick = self.tops[symbol], self.instruments[symbol].tick
            price = top.ask + top.ask // 1000 if side == BUY else top.bid - top.bid // 1000
            price -= price % tick
            time_in_force = "IOC"
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
