"""The balances of the firm's accounts by execution reports, and their comparison with snapshots.

Every comparison is as of one trade. A snapshot that includes every trade up to trade L is compared
with the monitor's own balance without the fills after L. If a report of a trade up to L is still in
transit, the balances differ; the difference counts as a break only if no late report explains it in
time.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from trading.messages.orders import BUY, ExecutionReport
from trading.messages.risk import Position
from trading.units import SECOND, notional
from trading.universe import Universe

#: How long an execution report may be in transit after a snapshot has included its trade.
GRACE = 2 * SECOND

#: Balance changes kept per account, to compute its balance as of an earlier trade.
HISTORY = 2048


class Difference(msgspec.Struct, gc=False):
    """The balances of a snapshot minus the monitor's own balances as of trade ``as_of``.

    ``amounts`` has the differences by asset in units of 1e-8, without zeros. ``event_time`` is when
    the snapshot was taken, and ``received_at`` when it arrived, in simulated microseconds.
    """

    amounts: dict[str, int]
    as_of: int
    event_time: int
    received_at: int


class AccountPosition(msgspec.Struct, gc=False):
    """The balances of one account by execution reports, in units of 1e-8.

    ``initialised`` is true once the opening balances have arrived. ``qty`` has balances by asset,
    free and locked together. ``included`` is the last trade that a snapshot has included,
    ``newest`` the trade of the last report, and ``last_report`` its trade and order id. ``fills``
    has (trade id, asset, change) of every trade after ``remembers_from``. ``difference`` has the
    differences that are not a break yet, by source.
    """

    name: str
    initialised: bool = False
    qty: dict[str, int] = {}
    included: int = 0
    newest: int = 0
    last_report: tuple[int, int] = (0, 0)
    remembers_from: int = 0
    fills: deque[tuple[int, str, int]] = msgspec.field(default_factory=deque)
    difference: dict[str, Difference] = {}


class Positions:
    """Keeps the balances of every firm account: first :meth:`learn`, then :meth:`on_fill`.

    ``accounts`` has the accounts by name, ``totals`` the sums of their balances by asset.
    ``last_trade_id`` is the newest trade that is included, and ``last_fill_time`` the event time of
    the last fill.
    """

    def __init__(self, universe: Universe) -> None:
        self._instruments = {i.symbol: (i.base, i.quote) for i in universe.instruments}
        self._assets = tuple(a.name for a in universe.assets)
        self.accounts = {name: AccountPosition(name) for name in universe.firm_accounts}
        self.totals = dict.fromkeys(self._assets, 0)
        self.last_trade_id = 0
        self.last_fill_time = 0
        self._accounts_missing = len(self.accounts)
        self._reported: tuple[Position, ...] | None = None

    @property
    def complete(self) -> bool:
        """Return whether the opening balances of every account are known."""
        return self._accounts_missing == 0

    def learn(self, account: AccountPosition, balances: dict[str, int], as_of: int) -> None:
        """Set the opening balances of an account, which include every trade up to ``as_of``."""
        account.initialised = True
        self._accounts_missing -= 1
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
        """Apply a TRADE report of a firm account; ignore one that is included already."""
        account = self.accounts.get(report.account)
        assets = self._instruments.get(report.symbol)
        trade_id = report.trade_id
        report_id = (trade_id, report.order_id)
        if account is None or assets is None or trade_id <= account.included:
            return
        if trade_id < account.newest or report_id == account.last_report:
            return
        account.last_report = report_id
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
        account: AccountPosition,
        source: str,
        balances: dict[str, int],
        as_of: int,
        event_time: int,
        now: int,
    ) -> bool | None:
        """Compare the balances that ``source`` reports with those by execution reports.

        Return True if they are equal, and False if they differ: the difference is kept for
        :meth:`breaks`. Return None if they cannot be compared, since the fills after ``as_of`` are
        no longer kept or an earlier difference is still open.
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

    def breaks(self, source: str, now: int) -> list[tuple[AccountPosition, Difference]]:
        """Return the differences that no late report has explained, and forget them."""
        unexplained = []
        for account in self.accounts.values():
            difference = account.difference.get(source)
            if difference is not None and now - difference.received_at >= GRACE:
                del account.difference[source]
                if difference.amounts:
                    unexplained.append((account, difference))
        return unexplained

    def adopt(self, account: AccountPosition, difference: Difference) -> None:
        """Take over the balances of the source of a difference."""
        for asset, amount in difference.amounts.items():
            self._book(account, asset, amount)
        account.included = max(account.included, difference.as_of)
        account.remembers_from = max(account.remembers_from, difference.as_of)
        account.difference.clear()
        self.last_trade_id = max(self.last_trade_id, difference.as_of)

    def reported(self) -> tuple[Position, ...]:
        """Return every balance that is not zero, by account and asset in the universe's order."""
        if self._reported is None:
            self._reported = tuple(
                Position(account.name, asset, account.qty[asset])
                for account in self.accounts.values()
                for asset in self._assets
                if account.qty.get(asset)
            )
        return self._reported

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            "accounts": {
                name: msgspec.to_builtins(msgspec.structs.replace(account, fills=()))
                | {"fills": list(account.fills)}
                for name, account in self.accounts.items()
            },
            "last_trade_id": self.last_trade_id,
            "last_fill_time": self.last_fill_time,
        }

    def _change(self, account: AccountPosition, trade_id: int, asset: str, amount: int) -> None:
        fills = account.fills
        fills.append((trade_id, asset, amount))
        if len(fills) > HISTORY:
            account.remembers_from = max(account.remembers_from, fills.popleft()[0])
        if not account.initialised:
            return
        self._book(account, asset, amount)
        if account.difference:
            _explain(account.difference.values(), trade_id, asset, amount)

    def _book(self, account: AccountPosition, asset: str, amount: int) -> None:
        if asset in self.totals:
            account.qty[asset] = account.qty.get(asset, 0) + amount
            self.totals[asset] += amount
            self._reported = None


def _explain(differences: Iterable[Difference], trade_id: int, asset: str, amount: int) -> None:
    for difference in differences:
        if trade_id <= difference.as_of:
            remaining = difference.amounts.get(asset, 0) - amount
            if remaining:
                difference.amounts[asset] = remaining
            else:
                difference.amounts.pop(asset, None)
