"""What a scenario may name: assets, symbols, strategies; and the patterns for several at once."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from trading.scenario.errors import suggestion
from trading.universe import MANUAL, Universe


def coins(universe: Universe) -> tuple[str, ...]:
    return tuple(a.name for a in universe.assets if not a.stable)


def stablecoins(universe: Universe) -> tuple[str, ...]:
    return tuple(a.name for a in universe.assets if a.stable)


def strategies(universe: Universe) -> tuple[str, ...]:
    """Kinds and accounts."""
    automated = [a for a in universe.accounts if a.strategy != MANUAL]
    return tuple(dict.fromkeys(n for a in automated for n in (a.strategy, a.name)))


def by_symbol(universe: Universe) -> dict[str, str]:
    """Asset by its own name and by its symbols: BTC and BTCUSDT are both BTC."""
    known = {a.name: a.name for a in universe.assets}
    return known | {i.symbol: i.base for i in universe.instruments}


def match_assets(patterns: Iterable[str], universe: Universe, *, stable: bool) -> tuple[str, ...]:
    """``*`` is every coin; ``BTC``, ``BTCUSDT`` and ``BTC*`` are BTC. ``stable``: stablecoins by
    ``*`` too. In the universe's order. ValueError for what matches nothing.
    """
    known = by_symbol(universe)
    chosen: set[str] = set()
    for pattern in patterns:
        if pattern == "*":
            chosen |= {a.name for a in universe.assets if stable or not a.stable}
            continue
        found = {asset for name, asset in known.items() if fnmatchcase(name, pattern)}
        if not found:
            raise ValueError(f"unknown asset or symbol '{pattern}'{suggestion(pattern, known)}")
        chosen |= found
    return tuple(a.name for a in universe.assets if a.name in chosen)


def match_symbols(patterns: Iterable[str], universe: Universe) -> tuple[str, ...]:
    """``*`` is every symbol; otherwise as :func:`match_assets`. ValueError."""
    chosen: set[str] = set()
    for pattern in patterns:
        found = {
            i.symbol
            for i in universe.instruments
            if fnmatchcase(i.symbol, pattern) or fnmatchcase(i.base, pattern)
        }
        if not found:
            raise ValueError(f"unknown symbol '{pattern}'{suggestion(pattern, universe.symbols)}")
        chosen |= found
    return tuple(s for s in universe.symbols if s in chosen)
