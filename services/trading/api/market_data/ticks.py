"""The newest ticks, for prices and for those who missed some."""

from collections import deque
from collections.abc import Callable
from typing import Any

from trading.messages import Message
from trading.messages.market import PriceTick

#: Ticks kept by asset: at a tick a second, an hour. And of all assets, for who resumes a stream.
KEPT = 3600
KEPT_OF_ALL = 6 * KEPT


class Ticks:
    """Every tick of the session has a position: 1, 2, ... in the order of publication, whatever its
    sequence number says. ``version``: position of the newest, which is the last of ``log``. What is
    asked for ``until`` a position leaves out what is not durable yet.
    """

    def __init__(self) -> None:
        self.version = 0
        self.log: deque[PriceTick] = deque(maxlen=KEPT_OF_ALL)
        self._by_asset: dict[str, deque[tuple[int, PriceTick]]] = {}

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]:
        return {PriceTick: self._on_tick}

    def after(self, asset: str, seq: int, limit: int, until: int) -> list[PriceTick]:
        """Ticks of one asset with a sequence number above ``seq``, in the order of these."""
        kept = self._by_asset.get(asset, ())
        found = [tick for at, tick in kept if tick.seq > seq and at <= until]
        found.sort(key=lambda tick: tick.seq)
        return found[:limit]

    def last(self, asset: str, until: int, *, good: bool = False) -> PriceTick | None:
        """The newest tick of an asset, or the newest that has a price."""
        for at, tick in reversed(self._by_asset.get(asset, ())):
            if at <= until and not (good and tick.price is None):
                return tick
        return None

    def _on_tick(self, tick: PriceTick, now: int) -> None:
        self.version += 1
        self.log.append(tick)
        kept = self._by_asset.get(tick.asset)
        if kept is None:
            kept = self._by_asset[tick.asset] = deque(maxlen=KEPT)
        kept.append((self.version, tick))
