"""Double-entry ledger: every entry's amounts sum to zero in every asset, so the whole does."""

from collections.abc import Iterable
from typing import Any

from trading.messages.custody import LedgerPosted, Posting

#: The other side of the opening balances.
EQUITY = "equity"
#: The world outside: deposits come from it, withdrawals go to it.
EXTERNAL = "external"
#: Stands between deliverer and receiver of every settlement.
CLEARING = "clearing"
#: Income from settlement penalties.
PENALTIES = "penalties"


def penalty_account(account: str) -> str:
    """Where an account's penalties accrue. Apart from its money: they are billed, as in CSDR
    monthly, and never taken from what the account trades with.
    """
    return f"{account}:penalties"


class Ledger:
    """Balances of every account and asset, in 1e-8 units; negative balances are allowed (the
    other sides of the firm's money have them).
    """

    def __init__(self) -> None:
        self._balances: dict[str, dict[str, int]] = {}
        self._entries = 0

    def balance(self, account: str, asset: str) -> int:
        held = self._balances.get(account)
        return held.get(asset, 0) if held is not None else 0

    def of(self, account: str) -> dict[str, int]:
        """Balances of one account by asset. Do not change it."""
        return self._balances.get(account, {})

    def move(
        self, cause: str, source: str, target: str, asset: str, amount: int, now: int
    ) -> LedgerPosted:
        """``amount`` from ``source`` to ``target`` (backwards where it is negative)."""
        return self.post(
            cause, (Posting(target, asset, amount), Posting(source, asset, -amount)), now
        )

    def post(self, cause: str, postings: Iterable[Posting], now: int) -> LedgerPosted:
        """Book one entry. ValueError, and nothing is booked, if it does not sum to zero."""
        legs = tuple(postings)
        sums: dict[str, int] = {}
        for leg in legs:
            sums[leg.asset] = sums.get(leg.asset, 0) + leg.amount
        for asset, total in sums.items():
            if total:
                raise ValueError(f"{cause}: {asset} does not sum to zero but to {total}")
        for leg in legs:
            held = self._balances.setdefault(leg.account, {})
            held[leg.asset] = held.get(leg.asset, 0) + leg.amount
        self._entries += 1
        return LedgerPosted(self._entries, cause, legs, now)

    def state(self) -> dict[str, Any]:
        return {
            "entries": self._entries,
            "balances": {account: dict(held) for account, held in self._balances.items()},
        }
