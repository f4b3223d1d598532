"""What moves the true price on purpose: the factor paths of market shocks and depegs."""

from typing import Any

from trading.messages.chaos import Depeg, MarketShock, PathPoint
from trading.units import PPM
from trading.universe import Universe


class FactorPath:
    """A factor on an asset's price: 1 at the injection, then along ``points`` (values in units of
    ``scale``), linear in between, and its last value until :meth:`end`.
    """

    def __init__(self, points: tuple[PathPoint, ...], scale: int, since: int) -> None:
        self._points = points
        self._scale = scale
        self._since = since
        self._next = 0
        self._left: tuple[int, float, int] | None = None

    def at(self, now: int) -> float:
        """Factor at ``now``, which never goes back from one call to the next."""
        if self._left is not None:
            ended_at, last, rebound = self._left
            elapsed = now - ended_at
            return 1.0 if elapsed >= rebound else last + (1.0 - last) * (elapsed / rebound)
        points = self._points
        offset = now - self._since
        following = self._next
        while following < len(points) and points[following].offset <= offset:
            following += 1
        self._next = following
        before, value = 0, 1.0
        if following:
            reached = points[following - 1]
            before, value = reached.offset, reached.value / self._scale
        if following == len(points):
            return value
        target = points[following]
        share = (offset - before) / (target.offset - before)
        return value + (target.value / self._scale - value) * share

    def end(self, now: int, rebound: int) -> None:
        """From now on back to 1, linearly over ``rebound`` microseconds."""
        self._left = (now, self.at(now), rebound)

    def over(self, now: int) -> bool:
        """Has it come back to 1 for good?"""
        return self._left is not None and now - self._left[0] >= self._left[2]

    def state(self) -> dict[str, Any]:
        left = self._left
        return {
            "since": self._since,
            "scale": self._scale,
            "next": self._next,
            "points": [[p.offset, p.value] for p in self._points],
            "left": None if left is None else [left[0], repr(left[1]), left[2]],
        }


class Shocks:
    """The paths that apply now. Overlapping ones multiply, so a shock on top of a shock is what
    people expect, and a depeg's path (absolute price) is a factor on the peg.
    """

    def __init__(self, universe: Universe) -> None:
        self._assets = {a.name: a for a in universe.assets}
        self._levels: dict[str, float] = {}
        self._paths: dict[str, dict[str, FactorPath]] = {}
        self._shaken: dict[str, MarketShock] = {}
        self.turbulence: dict[str, float] = {}

    @property
    def quiet(self) -> bool:
        """No price is anything but undisturbed."""
        return not self._levels and not self._paths

    def start_shock(self, fault_id: str, fault: MarketShock, now: int) -> None:
        """ValueError: unknown asset, no asset, or a path that is none."""
        if not fault.assets:
            raise ValueError("NO_ASSETS")
        for name in fault.assets:
            if name not in self._assets:
                raise ValueError(f"UNKNOWN_ASSET asset={name}")
        if fault.volatility_ppm < 0:
            raise ValueError(f"VOLATILITY_NEGATIVE volatility_ppm={fault.volatility_ppm}")
        if fault.path:
            _check(fault.path)
        elif fault.volatility_ppm == PPM:
            raise ValueError("PATH_EMPTY")
        for name in fault.assets:
            self._paths.setdefault(name, {})[fault_id] = FactorPath(fault.path, PPM, now)
        self._shaken[fault_id] = fault
        self._shake()

    def start_depeg(self, fault_id: str, fault: Depeg, now: int) -> None:
        """ValueError: unknown asset, no stablecoin, the venue's own depeg, a path that is none."""
        asset = self._assets.get(fault.asset)
        if asset is None:
            raise ValueError(f"UNKNOWN_ASSET asset={fault.asset}")
        if not asset.stable:
            raise ValueError(f"NOT_A_STABLECOIN asset={fault.asset}")
        if fault.scope != "market":
            raise ValueError(f"SCOPE_NOT_MINE scope={fault.scope}")
        _check(fault.path)
        self._paths.setdefault(fault.asset, {})[fault_id] = FactorPath(fault.path, asset.peg, now)

    def end_shock(self, fault_id: str, fault: MarketShock, now: int) -> None:
        """Begin the rebound, or make the last factor permanent."""
        for name in dict.fromkeys(fault.assets):
            path = self._paths[name][fault_id]
            if fault.rebound >= 0:
                path.end(now, fault.rebound)
            else:
                self._levels[name] = self._levels.get(name, 1.0) * path.at(now)
                self._forget(name, fault_id)
        del self._shaken[fault_id]
        self._shake()

    def end_depeg(self, fault_id: str, fault: Depeg, now: int) -> None:
        self._paths[fault.asset][fault_id].end(now, max(fault.rebound, 0))

    def factor(self, asset: str, now: int) -> float:
        """What ``asset``'s undisturbed price is multiplied by at ``now``."""
        factor = self._levels.get(asset, 1.0)
        paths = self._paths.get(asset)
        if paths:
            over = []
            for fault_id, path in paths.items():
                factor *= path.at(now)
                if path.over(now):
                    over.append(fault_id)
            for fault_id in over:
                self._forget(asset, fault_id)
        return factor

    def state(self) -> dict[str, Any]:
        return {
            "levels": {name: repr(level) for name, level in self._levels.items()},
            "paths": {
                name: {i: path.state() for i, path in paths.items()}
                for name, paths in self._paths.items()
            },
            "turbulence": {name: repr(factor) for name, factor in self.turbulence.items()},
        }

    def _forget(self, asset: str, fault_id: str) -> None:
        paths = self._paths[asset]
        del paths[fault_id]
        if not paths:
            del self._paths[asset]

    def _shake(self) -> None:
        self.turbulence.clear()
        for fault in self._shaken.values():
            if fault.volatility_ppm != PPM:
                for name in dict.fromkeys(fault.assets):
                    factor = self.turbulence.get(name, 1.0)
                    self.turbulence[name] = factor * (fault.volatility_ppm / PPM)


def _check(path: tuple[PathPoint, ...]) -> None:
    if not path:
        raise ValueError("PATH_EMPTY")
    before = -1
    for point in path:
        if point.offset <= before:
            raise ValueError(f"PATH_NOT_ASCENDING offset={point.offset}")
        if point.value <= 0:
            raise ValueError(f"PATH_NOT_POSITIVE value={point.value}")
        before = point.offset
