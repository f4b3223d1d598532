"""What the firm owns, from execution reports; and what other sources say it owns.

Every comparison is as of one trade: a snapshot that says "every trade up to L is in here" is
compared with the own balance without the fills after L, and reports of trades up to L that are
still on their way settle the difference before it counts as a break.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from trading.messages.orders import BUY, ExecutionReport
from trading.messages.risk import Position
from trading.units import SECOND, notional
from trading.universe import Universe

#: How long a report may be on its way when a snapshot already knows its trade.
GRACE = 2 * SECOND

#: Fills that are remembered per account, to know its balance as of an earlier trade.
HISTORY = 2048


class Difference(msgspec.Struct, gc=False):
    """A snapshot's balances less the own ones as of trade ``as_of``, by asset; never zero."""

    amounts: dict[str, int]
    as_of: int
    event_time: int
    seen_at: int


class Account(msgspec.Struct, gc=False):
    """``qty``: own balances, free and locked together. ``included``: trades up to here came with
    a snapshot. ``newest``: trade of the last report. ``remembers_from``: ``fills`` (trade id,
    asset, change) are complete after this trade. ``difference``: not yet a break, by source.
    """

    name: str
    known: bool = False
    qty: dict[str, int] = {}
    included: int = 0
    newest: int = 0
    last_report: tuple[int, int] = (0, 0)
    remembers_from: int = 0
    fills: deque[tuple[int, str, int]] = msgspec.field(default_factory=deque)
    difference: dict[str, Difference] = {}


class Positions:
    """Own balances of every firm account. Start with :meth:`learn`, then :meth:`on_fill`."""

    def __init__(self, universe: Universe) -> None:
        self._instruments = {i.symbol: (i.base, i.quote) for i in universe.instruments}
        self._assets = tuple(a.name for a in universe.assets)
        self.accounts = {name: Account(name) for name in universe.firm_accounts}
        self.totals = dict.fromkeys(self._assets, 0)
        self.last_trade_id = 0
        self.last_fill_time = 0
        self._unknown = len(self.accounts)
        self._reported: tuple[Position, ...] | None = None

    @property
    def complete(self) -> bool:
        """Has every account told its opening balances?"""
        return self._unknown == 0

    def learn(self, account: Account, balances: dict[str, int], as_of: int) -> None:
        """The opening balances, with every trade up to ``as_of`` in them."""
        account.known = True
        self._unknown -= 1
        account.included = as_of
        early = [fill for fill in account.fills if fill[0] > as_of]
        account.remembers_from = as_of
        account.fills = deque(early)
        self.last_trade_id = max(self.last_trade_id, as_of)
        for asset, qty in balances.items():
            self._book(account, asset, qty)
        for _, asset, change in early:
            self._book(account, asset, change)

    def on_fill(self, report: ExecutionReport) -> None:
        """A TRADE report of a firm account; one that is already included changes nothing."""
        account = self.accounts.get(report.account)
        assets = self._instruments.get(report.symbol)
        trade_id = report.trade_id
        this = (trade_id, report.order_id)
        if account is None or assets is None or trade_id <= account.included:
            return
        if trade_id < account.newest or this == account.last_report:
            return
        account.last_report = this
        account.newest = trade_id
        if trade_id > self.last_trade_id:
            self.last_trade_id = trade_id
        self.last_fill_time = report.event_time
        base, quote = assets
        qty = report.last_qty
        value = notional(report.last_price, qty)
        if report.side != BUY:
            qty, value = -qty, -value
        self._change(account, trade_id, base, qty)
        self._change(account, trade_id, quote, -value)

    def compare(
        self,
        account: Account,
        source: str,
        balances: dict[str, int],
        as_of: int,
        event_time: int,
        now: int,
    ) -> bool | None:
        """Compare ``source``'s balances with the own ones. True: equal. False: a difference is
        remembered for :meth:`breaks`. None: cannot be told, or an earlier one is still open.
        """
        if as_of < account.remembers_from or source in account.difference:
            return None
        own = dict(account.qty)
        for trade_id, asset, change in reversed(account.fills):
            if trade_id <= as_of:
                break
            own[asset] -= change
        amounts = {}
        for asset in self._assets:
            amount = balances.get(asset, 0) - own.get(asset, 0)
            if amount:
                amounts[asset] = amount
        if amounts:
            account.difference[source] = Difference(amounts, as_of, event_time, now)
        return not amounts

    def breaks(self, source: str, now: int) -> list[tuple[Account, Difference]]:
        """The differences that no late report explained; each is given once."""
        found = []
        for account in self.accounts.values():
            difference = account.difference.get(source)
            if difference is not None and now - difference.seen_at >= GRACE:
                del account.difference[source]
                if difference.amounts:
                    found.append((account, difference))
        return found

    def adopt(self, account: Account, difference: Difference) -> None:
        """Believe the source: its balances are the own ones from now on."""
        for asset, amount in difference.amounts.items():
            self._book(account, asset, amount)
        account.included = max(account.included, difference.as_of)
        account.remembers_from = max(account.remembers_from, difference.as_of)
        account.difference.clear()
        self.last_trade_id = max(self.last_trade_id, difference.as_of)

    def reported(self) -> tuple[Position, ...]:
        """Every balance that is not zero, by account and asset in the universe's order."""
        if self._reported is None:
            self._reported = tuple(
                Position(account.name, asset, account.qty[asset])
                for account in self.accounts.values()
                for asset in self._assets
                if account.qty.get(asset)
            )
        return self._reported

    def state(self) -> dict[str, Any]:
        return {
            "accounts": {
                name: msgspec.to_builtins(msgspec.structs.replace(account, fills=()))
                | {"fills": list(account.fills)}
                for name, account in self.accounts.items()
            },
            "last_trade_id": self.last_trade_id,
            "last_fill_time": self.last_fill_time,
        }

    def _change(self, account: Account, trade_id: int, asset: str, amount: int) -> None:
        fills = account.fills
        fills.append((trade_id, asset, amount))
        if len(fills) > HISTORY:
            account.remembers_from = max(account.remembers_from, fills.popleft()[0])
        if not account.known:
            return
        self._book(account, asset, amount)
        if account.difference:
            _explain(account.difference.values(), trade_id, asset, amount)

    def _book(self, account: Account, asset: str, amount: int) -> None:
        if asset in self.totals:
            account.qty[asset] = account.qty.get(asset, 0) + amount
            self.totals[asset] += amount
            self._reported = None


def _explain(differences: Iterable[Difference], trade_id: int, asset: str, amount: int) -> None:
    for difference in differences:
        if trade_id <= difference.as_of:
            rest = difference.amounts.get(asset, 0) - amount
            if rest:
                difference.amounts[asset] = rest
            else:
                difference.amounts.pop(asset, None)
