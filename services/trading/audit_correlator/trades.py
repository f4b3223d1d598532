"""The balances of the firm, computed from opening balances and trades alone.

The figures of all other services must equal these.
"""

from bisect import bisect_right
from typing import Any

from trading.messages.audit import Discrepancy, DiscrepancyKind
from trading.messages.orders import Trade
from trading.units import notional
from trading.universe import Universe

#: Number of trades after which the balances that can no longer be claimed are dropped, and the most
#: balances kept for each account and asset if there are no claims.
FORGET_EVERY = 1_000
MAX_TRADES = 100_000


class BalanceHistory:
    """One account's balance of one asset (units of 1e-8) after each trade that changed it, starting
    with the balance ``opening``.
    """

    __slots__ = ("_amounts", "_trade_ids")

    def __init__(self, opening: int) -> None:
        self._trade_ids = [0]
        self._amounts = [opening]

    @property
    def now(self) -> int:
        """Return the balance after the newest trade."""
        return self._amounts[-1]

    @property
    def first(self) -> int:
        """Return the id of the oldest trade after which the balance is known."""
        return self._trade_ids[0]

    def change(self, trade_id: int, amount: int) -> None:
        """Add ``amount`` (may be negative) to the balance, by a trade."""
        self._trade_ids.append(trade_id)
        self._amounts.append(self._amounts[-1] + amount)

    def at(self, trade_id: int) -> int:
        """Return the balance with every trade up to ``trade_id``; the oldest known balance if
        ``trade_id`` is before :attr:`first`.
        """
        return self._amounts[max(bisect_right(self._trade_ids, trade_id) - 1, 0)]

    def forget(self, trade_id: int) -> None:
        """Only what is as of ``trade_id`` or later is asked from now on."""
        dropped = bisect_right(self._trade_ids, trade_id) - 1
        dropped = max(dropped, len(self._trade_ids) - MAX_TRADES)
        if dropped > 0:
            del self._trade_ids[:dropped]
            del self._amounts[:dropped]


class Trades:
    """Keeps the balances of all accounts of ``universe``, trade by trade.

    ``accounts`` has a :class:`BalanceHistory` by account and asset. ``last_trade_id`` is the newest
    trade that was read, and ``kept_from`` the oldest trade as of which every balance is known.
    ``discrepancies`` has the trades that are invalid in themselves.
    """

    def __init__(self, universe: Universe) -> None:
        self._sides = {i.symbol: (i.base, i.quote) for i in universe.instruments}
        self.coins = frozenset(a.name for a in universe.assets if not a.stable)
        assets = [a.name for a in universe.assets]
        self.accounts: dict[str, dict[str, BalanceHistory]] = {
            account.name: {
                asset: BalanceHistory(dict(account.balances).get(asset, 0)) for asset in assets
            }
            for account in universe.accounts
        }
        self.last_trade_id = 0
        self.kept_from = 0
        self._forget_at = FORGET_EVERY
        self.discrepancies: list[Discrepancy] = []

    def add(self, trade: Trade) -> None:
        """Apply a trade to the balances; check its id, its symbol and its value."""
        expected = self.last_trade_id + 1
        if trade.trade_id != expected:
            self.discrepancies.append(
                Discrepancy(
                    DiscrepancyKind.TRADE,
                    "exchange",
                    expected,
                    trade.trade_id,
                    "trade ids have a gap",
                )
            )
        self.last_trade_id = trade.trade_id
        sides = self._sides.get(trade.symbol)
        if sides is None:
            detail = f"trade in unknown symbol {trade.symbol}"
            self.discrepancies.append(
                Discrepancy(DiscrepancyKind.TRADE, "exchange", 0, trade.trade_id, detail)
            )
            return
        value = notional(trade.price, trade.qty)
        if value != trade.quote_qty:
            detail = f"value of trade {trade.trade_id} in {trade.symbol}"
            self.discrepancies.append(
                Discrepancy(DiscrepancyKind.TRADE, "exchange", value, trade.quote_qty, detail)
            )
        base, quote = sides
        for account, sign in ((trade.buyer, 1), (trade.seller, -1)):
            books = self.accounts.get(account)
            if books is not None:
                books[base].change(trade.trade_id, sign * trade.qty)
                books[quote].change(trade.trade_id, -sign * value)

    def forget(self, trade_id: int) -> None:
        """Drop the balances before ``trade_id``, which no later claim can concern."""
        if self.last_trade_id < self._forget_at:
            return
        self._forget_at = self.last_trade_id + FORGET_EVERY
        histories = [history for books in self.accounts.values() for history in books.values()]
        for history in histories:
            history.forget(trade_id)
        # A history that starts after `trade_id` has been cut to its maximum length. One that starts
        # before it has its balance as of `trade_id`, since no trade in between changed it.
        overfull = [h.first for h in histories if h.first > trade_id]
        self.kept_from = max(self.kept_from, trade_id, *overfull)

    def kind(self, asset: str) -> DiscrepancyKind:
        """Return the kind of a discrepancy in this asset."""
        return DiscrepancyKind.POSITION if asset in self.coins else DiscrepancyKind.CASH

    def state(self) -> dict[str, Any]:
        """Return the newest balances, as plain values."""
        return {
            "last_trade_id": self.last_trade_id,
            "balances": {
                name: {asset: history.now for asset, history in books.items()}
                for name, books in self.accounts.items()
            },
        }
