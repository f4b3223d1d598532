"""Double-entry ledger.

The amounts of every entry sum to zero in every asset, and so do all balances together.
"""

from collections.abc import Iterable
from typing import Any

from trading.messages.custody import LedgerPosted, Posting

#: Counter-account of the opening balances.
EQUITY = "equity"
#: Counter-account of deposits and withdrawals.
EXTERNAL = "external"
#: Counter-account of both legs of every settlement.
CLEARING = "clearing"
#: Income from settlement penalties.
PENALTIES = "penalties"


def penalty_account(account: str) -> str:
    """Return the name of the account on which the penalties of ``account`` accrue.

    They are kept apart from its money, because penalties are billed (monthly, under the CSDR) and
    never deducted from the balances that the account trades with.
    """
    return f"{account}:penalties"


class Ledger:
    """Keeps the balance of every account and asset, in units of 1e-8.

    Negative balances are allowed: the counter-accounts of the firm's money have them.
    """

    def __init__(self) -> None:
        self._balances: dict[str, dict[str, int]] = {}
        self._entries = 0

    def balance(self, account: str, asset: str) -> int:
        """Return one balance; 0 for an account or asset without entries."""
        balances = self._balances.get(account)
        return balances.get(asset, 0) if balances is not None else 0

    def of(self, account: str) -> dict[str, int]:
        """Return the balances of one account by asset. The caller must not change the dict."""
        return self._balances.get(account, {})

    def move(
        self, cause: str, source: str, target: str, asset: str, amount: int, now: int
    ) -> LedgerPosted:
        """Book ``amount`` from ``source`` to ``target``; the other way round if it is negative."""
        return self.post(
            cause, (Posting(target, asset, amount), Posting(source, asset, -amount)), now
        )

    def post(self, cause: str, postings: Iterable[Posting], now: int) -> LedgerPosted:
        """Book one entry and return its record for the journal.

        Raises ValueError, and books nothing, if the amounts of an asset do not sum to zero.
        """
        legs = tuple(postings)
        sums: dict[str, int] = {}
        for leg in legs:
            sums[leg.asset] = sums.get(leg.asset, 0) + leg.amount
        for asset, total in sums.items():
            if total:
                raise ValueError(f"{cause}: {asset} does not sum to zero but to {total}")
        for leg in legs:
            balances = self._balances.setdefault(leg.account, {})
            balances[leg.asset] = balances.get(leg.asset, 0) + leg.amount
        self._entries += 1
        return LedgerPosted(self._entries, cause, legs, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "entries": self._entries,
            "balances": {account: dict(by_asset) for account, by_asset in self._balances.items()},
        }
