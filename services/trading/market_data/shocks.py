"""Market shocks and depegs: paths of factors by which they multiply the true prices."""

from typing import Any

from trading.messages.chaos import Depeg, MarketShock, PathPoint
from trading.units import PPM
from trading.universe import Universe


class FactorPath:
    """Computes the factor by which one fault multiplies the price of one asset.

    It starts from 1 at ``since``, the time of the injection, is interpolated linearly between
    ``points`` (their values divided by ``scale``), and keeps the last value until :meth:`end`.
    From then on it returns to 1.
    """

    def __init__(self, points: tuple[PathPoint, ...], scale: int, since: int) -> None:
        self._points = points
        self._scale = scale
        self._since = since
        self._next = 0
        #: Once ended: when, at which factor, and how long the rebound takes.
        self._rebound: tuple[int, float, int] | None = None

    def at(self, now: int) -> float:
        """Return the factor at ``now``, which must not decrease between calls."""
        if self._rebound is not None:
            ended_at, last, rebound = self._rebound
            elapsed = now - ended_at
            return 1.0 if elapsed >= rebound else last + (1.0 - last) * (elapsed / rebound)
        points = self._points
        offset = now - self._since
        following = self._next
        while following < len(points) and points[following].offset <= offset:
            following += 1
        self._next = following
        start, value = 0, 1.0
        if following:
            passed = points[following - 1]
            start, value = passed.offset, passed.value / self._scale
        if following == len(points):
            return value
        target = points[following]
        share = (offset - start) / (target.offset - start)
        return value + (target.value / self._scale - value) * share

    def end(self, now: int, rebound: int) -> None:
        """Start the return to 1, linearly over ``rebound`` microseconds (0: at once)."""
        self._rebound = (now, self.at(now), rebound)

    def over(self, now: int) -> bool:
        """Return whether the rebound is complete, so that the factor stays 1."""
        return self._rebound is not None and now - self._rebound[0] >= self._rebound[2]

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        rebound = self._rebound
        return {
            "since": self._since,
            "scale": self._scale,
            "next": self._next,
            "points": [[p.offset, p.value] for p in self._points],
            "left": None if rebound is None else [rebound[0], repr(rebound[1]), rebound[2]],
        }


class Shocks:
    """Keeps the paths of the active shocks and depegs, and combines them by asset.

    The factors of overlapping faults are multiplied. The path of a depeg, which has absolute
    prices, becomes a factor on the peg. ``turbulence`` is the factor on an asset's volatility, for
    the assets where it is not 1.
    """

    def __init__(self, universe: Universe) -> None:
        self._assets = {a.name: a for a in universe.assets}
        #: By asset: the factor that past shocks without a rebound have left.
        self._levels: dict[str, float] = {}
        self._paths: dict[str, dict[str, FactorPath]] = {}
        self._active_shocks: dict[str, MarketShock] = {}
        self.turbulence: dict[str, float] = {}

    @property
    def quiet(self) -> bool:
        """Return whether no fault, active or past, moves any price."""
        return not self._levels and not self._paths

    def start_shock(self, fault_id: str, fault: MarketShock, now: int) -> None:
        """Start a shock. Raises ValueError, with an UPPER_SNAKE reason, if it cannot be played."""
        if not fault.assets:
            raise ValueError("NO_ASSETS")
        for name in fault.assets:
            if name not in self._assets:
                raise ValueError(f"UNKNOWN_ASSET asset={name}")
        if fault.volatility_ppm < 0:
            raise ValueError(f"VOLATILITY_NEGATIVE volatility_ppm={fault.volatility_ppm}")
        if fault.path:
            _check_path(fault.path)
        elif fault.volatility_ppm == PPM:
            raise ValueError("PATH_EMPTY")
        for name in fault.assets:
            self._paths.setdefault(name, {})[fault_id] = FactorPath(fault.path, PPM, now)
        self._active_shocks[fault_id] = fault
        self._update_turbulence()

    def start_depeg(self, fault_id: str, fault: Depeg, now: int) -> None:
        """Start a market-wide depeg. Raises ValueError, with an UPPER_SNAKE reason, if it cannot
        be played: the asset is no stablecoin, the scope is another service's, the path invalid.
        """
        asset = self._assets.get(fault.asset)
        if asset is None:
            raise ValueError(f"UNKNOWN_ASSET asset={fault.asset}")
        if not asset.stable:
            raise ValueError(f"NOT_A_STABLECOIN asset={fault.asset}")
        if fault.scope != "market":
            raise ValueError(f"SCOPE_NOT_MINE scope={fault.scope}")
        _check_path(fault.path)
        self._paths.setdefault(fault.asset, {})[fault_id] = FactorPath(fault.path, asset.peg, now)

    def end_shock(self, fault_id: str, fault: MarketShock, now: int) -> None:
        """End a shock: start the rebound, or make the last factor permanent if there is none."""
        for name in dict.fromkeys(fault.assets):
            path = self._paths[name][fault_id]
            if fault.rebound >= 0:
                path.end(now, fault.rebound)
            else:
                self._levels[name] = self._levels.get(name, 1.0) * path.at(now)
                self._remove_path(name, fault_id)
        del self._active_shocks[fault_id]
        self._update_turbulence()

    def end_depeg(self, fault_id: str, fault: Depeg, now: int) -> None:
        """End a depeg: start the return to the peg."""
        self._paths[fault.asset][fault_id].end(now, max(fault.rebound, 0))

    def factor(self, asset: str, now: int) -> float:
        """Return the factor on the undisturbed price of ``asset`` at ``now``, and drop paths that
        are over.
        """
        factor = self._levels.get(asset, 1.0)
        paths = self._paths.get(asset)
        if paths:
            over = []
            for fault_id, path in paths.items():
                factor *= path.at(now)
                if path.over(now):
                    over.append(fault_id)
            for fault_id in over:
                self._remove_path(asset, fault_id)
        return factor

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "levels": {name: repr(level) for name, level in self._levels.items()},
            "paths": {
                name: {i: path.state() for i, path in paths.items()}
                for name, paths in self._paths.items()
            },
            "turbulence": {name: repr(factor) for name, factor in self.turbulence.items()},
        }

    def _remove_path(self, asset: str, fault_id: str) -> None:
        paths = self._paths[asset]
        del paths[fault_id]
        if not paths:
            del self._paths[asset]

    def _update_turbulence(self) -> None:
        self.turbulence.clear()
        for fault in self._active_shocks.values():
            if fault.volatility_ppm != PPM:
                for name in dict.fromkeys(fault.assets):
                    factor = self.turbulence.get(name, 1.0)
                    self.turbulence[name] = factor * (fault.volatility_ppm / PPM)


def _check_path(path: tuple[PathPoint, ...]) -> None:
    """Raise ValueError unless the path has points, in ascending order and with positive values."""
    if not path:
        raise ValueError("PATH_EMPTY")
    previous_offset = -1
    for point in path:
        if point.offset <= previous_offset:
            raise ValueError(f"PATH_NOT_ASCENDING offset={point.offset}")
        if point.value <= 0:
            raise ValueError(f"PATH_NOT_POSITIVE value={point.value}")
        previous_offset = point.offset
