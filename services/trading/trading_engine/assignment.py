"""The accounts that one trading engine trades for, where several engines share them."""

from collections.abc import Mapping, Sequence


class Assignment:
    """Keeps which of ``accounts`` this engine trades for.

    ``fences`` maps each assigned account to the fencing number of its lease, 0 if it has none.
    Until :meth:`change` is called the engine is taken to be the only one, and trades for all.
    """

    def __init__(self, accounts: Sequence[str]) -> None:
        self._accounts = tuple(accounts)
        self.fences = dict.fromkeys(self._accounts, 0)

    def __contains__(self, account: str) -> bool:
        """Return whether ``account`` is assigned to this engine."""
        return account in self.fences

    def change(self, accounts: Mapping[str, int]) -> tuple[list[str], list[str]]:
        """Assign ``accounts`` (with their fencing numbers) and no others; unknown ones are ignored.

        Return the accounts that are lost, and those that are gained or have a new fencing number.
        """
        before = self.fences
        self.fences = {a: accounts[a] for a in self._accounts if a in accounts}
        lost = [a for a in before if a not in self.fences]
        gained = [a for a, fence in self.fences.items() if before.get(a) != fence]
        return lost, gained
