"""What exchange, custodian and risk monitor say the firm has, against what its trades say."""

from collections.abc import Callable, Mapping

from trading.audit_correlator.published import Published
from trading.audit_correlator.trades import Trades
from trading.messages.audit import Discrepancy
from trading.messages.custody import CustodySnapshot, LedgerPosted, TransferCompleted
from trading.messages.orders import AccountSnapshot
from trading.messages.risk import AlertFired, AlertResolved, PortfolioReported
from trading.units import MINUTE, SCALE, format_units

LEDGER = "LEDGER"
PNL = "PNL"

#: Alerts by which the risk monitor itself says that its own records are in doubt.
_CONFESSIONS = frozenset({"execution-unknown", "reconciliation-break"})

#: Of one kind in one place only the first is reported; and no more than this in all.
MAX_DISCREPANCIES = 100

#: How long after mending a wrong position the monitor may still say that it was wrong.
_TIME_TO_CONFESS = MINUTE

#: Asset, expected, actual, as of which trade.
_Wrong = tuple[str, int, int, int]


class Findings:
    """The first discrepancy of each kind and place. ``tell`` hears of each, with the source,
    sequence number and time of the entry that ``judged`` was set to.
    """

    def __init__(self, tell: Callable[[Discrepancy, str, int, int], None]) -> None:
        self.judged = ("", 0, 0)
        self._tell = tell
        self._found: dict[tuple[str, str], Discrepancy] = {}

    def add(self, kind: str, where: str, expected: int, actual: int, detail: str) -> None:
        if len(self._found) < MAX_DISCREPANCIES and (kind, where) not in self._found:
            found = Discrepancy(kind, where, expected, actual, detail)
            self._found[kind, where] = found
            self._tell(found, *self.judged)

    def all(self) -> list[Discrepancy]:
        return list(self._found.values())


class ExchangeClaims:
    """An account at the exchange is what its trades left in it, free and locked together."""

    def __init__(self, trades: Trades, findings: Findings) -> None:
        self._trades = trades
        self._findings = findings

    def on_account(self, claim: AccountSnapshot) -> None:
        books = self._trades.accounts.get(claim.account)
        if books is None:
            return
        held = {b.asset: b.free + b.locked for b in claim.balances}
        for asset, history in books.items():
            expected, actual = history.at(claim.last_trade_id), held.get(asset, 0)
            if expected != actual:
                where = f"exchange/{claim.account}/{asset}"
                detail = _off("exchange", expected, actual, asset, claim.last_trade_id)
                self._findings.add(self._trades.kind(asset), where, expected, actual, detail)


class CustodianClaims:
    """The ledger sums to zero; settled is what it says; settled and pending are the trades'."""

    def __init__(self, trades: Trades, findings: Findings) -> None:
        self._trades = trades
        self._findings = findings
        self._ledger: dict[tuple[str, str], int] = {}
        self._entries = 0
        self._transferred: dict[tuple[str, str], int] = {}

    def on_posting(self, entry: LedgerPosted) -> None:
        self._entries += 1
        if entry.entry_id != self._entries:
            detail = f"ledger entry {self._entries} is missing"
            self._findings.add(LEDGER, "custodian", self._entries, entry.entry_id, detail)
            self._entries = entry.entry_id
        sums: dict[str, int] = {}
        for leg in entry.postings:
            key = (leg.account, leg.asset)
            self._ledger[key] = self._ledger.get(key, 0) + leg.amount
            sums[leg.asset] = sums.get(leg.asset, 0) + leg.amount
        for asset, total in sums.items():
            if total:
                detail = f"entry {entry.entry_id} ({entry.cause}) does not sum to zero"
                self._findings.add(LEDGER, f"custodian/{asset}", 0, total, detail)

    def on_transfer(self, transfer: TransferCompleted) -> None:
        """The exchange knows nothing of what came from or went outside."""
        sign = 1 if transfer.kind == "deposit" else -1
        key = (transfer.account, transfer.asset)
        self._transferred[key] = self._transferred.get(key, 0) + sign * transfer.amount

    def on_custody(self, claim: CustodySnapshot) -> None:
        held = {(b.account, b.asset): b for b in claim.balances}
        for account, books in self._trades.accounts.items():
            for asset, history in books.items():
                key = (account, asset)
                balance = held.get(key)
                settled, pending = (balance.settled, balance.pending) if balance else (0, 0)
                where = f"custodian/{account}/{asset}"
                booked = self._ledger.get(key, 0)
                if settled != booked:
                    detail = f"settled balance is not what the ledger's entries add up to ({asset})"
                    self._findings.add(LEDGER, where, booked, settled, detail)
                expected = history.at(claim.last_trade_id) + self._transferred.get(key, 0)
                actual = settled + pending
                if expected != actual:
                    detail = _off("custodian", expected, actual, asset, claim.last_trade_id)
                    self._findings.add(self._trades.kind(asset), where, expected, actual, detail)


class MonitorClaims:
    """Positions, equity and P&L of the risk monitor.

    A wrong position that the monitor has mended is no discrepancy if its own alert of it
    (execution-unknown) was firing or came within a minute: it had lost reports, and said so.
    ``published``: every price that the market data service has published.
    """

    def __init__(self, trades: Trades, findings: Findings, published: Published) -> None:
        self._trades = trades
        self._findings = findings
        self._published = published
        self._opening: int | None = None
        self._wrong: dict[str, list[_Wrong]] = {}
        self._mended: dict[str, tuple[list[_Wrong], int]] = {}
        self._confessed: dict[str, None] = {}

    def on_alert(self, alert: AlertFired) -> None:
        if alert.rule in _CONFESSIONS:
            self._confessed[alert.subject] = None
            self._mended.pop(alert.subject, None)

    def on_resolved(self, alert: AlertResolved) -> None:
        if alert.rule in _CONFESSIONS and alert.subject not in self._wrong:
            self._confessed.pop(alert.subject, None)

    def on_portfolio(self, claim: PortfolioReported) -> None:
        held: dict[str, dict[str, int]] = {}
        for position in claim.positions:
            held.setdefault(position.account, {})[position.asset] = position.qty
        totals: dict[str, int] = {}
        for account, books in self._trades.accounts.items():
            own = held.get(account, {})
            wrong = []
            for asset, history in books.items():
                expected, actual = history.at(claim.last_trade_id), own.get(asset, 0)
                totals[asset] = totals.get(asset, 0) + actual
                if expected != actual:
                    wrong.append((asset, expected, actual, claim.last_trade_id))
            self._judge_positions(account, wrong, claim.event_time)
        self._judge_value(claim, totals)

    def finish(self) -> None:
        """What is wrong at the end has not been mended."""
        for account, wrong in self._wrong.items():
            self._report(account, wrong)
        for account, (wrong, _) in self._mended.items():
            self._report(account, wrong)

    def _judge_positions(self, account: str, wrong: list[_Wrong], at: int) -> None:
        if account in self._mended and at > self._mended[account][1] + _TIME_TO_CONFESS:
            self._report(account, self._mended.pop(account)[0])
        if wrong:
            self._wrong.setdefault(account, wrong)
        elif account in self._wrong:
            mended = self._wrong.pop(account)
            if account not in self._confessed:
                self._mended.setdefault(account, (mended, at))

    def _report(self, account: str, wrong: list[_Wrong]) -> None:
        for asset, expected, actual, trade_id in wrong:
            where = f"risk-monitor/{account}/{asset}"
            detail = _off("risk monitor", expected, actual, asset, trade_id)
            self._findings.add(self._trades.kind(asset), where, expected, actual, detail)

    def _judge_value(self, claim: PortfolioReported, totals: Mapping[str, int]) -> None:
        equity = 0
        for mark in claim.marks:
            equity += totals.get(mark.asset, 0) * mark.price // SCALE
            if not self._published.claim(mark.asset, mark.price, claim.event_time):
                detail = f"mark price of {mark.asset} was never published"
                self._findings.add(PNL, f"risk-monitor/{mark.asset}", 0, mark.price, detail)
        if claim.equity != equity:
            detail = _off("risk monitor", equity, claim.equity, "USD equity", claim.last_trade_id)
            self._findings.add(PNL, "risk-monitor/equity", equity, claim.equity, detail)
        if self._opening is None:
            self._opening = equity
        pnl = equity - self._opening
        if claim.pnl != pnl:
            detail = _off("risk monitor", pnl, claim.pnl, "USD P&L", claim.last_trade_id)
            self._findings.add(PNL, "risk-monitor/pnl", pnl, claim.pnl, detail)


def _off(who: str, expected: int, actual: int, what: str, trade_id: int) -> str:
    return (
        f"{who} says {format_units(actual)} {what}, trades up to {trade_id} "
        f"make {format_units(expected)}"
    )
