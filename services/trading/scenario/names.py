"""Resolves the names in a scenario: assets, symbols and strategies, and patterns of them."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from trading.scenario.errors import suggestion
from trading.universe import MANUAL, Universe

#: Of the names of scenarios, of their faults and of uploaded recordings.
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


def coins(universe: Universe) -> tuple[str, ...]:
    """Return the assets that are not stablecoins."""
    return tuple(a.name for a in universe.assets if not a.stable)


def stablecoins(universe: Universe) -> tuple[str, ...]:
    """Return the assets that are stablecoins."""
    return tuple(a.name for a in universe.assets if a.stable)


def strategies(universe: Universe) -> tuple[str, ...]:
    """Return the names of automated strategies: their kinds and their accounts."""
    automated = [a for a in universe.accounts if a.strategy != MANUAL]
    return tuple(dict.fromkeys(n for a in automated for n in (a.strategy, a.name)))


def by_symbol(universe: Universe) -> dict[str, str]:
    """Return the assets by their own names and by their symbols: BTC and BTCUSDT are both BTC."""
    by_own_name = {a.name: a.name for a in universe.assets}
    return by_own_name | {i.symbol: i.base for i in universe.instruments}


def by_recorded_symbol(universe: Universe) -> dict[str, str]:
    """Return the assets by the symbols of recorded prices: those of by_symbol, and BTCUSD."""
    return by_symbol(universe) | {f"{a.name}USD": a.name for a in universe.assets}


def match_assets(patterns: Iterable[str], universe: Universe, *, stable: bool) -> tuple[str, ...]:
    """Return the assets that match any of ``patterns``, in the order of the universe.

    ``BTC``, ``BTCUSDT`` and ``BTC*`` all match BTC. ``*`` matches every coin, and stablecoins as
    well if ``stable`` is true. Raises ValueError for a pattern that matches nothing.
    """
    assets_by_name = by_symbol(universe)
    selected: set[str] = set()
    for pattern in patterns:
        if pattern == "*":
            selected |= {a.name for a in universe.assets if stable or not a.stable}
            continue
        matches = {asset for name, asset in assets_by_name.items() if fnmatchcase(name, pattern)}
        if not matches:
            raise ValueError(
                f"unknown asset or symbol '{pattern}'{suggestion(pattern, assets_by_name)}"
            )
        selected |= matches
    return tuple(a.name for a in universe.assets if a.name in selected)


def match_symbols(patterns: Iterable[str], universe: Universe) -> tuple[str, ...]:
    """Return the symbols that match any of ``patterns``, in the order of the universe.

    A pattern matches symbols and their base assets. Raises ValueError for one without a match.
    """
    selected: set[str] = set()
    for pattern in patterns:
        matches = {
            i.symbol
            for i in universe.instruments
            if fnmatchcase(i.symbol, pattern) or fnmatchcase(i.base, pattern)
        }
        if not matches:
            raise ValueError(f"unknown symbol '{pattern}'{suggestion(pattern, universe.symbols)}")
        selected |= matches
    return tuple(s for s in universe.symbols if s in selected)
