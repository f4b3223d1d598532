"""Deposits to and withdrawals from the firm's accounts."""

from collections.abc import Callable, Sequence
from typing import Any

from trading.custodian.ledger import EXTERNAL, Ledger
from trading.messages import Message
from trading.messages.custody import Deposit, TransferCompleted, TransferRejected, Withdraw
from trading.universe import Universe

DEPOSIT = "deposit"
WITHDRAWAL = "withdrawal"


class Transfers:
    """Books transfers in ``ledger`` or rejects them.

    ``deliverable`` returns what an account still has to deliver of an asset, which cannot be
    withdrawn.

    Reasons of rejection are UNKNOWN_ACCOUNT, UNKNOWN_ASSET, AMOUNT_NOT_POSITIVE,
    INSUFFICIENT_BALANCE, and DUPLICATE_REFERENCE if the account has completed a transfer with the
    same reference before.
    """

    def __init__(
        self, universe: Universe, ledger: Ledger, deliverable: Callable[[str, str], int]
    ) -> None:
        self._accounts = {name: None for name in universe.firm_accounts}
        self._assets = {asset.name: None for asset in universe.assets}
        self._ledger = ledger
        self._deliverable = deliverable
        self._references: dict[str, dict[str, None]] = {}

    def on(self, request: Deposit | Withdraw, now: int) -> Sequence[Message]:
        """Complete or reject a transfer; return the messages that say so."""
        kind = DEPOSIT if isinstance(request, Deposit) else WITHDRAWAL
        account, asset, amount = request.account, request.asset, request.amount
        reference = request.reference
        if reason := self._refusal(kind, account, asset, amount, reference):
            return [TransferRejected(kind, account, asset, amount, reference, reason, now)]
        self._references.setdefault(account, {})[reference] = None
        signed = amount if kind == DEPOSIT else -amount
        cause = f"{kind} {reference}"
        return [
            self._ledger.move(cause, EXTERNAL, account, asset, signed, now),
            TransferCompleted(kind, account, asset, amount, reference, now),
        ]

    def state(self) -> dict[str, Any]:
        """Return the references of completed transfers by account."""
        return {account: list(references) for account, references in self._references.items()}

    def _refusal(self, kind: str, account: str, asset: str, amount: int, reference: str) -> str:
        """Return why the transfer is rejected, or ""."""
        if account not in self._accounts:
            return f"UNKNOWN_ACCOUNT account={account}"
        if asset not in self._assets:
            return f"UNKNOWN_ASSET asset={asset}"
        if amount <= 0:
            return f"AMOUNT_NOT_POSITIVE amount={amount}"
        if reference in self._references.get(account, ()):
            return f"DUPLICATE_REFERENCE reference={reference}"
        if kind == WITHDRAWAL:
            available = self._ledger.balance(account, asset) - self._deliverable(account, asset)
            if amount > available:
                return f"INSUFFICIENT_BALANCE available={available} requested={amount}"
        return ""
