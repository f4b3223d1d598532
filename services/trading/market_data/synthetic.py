"""Synthetic index prices: a jump diffusion of correlated coins, and stablecoins near their peg.

The process runs on floats, but only through ``+ - * /`` and ``sqrt``, which IEEE 754 defines to the
last bit: the same seed gives the same prices on every machine (``exp`` and ``cos`` would not).
"""

from math import sqrt
from random import Random
from typing import Any

from trading.runtime.rng import stream
from trading.units import DAY, MINUTE, PPM
from trading.universe import Asset

YEAR = 365 * DAY

#: Correlation between any two coins.
CORRELATION = 0.7

#: Prices are pulled back to their level with this time constant. A quiet market is range-bound:
#: without the pull 90 % a year makes a 3 % hour every few days, and every rule a false alarm.
PULL = 20 * MINUTE

#: The same where an anchor gives the level; and what it is at most ahead of the price, as a share
#: of it: a first anchor that is far away must not look like a broken feed.
ANCHOR_PULL = MINUTE
REACH = 0.5

#: Jumps a day, of the whole market and of each coin alone; they add 2 % to the volatility.
JUMPS_PER_DAY = 6

#: A jump is uniform within plus and minus this share of the annual volatility (BTC: 0.28 %).
JUMP_SIZE = 0.005

_LOADING = sqrt(CORRELATION)
_OWN = sqrt(1 - CORRELATION)
_BITS = 64
_MEAN = _BITS / 2 + 0.5
_DEVIATION = sqrt(_BITS / 4 + 1 / 12)


def normal(rng: Random) -> float:
    """A draw with mean 0 and variance 1, normal to the eye and never beyond 8.2.

    Count of 64 fair coins, smoothed: no logarithm or cosine that differs between machines.
    """
    return (rng.getrandbits(_BITS).bit_count() + rng.random() - _MEAN) / _DEVIATION


class SyntheticPrices:
    """Undisturbed prices of ``assets`` in units of 1e-8 USD, one step per tick.

    Every step makes the same number of draws per asset, whatever ``turbulence`` says, so that a
    market shock leaves the noise underneath it as it was.
    """

    def __init__(self, assets: tuple[Asset, ...], seed: int, tick: int) -> None:
        self._rng = stream(seed, "market-data/prices")
        self._jump = JUMPS_PER_DAY * tick / DAY
        pull = tick / (tick + PULL)
        self._anchor_pull = tick / (tick + ANCHOR_PULL)
        self._anchored: dict[str, float] = {}
        self._coins: list[tuple[str, float, float, float, float]] = []
        self._stablecoins: list[tuple[str, float, float, float]] = []
        self.prices: dict[str, float] = {}
        for asset in assets:
            volatility = asset.volatility_ppm / PPM
            self.prices[asset.name] = float(asset.price)
            if asset.stable:
                noise = asset.peg * volatility * sqrt(pull * (2 - pull))
                self._stablecoins.append((asset.name, float(asset.peg), pull, noise))
            else:
                noise = volatility * sqrt(tick / YEAR)
                jump = volatility * JUMP_SIZE
                self._coins.append((asset.name, float(asset.price), pull, noise, jump))

    def step(self, turbulence: dict[str, float]) -> None:
        """One tick further. ``turbulence``: factor on the volatility, where it is not 1."""
        if self._anchored:
            self._aim()
        rng = self._rng
        prices = self.prices
        common = _LOADING * normal(rng)
        market_jump = self._draw_jump()
        for name, level, pull, noise, jump in self._coins:
            move = noise * (common + _OWN * normal(rng))
            size = market_jump + self._draw_jump()
            if size:
                move += jump * size
            if turbulence:
                move *= turbulence.get(name, 1.0)
            price = prices[name] * (1 + move)
            prices[name] = price + pull * (level - price)
        for name, peg, pull, noise in self._stablecoins:
            move = noise * normal(rng)
            if turbulence:
                move *= turbulence.get(name, 1.0)
            price = prices[name]
            prices[name] = price + pull * (peg - price) + move

    def anchor(self, asset: str, price: float) -> None:
        """From now on ``asset`` is pulled to ``price``. KeyError for an unknown one."""
        if asset not in self.prices:
            raise KeyError(asset)
        self._anchored[asset] = price

    def _aim(self) -> None:
        """Give what is anchored the level of this tick."""
        pull = self._anchor_pull
        for i, (name, _, _, noise, jump) in enumerate(self._coins):
            if name in self._anchored:
                self._coins[i] = (name, self._within_reach(name), pull, noise, jump)
        for i, (name, _, _, noise) in enumerate(self._stablecoins):
            if name in self._anchored:
                self._stablecoins[i] = (name, self._within_reach(name), pull, noise)

    def _within_reach(self, asset: str) -> float:
        price = self.prices[asset]
        return min(max(self._anchored[asset], price * (1 - REACH)), price * (1 + REACH))

    def state(self) -> dict[str, Any]:
        version, internal, gauss = self._rng.getstate()
        return {
            "prices": {name: repr(price) for name, price in self.prices.items()},
            "anchored": {name: repr(price) for name, price in self._anchored.items()},
            "rng": [version, list(internal), repr(gauss)],
        }

    def _draw_jump(self) -> float:
        draw = self._rng.random()
        if draw >= self._jump:
            return 0.0
        return 2 * draw / self._jump - 1
