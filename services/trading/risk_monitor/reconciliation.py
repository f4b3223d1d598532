"""Reconcile the firm's records with the exchange's and the custodian's, and find late settlements.

A difference to the exchange means that execution reports were lost: it is reported, and the
exchange's balances are adopted. A difference to the custodian is a reconciliation break until the
balances are equal again.
"""

from typing import Any

from trading.messages import Message
from trading.messages.custody import CustodyQuery, CustodySnapshot
from trading.messages.orders import AccountQuery, AccountSnapshot
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.positions import AccountPosition, Difference, Positions
from trading.risk_monitor.rules import Controls
from trading.risk_monitor.streaks import Streaks
from trading.risk_monitor.surveillance import Surveillance
from trading.topology import CUSTODIAN, EXCHANGE, RISK_MONITOR
from trading.units import format_units
from trading.universe import Universe

#: A difference in open orders must show in this many consecutive snapshots.
REQUIRED_SNAPSHOTS = 3


class Reconciliation:
    """Requests snapshots, and compares them with the balances by execution reports.

    ``positions`` has those balances, and ``surveillance`` counts the open orders. Snapshots
    are requested every ``interval`` simulated microseconds, and at each beat until all opening
    balances are known.
    """

    def __init__(
        self,
        universe: Universe,
        controls: Controls,
        alerts: AlertBook,
        positions: Positions,
        surveillance: Surveillance,
        *,
        interval: int,
    ) -> None:
        self._alerts = alerts
        self._positions = positions
        self._surveillance = surveillance
        self._interval = interval
        self._overdue_limit = controls.value("settlement-overdue")
        self._break_limit = controls.limit("reconciliation-break")
        self._unknown_limit = controls.value("execution-unknown")
        self._accounts = universe.firm_accounts
        self._assets = tuple(a.name for a in universe.assets)
        self._order_streaks = Streaks(REQUIRED_SNAPSHOTS)
        self._queried_at = 0
        self._last_query = 0

    def queries(self, now: int) -> list[Message]:
        """Return the queries for snapshots if it is time for them, otherwise nothing."""
        if self._positions.complete and now - self._queried_at < self._interval:
            return []
        self._queried_at = now
        self._last_query += 1
        request_id = f"reconcile-{self._last_query}"
        queries: list[Message] = [AccountQuery(RISK_MONITOR, a, request_id) for a in self._accounts]
        return [*queries, CustodyQuery(RISK_MONITOR, request_id)]

    def on_account(self, snapshot: AccountSnapshot, now: int) -> None:
        """Compare the exchange's snapshot of an account, or learn the opening balances from it."""
        account = self._positions.accounts.get(snapshot.account)
        if account is None:
            return
        balances = {b.asset: b.free + b.locked for b in snapshot.balances}
        if not account.initialised:
            self._positions.learn(account, balances, snapshot.last_trade_id)
            return
        self._positions.compare(
            account, EXCHANGE, balances, snapshot.last_trade_id, snapshot.event_time, now
        )
        self._judge_open_orders(snapshot, now)

    def on_custody(self, snapshot: CustodySnapshot, now: int) -> None:
        """Compare the custodian's snapshot of all accounts, and look for late settlements."""
        reported: dict[str, dict[str, int]] = {name: {} for name in self._accounts}
        for balance in snapshot.balances:
            amounts = reported.get(balance.account)
            if amounts is not None:
                amounts[balance.asset] = balance.settled + balance.pending
        for name, balances in reported.items():
            account = self._positions.accounts[name]
            if account.initialised:
                equal = self._positions.compare(
                    account, CUSTODIAN, balances, snapshot.last_trade_id, snapshot.event_time, now
                )
                if equal:
                    self._alerts.clear("reconciliation-break", name, now)
        self._judge_overdue(snapshot, now)

    def evaluate(self, now: int) -> None:
        """Report the differences that no late report has explained, and adopt the exchange's
        balances.
        """
        for account, difference in self._positions.breaks(EXCHANGE, now):
            if self._unknown_limit is not None:
                text = f"{_describe(difference)} unexplained"
                alerts = self._alerts
                alerts.notice("execution-unknown", account.name, text, difference.event_time, now)
            self._positions.adopt(account, difference)
        for account, difference in self._positions.breaks(CUSTODIAN, now):
            self._judge_break(account, difference, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            "asked_at": self._queried_at,
            "number": self._last_query,
            "orders_apart": self._order_streaks.state(),
        }

    def _judge_break(self, account: AccountPosition, difference: Difference, now: int) -> None:
        limit = self._break_limit
        if limit is None:
            return
        worst = max(abs(amount) for amount in difference.amounts.values())
        if worst > limit.value:
            text = f"custodian {_describe(difference)}"
            self._alerts.breach(
                "reconciliation-break", account.name, text, difference.event_time, now
            )

    def _judge_open_orders(self, snapshot: AccountSnapshot, now: int) -> None:
        if self._unknown_limit is None:
            return
        name = snapshot.account
        own = self._surveillance.open_orders(name)
        since = self._order_streaks.update(name, snapshot.open_orders != own, snapshot.event_time)
        if since:
            text = f"{snapshot.open_orders} open orders, {own} by execution reports"
            self._alerts.notice("execution-unknown", name, text, since, now)

    def _judge_overdue(self, snapshot: CustodySnapshot, now: int) -> None:
        limit = self._overdue_limit
        if limit is None:
            return
        oldest: dict[str, int] = {}
        for settlement in snapshot.overdue:
            date = settlement.settlement_date
            asset = settlement.asset
            oldest[asset] = min(oldest.get(asset, date), date)
        for asset in self._assets:
            due = oldest.get(asset)
            if due is not None and now - due > limit:
                self._alerts.breach("settlement-overdue", asset, now - due, due, now)
            elif due is None and self._alerts.active:
                self._alerts.clear("settlement-overdue", asset, now)


def _describe(difference: Difference) -> str:
    return ", ".join(
        f"{'+' if amount > 0 else ''}{format_units(amount)} {asset}"
        for asset, amount in difference.amounts.items()
    )
