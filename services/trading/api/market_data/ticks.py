"""The newest ticks of every asset, for prices and for those who missed some."""

from collections import deque
from collections.abc import Callable
from typing import Any

from trading.messages import Message
from trading.messages.market import PriceTick

#: Ticks kept by asset: at a tick a second, an hour.
KEPT = 3600


class Ticks:
    """``version`` grows with every tick."""

    def __init__(self) -> None:
        self.version = 0
        self.by_asset: dict[str, deque[PriceTick]] = {}

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]:
        return {PriceTick: self._on_tick}

    def after(self, asset: str, seq: int, limit: int) -> list[PriceTick]:
        """Ticks with a sequence number above ``seq``, oldest first."""
        found = self.by_asset.get(asset, ())
        return [tick for tick in found if tick.seq > seq][:limit]

    def _on_tick(self, tick: PriceTick, now: int) -> None:
        self.version += 1
        kept = self.by_asset.get(tick.asset)
        if kept is None:
            kept = self.by_asset[tick.asset] = deque(maxlen=KEPT)
        kept.append(tick)
