"""Synthetic index prices: a jump diffusion of correlated coins, and stablecoins near their peg.

The process computes with floats, but only with ``+ - * /`` and ``sqrt``, whose results IEEE 754
defines to the last bit: the same seed gives the same prices on every machine. ``exp`` and ``cos``
would not.
"""

from math import sqrt
from random import Random
from typing import Any

from trading.runtime.rng import random_stream
from trading.units import DAY, MINUTE, PPM
from trading.universe import Asset

YEAR = 365 * DAY

#: Correlation between any two coins.
CORRELATION = 0.7

#: Prices are pulled back to their level with this time constant, so that a quiet market stays in a
#: range: without it, a volatility of 90 % a year moves a coin by 3 % within an hour every few days,
#: and the risk rules would raise false alarms.
PULL = 20 * MINUTE

#: The same time constant where a real price gives the level.
ANCHOR_PULL = MINUTE
#: How far that level is from the current price at most, as a share of the price: a first real price
#: that is far away must not make the feed look broken.
REACH = 0.5

#: Jumps per day, of the whole market and of each coin alone; they add 2 % to the volatility.
JUMPS_PER_DAY = 6

#: A jump is uniform within plus and minus this share of the annual volatility (BTC: 0.28 %).
JUMP_SIZE = 0.005

_LOADING = sqrt(CORRELATION)
_OWN = sqrt(1 - CORRELATION)
_BITS = 64
_MEAN = _BITS / 2 + 0.5
_DEVIATION = sqrt(_BITS / 4 + 1 / 12)


def normal(rng: Random) -> float:
    """Draw a nearly normal variate with mean 0 and variance 1, of at most 8.2 in magnitude.

    It is the number of heads in 64 fair coin tosses, smoothed: logarithms and cosines would differ
    between machines.
    """
    return (rng.getrandbits(_BITS).bit_count() + rng.random() - _MEAN) / _DEVIATION


class SyntheticPrices:
    """Simulates the undisturbed prices of ``assets``, one step per ``tick`` (microseconds).

    ``prices`` has the current price by asset, in units of 1e-8 USD. Every step draws the same
    number of random values, whatever ``turbulence`` is, so that a market shock does not change the
    noise underneath it.
    """

    def __init__(self, assets: tuple[Asset, ...], seed: int, tick: int) -> None:
        self._rng = random_stream(seed, "market-data/prices")
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
        """Advance all prices by one tick.

        ``turbulence`` has the factor on the volatility of an asset, where that is not 1.
        """
        if self._anchored:
            self._move_anchored_levels()
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
        """Pull ``asset`` to ``price`` from now on. Raises KeyError for an unknown asset."""
        if asset not in self.prices:
            raise KeyError(asset)
        self._anchored[asset] = price

    def _move_anchored_levels(self) -> None:
        """Set the level of each anchored asset for this tick."""
        pull = self._anchor_pull
        for i, (name, _, _, noise, jump) in enumerate(self._coins):
            if name in self._anchored:
                self._coins[i] = (name, self._within_reach(name), pull, noise, jump)
        for i, (name, _, _, noise) in enumerate(self._stablecoins):
            if name in self._anchored:
                self._stablecoins[i] = (name, self._within_reach(name), pull, noise)

    def _within_reach(self, asset: str) -> float:
        """Return the anchor price, limited to a distance of REACH from the current price."""
        price = self.prices[asset]
        return min(max(self._anchored[asset], price * (1 - REACH)), price * (1 + REACH))

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        version, internal, gauss = self._rng.getstate()
        return {
            "prices": {name: repr(price) for name, price in self.prices.items()},
            "anchored": {name: repr(price) for name, price in self._anchored.items()},
            "rng": [version, list(internal), repr(gauss)],
        }

    def _draw_jump(self) -> float:
        """Draw a jump, uniform in -1..1; mostly 0, since jumps are rare."""
        draw = self._rng.random()
        if draw >= self._jump:
            return 0.0
        return 2 * draw / self._jump - 1
