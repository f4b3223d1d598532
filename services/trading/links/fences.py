"""Fencing tokens: only the newest owner of a strategy's lease may trade its account.

Each lease of a strategy has a larger fencing token than the one before. The exchange stores the
largest token that it has received for each account, and refuses orders of an engine with a smaller
one. So a trading engine that was paused and continues late cannot trade against its successor.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from trading.hosting.store import JournalStore
from trading.messages.orders import CancelAllOrders, CancelOrder, PlaceOrder, ReplaceOrder

#: Kind of the documents that store the newest token of each account.
FENCE = "fence"

_ORDERS = PlaceOrder | CancelOrder | ReplaceOrder | CancelAllOrders


class Fences:
    """Keeps the fencing tokens that instances of the trading engine have claimed. Orders for an
    account that nobody has claimed are allowed. The newest tokens are documents in ``store``.
    """

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._newest = {a: int(n) for a, n in store.documents(FENCE).items()}
        self._claimed: dict[str, dict[str, int]] = {}
        self._refused: dict[str, dict[str, int]] = {}

    async def claim(self, instance: str, fences: Mapping[str, int]) -> None:
        """Note that ``instance`` owns these accounts, and no others, with these fencing tokens. A
        new largest token is stored before this returns.
        """
        self._claimed[instance] = dict(fences)
        for account, fence in fences.items():
            if fence > self._newest.get(account, 0):
                self._newest[account] = fence
                await asyncio.to_thread(self._store.put, FENCE, account, str(fence).encode())

    def allows(self, instance: str, message: Any) -> bool:
        """Return whether ``instance`` may send this message; true for everything but orders. A
        refusal is remembered for :meth:`take_refused`.
        """
        if not isinstance(message, _ORDERS):
            return True
        newest = self._newest.get(message.account, 0)
        if self._claimed.get(instance, {}).get(message.account, 0) >= newest:
            return True
        self._refused.setdefault(instance, {})[message.account] = newest
        return False

    def take_refused(self, instance: str) -> dict[str, int]:
        """Return the accounts whose orders were refused since the last call, with their newest
        tokens.
        """
        return self._refused.pop(instance, {})
