"""Read model of the newest ticks, for queries and for clients that missed some. It is part of
snapshots.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from trading.messages import Message
from trading.messages.market import PriceTick

#: Most ticks that are kept of an asset: an hour at one tick per second.
KEPT = 3600
#: Most ticks that are kept of all assets, for clients that resume a stream.
KEPT_OF_ALL = 6 * KEPT


class Ticks:
    """The ticks of a session. Each has a position, 1, 2, ... in the order of publication,
    independent of its sequence number. `version` is the position of the newest tick, which is the
    last of `log`. Queries take a position `until`, by which they leave out ticks that are not
    durable yet.
    """

    def __init__(self) -> None:
        self.version = 0
        self.log: deque[PriceTick] = deque(maxlen=KEPT_OF_ALL)
        self._by_asset: dict[str, deque[tuple[int, PriceTick]]] = {}

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]:
        """Return the handlers of this read model, by type of message."""
        return {PriceTick: self._on_tick}

    def after(self, asset: str, seq: int, limit: int, until: int) -> list[PriceTick]:
        """Return at most `limit` ticks of `asset` with a sequence number above `seq`, in the order
        of sequence numbers.
        """
        ticks = self._by_asset.get(asset, ())
        newer = [tick for at, tick in ticks if tick.seq > seq and at <= until]
        newer.sort(key=lambda tick: tick.seq)
        return newer[:limit]

    def last(self, asset: str, until: int, *, good: bool = False) -> PriceTick | None:
        """Return the newest tick of `asset`, or with `good` the newest that has a price; None if
        there is none.
        """
        for at, tick in reversed(self._by_asset.get(asset, ())):
            if at <= until and not (good and tick.price is None):
                return tick
        return None

    def _on_tick(self, tick: PriceTick, now: int) -> None:
        self.version += 1
        self.log.append(tick)
        ticks = self._by_asset.get(tick.asset)
        if ticks is None:
            ticks = self._by_asset[tick.asset] = deque(maxlen=KEPT)
        ticks.append((self.version, tick))
