"""Stablecoins that lose their peg in this venue's market alone, while the index price stays."""

from typing import Any

import msgspec

from trading.messages.chaos import Depeg
from trading.universe import Universe


class VenueDepegs:
    """Computes the USD prices of depegged assets as this venue's market sees them.

    While a fault is active the price follows the fault's path from the injection on; after its end
    it returns to the peg linearly over the fault's ``rebound``, or at once if that is 0.
    """

    def __init__(self, universe: Universe) -> None:
        self._peg = {a.name: a.peg for a in universe.assets}
        #: By asset: the active fault, and when it was injected.
        self._active: dict[str, tuple[Depeg, int]] = {}
        #: By asset: its price at the end of the fault, when that was, and the rebound's duration.
        self._rebounds: dict[str, tuple[int, int, int]] = {}

    def begin(self, fault: Depeg, now: int) -> None:
        """Start the depeg at ``now``, in place of an earlier one of the same asset.

        Raises ValueError if the asset has no peg.
        """
        if not self._peg.get(fault.asset):
            raise ValueError(f"NOT_A_STABLECOIN {fault.asset}")
        self._rebounds.pop(fault.asset, None)
        self._active[fault.asset] = (fault, now)

    def end(self, fault: Depeg, now: int) -> None:
        """End the fault and start the rebound from the price that it has reached."""
        price = self.prices(now).get(fault.asset, self._peg[fault.asset])
        self._active.pop(fault.asset, None)
        if fault.rebound > 0:
            self._rebounds[fault.asset] = (price, now, fault.rebound)

    def prices(self, now: int) -> dict[str, int]:
        """Return the USD price (1e-8) of every asset in which this venue differs from the index.

        Rebounds that are over are forgotten, so ``now`` must not decrease between calls.
        """
        if not self._active and not self._rebounds:
            return {}
        prices = {
            asset: _interpolate(fault, now - since) or self._peg[asset]
            for asset, (fault, since) in self._active.items()
        }
        for asset, (price, ended, rebound) in list(self._rebounds.items()):
            elapsed = now - ended
            if elapsed >= rebound:
                del self._rebounds[asset]
            else:
                prices[asset] = price + (self._peg[asset] - price) * elapsed // rebound
        return prices

    def state(self) -> dict[str, Any]:
        """Return the active faults and rebounds as plain data to be compared."""
        return {
            "live": {a: [msgspec.to_builtins(f), t] for a, (f, t) in self._active.items()},
            "rebounds": {a: list(r) for a, r in self._rebounds.items()},
        }


def _interpolate(fault: Depeg, offset: int) -> int:
    """Return the price on the fault's path ``offset`` microseconds after the injection.

    It is interpolated between points and constant before the first and after the last. Returns 0 if
    the path is empty.
    """
    before = None
    for point in fault.path:
        if point.offset > offset:
            if before is None:
                return point.value
            span = point.offset - before.offset
            change = (point.value - before.value) * (offset - before.offset)
            return before.value + change // span
        before = point
    return before.value if before is not None else 0
