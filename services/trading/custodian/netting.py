"""Nets trades by account and asset, until a settlement cycle closes the netting."""

from typing import Any

import msgspec

from trading.messages.orders import Trade
from trading.universe import Universe


class Net(msgspec.Struct, gc=False):
    """What an account owes (``amount`` < 0) or is owed in one asset, and from how many trades."""

    account: str
    asset: str
    amount: int
    trades: int
    last_trade_id: int


class _Flow(msgspec.Struct, gc=False):
    """Running net of one account in one symbol, in both of its assets."""

    base: int = 0
    quote: int = 0
    trades: int = 0
    last_trade_id: int = 0


class Netting:
    """Adds every trade exactly once and in the order of trade ids, in whatever order they arrive.

    A trade after a gap waits until the gap is filled, so :attr:`last_trade_id` always means that
    every trade up to it is in the nets. A trade belongs to the netting that is open when the
    custodian receives it: one that arrives late, after an outage, settles late, but it settles.
    """

    def __init__(self, universe: Universe) -> None:
        self._sides = {i.symbol: (i.base, i.quote) for i in universe.instruments}
        self._flows: dict[str, dict[str, _Flow]] = {i.symbol: {} for i in universe.instruments}
        self._waiting: dict[int, Trade] = {}
        self._prices: dict[str, tuple[int, int]] = {}
        self.last_trade_id = 0

    def add(self, trade: Trade) -> None:
        """Add a trade, and those that were waiting for it. A duplicate is ignored."""
        expected = self.last_trade_id + 1
        if trade.trade_id == expected:
            self._book(trade)
            if self._waiting:
                self._release()
        elif trade.trade_id > expected:
            self._waiting.setdefault(trade.trade_id, trade)

    def open_nets(self) -> list[Net]:
        """Return the nets since the last :meth:`close`, without those that are zero."""
        nets: dict[tuple[str, str], Net] = {}
        for symbol, flows in self._flows.items():
            base, quote = self._sides[symbol]
            for account, flow in flows.items():
                for asset, amount in ((base, flow.base), (quote, flow.quote)):
                    net = nets.get((account, asset))
                    if net is None:
                        net = nets[account, asset] = Net(account, asset, 0, 0, 0)
                    net.amount += amount
                    net.trades += flow.trades
                    net.last_trade_id = max(net.last_trade_id, flow.last_trade_id)
        return [net for net in nets.values() if net.amount]

    def close(self) -> list[Net]:
        """Return the nets and start again from zero."""
        nets = self.open_nets()
        for flows in self._flows.values():
            flows.clear()
        return nets

    def value(self, asset: str, amount: int) -> tuple[str, int]:
        """Return ``(quote asset, value)`` of an amount, at the price of the asset's last trade.

        An asset that was never traded as a base is its own value: ``(asset, amount)``.
        """
        for symbol, (base, quote) in self._sides.items():
            if base == asset and symbol in self._prices:
                qty, quote_qty = self._prices[symbol]
                return quote, amount * quote_qty // qty
        return asset, amount

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "last_trade_id": self.last_trade_id,
            "flows": msgspec.to_builtins(self._flows),
            "held": [msgspec.to_builtins(t) for _, t in sorted(self._waiting.items())],
            "prices": {symbol: list(price) for symbol, price in self._prices.items()},
        }

    def _book(self, trade: Trade) -> None:
        self.last_trade_id = trade_id = trade.trade_id
        flows = self._flows.get(trade.symbol)
        if flows is None:
            return
        qty, quote_qty = trade.qty, trade.quote_qty
        buyer = flows.get(trade.buyer)
        if buyer is None:
            buyer = flows[trade.buyer] = _Flow()
        buyer.base += qty
        buyer.quote -= quote_qty
        buyer.trades += 1
        buyer.last_trade_id = trade_id
        seller = flows.get(trade.seller)
        if seller is None:
            seller = flows[trade.seller] = _Flow()
        seller.base -= qty
        seller.quote += quote_qty
        seller.last_trade_id = trade_id
        if seller is not buyer:
            seller.trades += 1
        if qty > 0:
            self._prices[trade.symbol] = (qty, quote_qty)

    def _release(self) -> None:
        """Book the waiting trades that are next in order."""
        waiting = self._waiting
        while (trade := waiting.pop(self.last_trade_id + 1, None)) is not None:
            self._book(trade)
