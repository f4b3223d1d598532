"""Fencing: an account is traded by the newest of those who claim its strategy.

Whoever takes a strategy over has a larger fencing number than everybody before. The exchange keeps
the largest number that it has seen of each account, and takes orders from nobody with a smaller
one: a trading engine that was paused and comes back late cannot trade against its successor.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from trading.hosting.store import JournalStore
from trading.messages.orders import CancelAllOrders, CancelOrder, PlaceOrder, ReplaceOrder

FENCE = "fence"

_ORDERS = PlaceOrder | CancelOrder | ReplaceOrder | CancelAllOrders


class Fences:
    """``instance``: of the trading engine. Without any claim, everybody's orders pass."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._newest = {a: int(n) for a, n in store.documents(FENCE).items()}
        self._claimed: dict[str, dict[str, int]] = {}
        self._refused: dict[str, dict[str, int]] = {}

    async def claim(self, instance: str, fences: Mapping[str, int]) -> None:
        """These accounts, and no others, are ``instance``'s now, by these numbers."""
        self._claimed[instance] = dict(fences)
        for account, fence in fences.items():
            if fence > self._newest.get(account, 0):
                self._newest[account] = fence
                await asyncio.to_thread(self._store.put, FENCE, account, str(fence).encode())

    def passes(self, instance: str, message: Any) -> bool:
        """May ``instance`` send this? Also yes for what is no order."""
        if not isinstance(message, _ORDERS):
            return True
        newest = self._newest.get(message.account, 0)
        if self._claimed.get(instance, {}).get(message.account, 0) >= newest:
            return True
        self._refused.setdefault(instance, {})[message.account] = newest
        return False

    def refused(self, instance: str) -> dict[str, int]:
        """Accounts whose orders were refused since the last question, with the newest number."""
        return self._refused.pop(instance, {})
