"""A monitor that knows no limits in percent: it asks how unusual the last ticks were.

    trading run market-crash --monitor zscore=examples.monitors.03_zscore:ZScore

The volatility of each asset is an exponentially weighted one (EWMA) of the returns so far, so that
a return is compared with the past only. It needs numpy.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from trading.monitors import Alert, Answer, Event, Price, Resolve, Start

#: Ticks over which the volatility and the recent return are averaged (as spans of an EWMA).
SLOW, FAST = 1200, 20
#: The alert fires above so many standard deviations, and ends below half of it.
THRESHOLD = 8.0
#: Ticks before the first alert, and the smallest volatility of a tick: below is rounding.
WARM_UP, FLOOR = 240, 2e-5


class ZScore:
    """Raises `price-move` for an asset whose recent return is many standard deviations from 0."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._prices: NDArray[np.float64] = np.zeros(0)
        self._latest = self._variance = self._drift = self._prices
        self._ticks = 0
        self._due = self._tick = 0
        self._firing: set[str] = set()

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Take the prices of this instant; judge once a tick."""
        for event in events:
            if isinstance(event, Start):
                self._index = {asset: i for i, asset in enumerate(event.assets)}
                self._prices = np.full(len(event.assets), np.nan)
                self._latest = self._prices.copy()
                self._variance = np.full(len(event.assets), FLOOR**2)
                self._drift = np.zeros(len(event.assets))
                self._due, self._tick = event.time, event.tick
            elif isinstance(event, Price) and event.price is not None and event.price > 0:
                self._latest[self._index[event.asset]] = float(event.price)
        if now < self._due or np.isnan(self._latest).any():
            return
        self._due = now + self._tick - self._tick // 10
        scores = self._scores()
        self._ticks += 1
        if self._ticks > WARM_UP:
            for asset, i in self._index.items():
                yield from self._judge(asset, float(scores[i]))

    def _scores(self) -> NDArray[np.float64]:
        """Return the z-score of each asset's recent return, and learn the last return after it."""
        valid = ~np.isnan(self._prices)
        returns = np.where(valid, self._latest / self._prices - 1, 0.0)
        self._prices = self._latest.copy()
        fast, slow = 2 / (FAST + 1), 2 / (SLOW + 1)
        self._drift += fast * (returns - self._drift)
        # The variance of an EWMA of independent returns, for the volatility before this tick.
        deviation = np.sqrt(np.maximum(self._variance, FLOOR**2) * fast / (2 - fast))
        self._variance += slow * (returns**2 - self._variance)
        return self._drift / deviation

    def _judge(self, asset: str, score: float) -> Iterable[Answer]:
        labels = {"subject": asset}
        if abs(score) > THRESHOLD and asset not in self._firing:
            self._firing.add(asset)
            yield Alert(name="price-move", labels=labels, observed=f"{score:+.1f} deviations")
        elif abs(score) < THRESHOLD / 2 and asset in self._firing:
            self._firing.remove(asset)
            yield Resolve(name="price-move", labels=labels)
