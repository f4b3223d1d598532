"""Compare what exchange, custodian and risk monitor report with what the trades of the firm imply.

Each service claims balances, positions or values as of a trade. The auditor computes the same from
the opening balances and the trades alone, and reports the first difference of each kind and place.
"""

from collections.abc import Callable, Mapping

from trading.audit_correlator.published import PublishedPrices
from trading.audit_correlator.trades import Trades
from trading.messages.audit import Discrepancy, DiscrepancyKind
from trading.messages.custody import CustodySnapshot, LedgerPosted, TransferCompleted
from trading.messages.orders import AccountSnapshot
from trading.messages.risk import AlertFired, AlertResolved, PortfolioReported
from trading.units import MINUTE, SCALE, format_units

#: Alerts by which the risk monitor itself reports that its records are wrong.
_ADMISSIONS = frozenset({"execution-unknown", "reconciliation-break"})

#: Only the first discrepancy of each kind and place is reported, and at most this many in total.
MAX_DISCREPANCIES = 100

#: How long after correcting a position the risk monitor may still report that it was wrong.
_ADMISSION_WINDOW = MINUTE

#: A wrong balance: asset, expected amount, claimed amount, as of which trade.
_Error = tuple[str, int, int, int]


class Findings:
    """Collects the first discrepancy of each kind and place.

    ``on_found`` is called with each discrepancy, and with the source, sequence number and time of
    the entry that is being checked. The caller sets these in ``current_entry`` before each check.
    """

    def __init__(self, on_found: Callable[[Discrepancy, str, int, int], None]) -> None:
        self.current_entry = ("", 0, 0)
        self._on_found = on_found
        self._discrepancies: dict[tuple[DiscrepancyKind, str], Discrepancy] = {}

    def add(
        self, kind: DiscrepancyKind, where: str, expected: int, actual: int, detail: str
    ) -> None:
        """Add a discrepancy, unless there is one of this kind and place or there are too many.
        ``where`` is a path that begins with the service.
        """
        if (
            len(self._discrepancies) < MAX_DISCREPANCIES
            and (kind, where) not in self._discrepancies
        ):
            discrepancy = Discrepancy(kind, where, expected, actual, detail)
            self._discrepancies[kind, where] = discrepancy
            self._on_found(discrepancy, *self.current_entry)

    def all(self) -> list[Discrepancy]:
        """Return the discrepancies in the order in which they were detected."""
        return list(self._discrepancies.values())


class ExchangeClaims:
    """Checks account snapshots of the exchange: free and locked balances together must equal the
    opening balance plus all trades.
    """

    def __init__(self, trades: Trades, findings: Findings) -> None:
        self._trades = trades
        self._findings = findings

    def on_account(self, claim: AccountSnapshot) -> None:
        """Check every balance of a snapshot; ignore accounts that are not of the universe."""
        books = self._trades.accounts.get(claim.account)
        if books is None:
            return
        claimed = {b.asset: b.free + b.locked for b in claim.balances}
        for asset, history in books.items():
            expected, actual = history.at(claim.last_trade_id), claimed.get(asset, 0)
            if expected != actual:
                where = f"exchange/{claim.account}/{asset}"
                detail = _describe("exchange", expected, actual, asset, claim.last_trade_id)
                self._findings.add(self._trades.kind(asset), where, expected, actual, detail)


class CustodianClaims:
    """Checks the custodian's ledger and its snapshots.

    Each ledger entry must sum to zero, the settled balance must equal the sum of the postings, and
    settled and pending balances together must equal the trades plus the transfers.
    """

    def __init__(self, trades: Trades, findings: Findings) -> None:
        self._trades = trades
        self._findings = findings
        self._ledger: dict[tuple[str, str], int] = {}
        self._entries = 0
        self._transferred: dict[tuple[str, str], int] = {}

    def on_posting(self, entry: LedgerPosted) -> None:
        """Check one ledger entry: its number must be the next one, and its postings sum to zero."""
        self._entries += 1
        if entry.entry_id != self._entries:
            detail = f"ledger entry {self._entries} is missing"
            self._findings.add(
                DiscrepancyKind.LEDGER, "custodian", self._entries, entry.entry_id, detail
            )
            self._entries = entry.entry_id
        sums: dict[str, int] = {}
        for leg in entry.postings:
            key = (leg.account, leg.asset)
            self._ledger[key] = self._ledger.get(key, 0) + leg.amount
            sums[leg.asset] = sums.get(leg.asset, 0) + leg.amount
        for asset, total in sums.items():
            if total:
                detail = f"entry {entry.entry_id} ({entry.cause}) does not sum to zero"
                self._findings.add(DiscrepancyKind.LEDGER, f"custodian/{asset}", 0, total, detail)

    def on_transfer(self, transfer: TransferCompleted) -> None:
        """Remember a deposit or withdrawal, which is not in the trades of the exchange."""
        sign = 1 if transfer.kind == "deposit" else -1
        key = (transfer.account, transfer.asset)
        self._transferred[key] = self._transferred.get(key, 0) + sign * transfer.amount

    def on_custody(self, claim: CustodySnapshot) -> None:
        """Check every balance of a snapshot."""
        claimed = {(b.account, b.asset): b for b in claim.balances}
        for account, books in self._trades.accounts.items():
            for asset, history in books.items():
                key = (account, asset)
                balance = claimed.get(key)
                settled, pending = (balance.settled, balance.pending) if balance else (0, 0)
                where = f"custodian/{account}/{asset}"
                booked = self._ledger.get(key, 0)
                if settled != booked:
                    detail = f"settled balance is not what the ledger's entries add up to ({asset})"
                    self._findings.add(DiscrepancyKind.LEDGER, where, booked, settled, detail)
                expected = history.at(claim.last_trade_id) + self._transferred.get(key, 0)
                actual = settled + pending
                if expected != actual:
                    detail = _describe("custodian", expected, actual, asset, claim.last_trade_id)
                    self._findings.add(self._trades.kind(asset), where, expected, actual, detail)


class MonitorClaims:
    """Checks positions, equity and profit that the risk monitor reports.

    The risk monitor may lose execution reports. A wrong position that it has corrected is no
    discrepancy if its own alert about it was firing, or fires within a minute: then it has noticed
    the loss itself. ``published`` has every price that the market data service has published.
    """

    def __init__(self, trades: Trades, findings: Findings, published: PublishedPrices) -> None:
        self._trades = trades
        self._findings = findings
        self._published = published
        self._opening: int | None = None
        self._errors: dict[str, list[_Error]] = {}
        self._corrected: dict[str, tuple[list[_Error], int]] = {}
        self._admitted: dict[str, None] = {}

    def on_alert(self, alert: AlertFired) -> None:
        """Remember that the risk monitor has reported that an account's records are wrong."""
        if alert.rule in _ADMISSIONS:
            self._admitted[alert.subject] = None
            self._corrected.pop(alert.subject, None)

    def on_resolved(self, alert: AlertResolved) -> None:
        """Forget such an alert when it is resolved and the positions are correct."""
        if alert.rule in _ADMISSIONS and alert.subject not in self._errors:
            self._admitted.pop(alert.subject, None)

    def on_portfolio(self, claim: PortfolioReported) -> None:
        """Check the positions and the valuation of a portfolio report."""
        claimed_by_account: dict[str, dict[str, int]] = {}
        for position in claim.positions:
            claimed_by_account.setdefault(position.account, {})[position.asset] = position.qty
        totals: dict[str, int] = {}
        for account, books in self._trades.accounts.items():
            claimed = claimed_by_account.get(account, {})
            errors = []
            for asset, history in books.items():
                expected, actual = history.at(claim.last_trade_id), claimed.get(asset, 0)
                totals[asset] = totals.get(asset, 0) + actual
                if expected != actual:
                    errors.append((asset, expected, actual, claim.last_trade_id))
            self._judge_positions(account, errors, claim.event_time)
        self._judge_value(claim, totals)

    def finish(self) -> None:
        """Report the positions that are wrong at the end, or were corrected without an alert."""
        for account, errors in self._errors.items():
            self._report(account, errors)
        for account, (errors, _) in self._corrected.items():
            self._report(account, errors)

    def _judge_positions(self, account: str, errors: list[_Error], at: int) -> None:
        if account in self._corrected and at > self._corrected[account][1] + _ADMISSION_WINDOW:
            self._report(account, self._corrected.pop(account)[0])
        if errors:
            self._errors.setdefault(account, errors)
        elif account in self._errors:
            corrected = self._errors.pop(account)
            if account not in self._admitted:
                self._corrected.setdefault(account, (corrected, at))

    def _report(self, account: str, errors: list[_Error]) -> None:
        for asset, expected, actual, trade_id in errors:
            where = f"risk-monitor/{account}/{asset}"
            detail = _describe("risk monitor", expected, actual, asset, trade_id)
            self._findings.add(self._trades.kind(asset), where, expected, actual, detail)

    def _judge_value(self, claim: PortfolioReported, totals: Mapping[str, int]) -> None:
        equity = 0
        for mark in claim.marks:
            equity += totals.get(mark.asset, 0) * mark.price // SCALE
            if not self._published.claim(mark.asset, mark.price, claim.event_time):
                detail = f"mark price of {mark.asset} was never published"
                self._findings.add(
                    DiscrepancyKind.PNL, f"risk-monitor/{mark.asset}", 0, mark.price, detail
                )
        if claim.equity != equity:
            detail = _describe(
                "risk monitor", equity, claim.equity, "USD equity", claim.last_trade_id
            )
            self._findings.add(
                DiscrepancyKind.PNL, "risk-monitor/equity", equity, claim.equity, detail
            )
        if self._opening is None:
            self._opening = equity
        pnl = equity - self._opening
        if claim.pnl != pnl:
            detail = _describe("risk monitor", pnl, claim.pnl, "USD P&L", claim.last_trade_id)
            self._findings.add(DiscrepancyKind.PNL, "risk-monitor/pnl", pnl, claim.pnl, detail)


def _describe(source: str, expected: int, actual: int, unit: str, trade_id: int) -> str:
    return (
        f"{source} says {format_units(actual)} {unit}, trades up to {trade_id} "
        f"make {format_units(expected)}"
    )
