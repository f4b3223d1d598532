"""Account balances, split into what is free and what open orders have locked.

Amounts are integers in units of 1e-8 of the asset. Every movement conserves the total.
"""

from collections.abc import Iterable


class Balances:
    """Keeps the balances of one account: ``free`` and ``locked`` amounts by asset.

    ``opening`` lists the assets of the account with their opening amounts; nothing is locked then.
    """

    __slots__ = ("free", "locked")

    def __init__(self, opening: Iterable[tuple[str, int]]) -> None:
        self.free: dict[str, int] = dict(opening)
        self.locked: dict[str, int] = dict.fromkeys(self.free, 0)

    def lock(self, asset: str, amount: int) -> bool:
        """Move ``amount`` from free to locked. Return False, and change nothing, if it exceeds
        the free balance.
        """
        if self.free.get(asset, 0) < amount:
            return False
        self.free[asset] -= amount
        self.locked[asset] += amount
        return True

    def unlock(self, asset: str, amount: int) -> None:
        """Move ``amount`` from locked back to free."""
        self.locked[asset] -= amount
        self.free[asset] += amount

    def receive(self, asset: str, amount: int) -> None:
        """Add ``amount`` to the free balance, for an asset that is new to the account, too."""
        self.free[asset] = self.free.get(asset, 0) + amount
        self.locked.setdefault(asset, 0)
