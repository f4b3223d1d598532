"""Balances with locks. Amounts in units of 1e-8; every movement conserves the total."""

from collections.abc import Iterable


class Balances:
    """One account: ``free`` and ``locked`` by asset."""

    __slots__ = ("free", "locked")

    def __init__(self, opening: Iterable[tuple[str, int]]) -> None:
        self.free: dict[str, int] = dict(opening)
        self.locked: dict[str, int] = dict.fromkeys(self.free, 0)

    def lock(self, asset: str, amount: int) -> bool:
        """Set ``amount`` aside for an order; False, and nothing done, if it is not there."""
        if self.free.get(asset, 0) < amount:
            return False
        self.free[asset] -= amount
        self.locked[asset] += amount
        return True

    def unlock(self, asset: str, amount: int) -> None:
        self.locked[asset] -= amount
        self.free[asset] += amount

    def receive(self, asset: str, amount: int) -> None:
        self.free[asset] = self.free.get(asset, 0) + amount
        self.locked.setdefault(asset, 0)
