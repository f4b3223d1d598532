"""A stablecoin that loses its peg on this venue alone, while the index stays."""

from typing import Any

import msgspec

from trading.messages.chaos import Depeg
from trading.universe import Universe


class VenueDepegs:
    """Prices that this venue's market gives assets of its own."""

    def __init__(self, universe: Universe) -> None:
        self._peg = {a.name: a.peg for a in universe.assets}
        self._live: dict[str, tuple[Depeg, int]] = {}
        #: asset -> (price at the end of the fault, when it ended, rebound)
        self._rebounds: dict[str, tuple[int, int, int]] = {}

    def begin(self, fault: Depeg, now: int) -> None:
        """ValueError for an asset without a peg."""
        if not self._peg.get(fault.asset):
            raise ValueError(f"NOT_A_STABLECOIN {fault.asset}")
        self._rebounds.pop(fault.asset, None)
        self._live[fault.asset] = (fault, now)

    def end(self, fault: Depeg, now: int) -> None:
        price = self.prices(now).get(fault.asset, self._peg[fault.asset])
        self._live.pop(fault.asset, None)
        if fault.rebound > 0:
            self._rebounds[fault.asset] = (price, now, fault.rebound)

    def prices(self, now: int) -> dict[str, int]:
        """Asset -> USD price (1e-8) where this venue differs from the index."""
        if not self._live and not self._rebounds:
            return {}
        prices = {
            asset: _along(fault, now - since) or self._peg[asset]
            for asset, (fault, since) in self._live.items()
        }
        for asset, (price, ended, rebound) in list(self._rebounds.items()):
            passed = now - ended
            if passed >= rebound:
                del self._rebounds[asset]
            else:
                prices[asset] = price + (self._peg[asset] - price) * passed // rebound
        return prices

    def state(self) -> dict[str, Any]:
        return {
            "live": {a: [msgspec.to_builtins(f), t] for a, (f, t) in self._live.items()},
            "rebounds": {a: list(r) for a, r in self._rebounds.items()},
        }


def _along(fault: Depeg, offset: int) -> int:
    """The path's price at ``offset``, linear between its points; 0 without a path."""
    before = None
    for point in fault.path:
        if point.offset > offset:
            if before is None:
                return point.value
            span = point.offset - before.offset
            moved = (point.value - before.value) * (offset - before.offset)
            return before.value + moved // span
        before = point
    return before.value if before is not None else 0
