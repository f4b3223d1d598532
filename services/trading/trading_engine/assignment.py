"""For which accounts this engine trades."""

from collections.abc import Mapping, Sequence


class Assignment:
    """``fences``: account -> fencing number of its lease, 0 without one. An engine that has been
    told nothing is alone, and trades for all ``accounts``.
    """

    def __init__(self, accounts: Sequence[str]) -> None:
        self._accounts = tuple(accounts)
        self.fences = dict.fromkeys(self._accounts, 0)

    def __contains__(self, account: str) -> bool:
        return account in self.fences

    def change(self, accounts: Mapping[str, int]) -> tuple[list[str], list[str]]:
        """From now on these; unknown ones are left out. Returns the accounts that are ``lost``,
        and those that are ``gained``, or held by a new number.
        """
        before = self.fences
        self.fences = {a: accounts[a] for a in self._accounts if a in accounts}
        lost = [a for a in before if a not in self.fences]
        gained = [a for a, fence in self.fences.items() if before.get(a) != fence]
        return lost, gained
