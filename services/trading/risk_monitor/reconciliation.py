"""Own records against the exchange's and the custodian's, and settlements that are late."""

from typing import Any

from trading.messages import Message
from trading.messages.custody import CustodyQuery, CustodySnapshot
from trading.messages.orders import AccountQuery, AccountSnapshot
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.positions import Account, Difference, Positions
from trading.risk_monitor.rules import Controls
from trading.risk_monitor.streaks import Streaks
from trading.risk_monitor.surveillance import Surveillance
from trading.topology import CUSTODIAN, EXCHANGE, RISK_MONITOR
from trading.units import format_units
from trading.universe import Universe

#: Snapshots in a row that must show an unexplained number of open orders.
LOOKS = 3


class Reconciliation:
    """Asks for snapshots every ``every`` microseconds, and at each beat until all are known."""

    def __init__(
        self,
        universe: Universe,
        controls: Controls,
        alerts: AlertBook,
        positions: Positions,
        surveillance: Surveillance,
        *,
        every: int,
    ) -> None:
        self._alerts = alerts
        self._positions = positions
        self._surveillance = surveillance
        self._every = every
        self._overdue = controls.value("settlement-overdue")
        self._break = controls.limit("reconciliation-break")
        self._unknown = controls.value("execution-unknown")
        self._accounts = universe.firm_accounts
        self._assets = tuple(a.name for a in universe.assets)
        self._orders_apart = Streaks(LOOKS)
        self._asked_at = 0
        self._number = 0

    def ask(self, now: int) -> list[Message]:
        if self._positions.complete and now - self._asked_at < self._every:
            return []
        self._asked_at = now
        self._number += 1
        request_id = f"reconcile-{self._number}"
        asked: list[Message] = [AccountQuery(RISK_MONITOR, a, request_id) for a in self._accounts]
        return [*asked, CustodyQuery(RISK_MONITOR, request_id)]

    def on_account(self, snapshot: AccountSnapshot, now: int) -> None:
        account = self._positions.accounts.get(snapshot.account)
        if account is None:
            return
        balances = {b.asset: b.free + b.locked for b in snapshot.balances}
        if not account.known:
            self._positions.learn(account, balances, snapshot.last_trade_id)
            return
        self._positions.compare(
            account, EXCHANGE, balances, snapshot.last_trade_id, snapshot.event_time, now
        )
        self._judge_open_orders(snapshot, now)

    def on_custody(self, snapshot: CustodySnapshot, now: int) -> None:
        held: dict[str, dict[str, int]] = {name: {} for name in self._accounts}
        for balance in snapshot.balances:
            account = held.get(balance.account)
            if account is not None:
                account[balance.asset] = balance.settled + balance.pending
        for name, balances in held.items():
            account_ = self._positions.accounts[name]
            if account_.known:
                equal = self._positions.compare(
                    account_, CUSTODIAN, balances, snapshot.last_trade_id, snapshot.event_time, now
                )
                if equal:
                    self._alerts.clear("reconciliation-break", name, now)
        self._judge_overdue(snapshot, now)

    def evaluate(self, now: int) -> None:
        """What no late report has explained is a break; the exchange's word then counts."""
        for account, difference in self._positions.breaks(EXCHANGE, now):
            if self._unknown is not None:
                text = f"{_text(difference)} unexplained"
                alerts = self._alerts
                alerts.notice("execution-unknown", account.name, text, difference.event_time, now)
            self._positions.adopt(account, difference)
        for account, difference in self._positions.breaks(CUSTODIAN, now):
            self._judge_break(account, difference, now)

    def state(self) -> dict[str, Any]:
        return {
            "asked_at": self._asked_at,
            "number": self._number,
            "orders_apart": self._orders_apart.state(),
        }

    def _judge_break(self, account: Account, difference: Difference, now: int) -> None:
        limit = self._break
        if limit is None:
            return
        worst = max(abs(amount) for amount in difference.amounts.values())
        if worst > limit.value:
            text = f"custodian {_text(difference)}"
            self._alerts.breach(
                "reconciliation-break", account.name, text, difference.event_time, now
            )

    def _judge_open_orders(self, snapshot: AccountSnapshot, now: int) -> None:
        if self._unknown is None:
            return
        name = snapshot.account
        own = self._surveillance.open_orders(name)
        since = self._orders_apart.first(name, snapshot.open_orders != own, snapshot.event_time)
        if since:
            text = f"{snapshot.open_orders} open orders, {own} by execution reports"
            self._alerts.notice("execution-unknown", name, text, since, now)

    def _judge_overdue(self, snapshot: CustodySnapshot, now: int) -> None:
        limit = self._overdue
        if limit is None:
            return
        oldest: dict[str, int] = {}
        for late in snapshot.overdue:
            date = late.settlement_date
            oldest[late.asset] = min(oldest.get(late.asset, date), date)
        for asset in self._assets:
            date_ = oldest.get(asset)
            if date_ is not None and now - date_ > limit:
                self._alerts.breach("settlement-overdue", asset, now - date_, date_, now)
            elif date_ is None and self._alerts.active:
                self._alerts.clear("settlement-overdue", asset, now)


def _text(difference: Difference) -> str:
    return ", ".join(
        f"{'+' if amount > 0 else ''}{format_units(amount)} {asset}"
        for asset, amount in difference.amounts.items()
    )
