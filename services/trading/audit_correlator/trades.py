"""Balances from opening balances and trades alone: what everybody else's figures must equal."""

from bisect import bisect_right
from typing import Any

from trading.messages.audit import Discrepancy
from trading.messages.orders import Trade
from trading.units import notional
from trading.universe import Universe

TRADE = "TRADE"
POSITION = "POSITION"
CASH = "CASH"


#: Trades after which those that nobody can claim any more are forgotten, and the most that one
#: account's balance of one asset is known after, however long nobody claims.
FORGET_EVERY = 1_000
MAX_TRADES = 100_000


class History:
    """One account's balance of one asset after each trade that changed it."""

    __slots__ = ("_amounts", "_trade_ids")

    def __init__(self, opening: int) -> None:
        self._trade_ids = [0]
        self._amounts = [opening]

    @property
    def now(self) -> int:
        return self._amounts[-1]

    @property
    def first(self) -> int:
        """The oldest trade after which the balance is known."""
        return self._trade_ids[0]

    def change(self, trade_id: int, amount: int) -> None:
        self._trade_ids.append(trade_id)
        self._amounts.append(self._amounts[-1] + amount)

    def at(self, trade_id: int) -> int:
        """The balance with every trade up to ``trade_id`` in it, which is :attr:`first` or later;
        the oldest one that is known for an earlier one.
        """
        return self._amounts[max(bisect_right(self._trade_ids, trade_id) - 1, 0)]

    def forget(self, trade_id: int) -> None:
        """Only what is as of ``trade_id`` or later is asked from now on."""
        gone = bisect_right(self._trade_ids, trade_id) - 1
        gone = max(gone, len(self._trade_ids) - MAX_TRADES)
        if gone > 0:
            del self._trade_ids[:gone]
            del self._amounts[:gone]


class Trades:
    """The firm's balances from trade to trade. ``last_trade_id``: the newest trade read;
    ``kept_from``: the oldest as of which every balance is known.
    """

    def __init__(self, universe: Universe) -> None:
        self._sides = {i.symbol: (i.base, i.quote) for i in universe.instruments}
        self.coins = frozenset(a.name for a in universe.assets if not a.stable)
        assets = [a.name for a in universe.assets]
        self.accounts: dict[str, dict[str, History]] = {
            account.name: {asset: History(dict(account.balances).get(asset, 0)) for asset in assets}
            for account in universe.accounts
        }
        self.last_trade_id = 0
        self.kept_from = 0
        self._forget_at = FORGET_EVERY
        self.discrepancies: list[Discrepancy] = []

    def add(self, trade: Trade) -> None:
        expected = self.last_trade_id + 1
        if trade.trade_id != expected:
            self.discrepancies.append(
                Discrepancy(TRADE, "exchange", expected, trade.trade_id, "trade ids have a gap")
            )
        self.last_trade_id = trade.trade_id
        sides = self._sides.get(trade.symbol)
        if sides is None:
            detail = f"trade in unknown symbol {trade.symbol}"
            self.discrepancies.append(Discrepancy(TRADE, "exchange", 0, trade.trade_id, detail))
            return
        value = notional(trade.price, trade.qty)
        if value != trade.quote_qty:
            detail = f"value of trade {trade.trade_id} in {trade.symbol}"
            self.discrepancies.append(
                Discrepancy(TRADE, "exchange", value, trade.quote_qty, detail)
            )
        base, quote = sides
        for account, sign in ((trade.buyer, 1), (trade.seller, -1)):
            books = self.accounts.get(account)
            if books is not None:
                books[base].change(trade.trade_id, sign * trade.qty)
                books[quote].change(trade.trade_id, -sign * value)

    def forget(self, trade_id: int) -> None:
        """Everybody claims what is as of ``trade_id`` or later from now on."""
        if self.last_trade_id < self._forget_at:
            return
        self._forget_at = self.last_trade_id + FORGET_EVERY
        histories = [history for books in self.accounts.values() for history in books.values()]
        for history in histories:
            history.forget(trade_id)
        # Where no trade was, the oldest balance is from before, and still that of the trade.
        overfull = [h.first for h in histories if h.first > trade_id]
        self.kept_from = max(self.kept_from, trade_id, *overfull)

    def kind(self, asset: str) -> str:
        """Of a discrepancy in this asset."""
        return POSITION if asset in self.coins else CASH

    def state(self) -> dict[str, Any]:
        return {
            "last_trade_id": self.last_trade_id,
            "balances": {
                name: {asset: history.now for asset, history in books.items()}
                for name, books in self.accounts.items()
            },
        }
