"""Checks the parameters of each kind of fault: which belong together, and what they may name.

A check yields (path within the fault, message). CHECKS has one for each kind.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from trading.scenario import names
from trading.scenario.errors import Path, suggestion
from trading.scenario.faults import (
    Depeg,
    ExchangeOutage,
    FeedDisruption,
    MarketShock,
    NetworkPartition,
    Recording,
    SettlementFailure,
    StrategyMalfunction,
)
from trading.scenario.quantities import parse_duration, parse_percent
from trading.topology import AUDIT_CORRELATOR, SERVICES, TEST_COORDINATOR, may_connect
from trading.units import PPM
from trading.universe import Universe

Findings = Iterator[tuple[Path, str]]

_MARKET_MAKING = "market-making"


def _market_shock(fault: MarketShock, universe: Universe) -> Findings:
    yield from _check_assets("symbols", fault.symbols, universe, stable=False)
    yield from _check_alternatives(fault, ("change", "path"))
    if fault.path is not None:
        if fault.over != "0s":
            yield ("over",), "'over' belongs to 'change'; a path has its own times"
        yield from _check_ascending(fault.path)
    changes = [(("change",), fault.change)] if fault.change is not None else []
    points = enumerate(fault.path or [])
    for path, change in [*changes, *((("path", i, "change"), p.change) for i, p in points)]:
        if parse_percent(change) <= -PPM:
            yield path, f"a price cannot fall by {change}"
    if fault.change is not None and parse_percent(fault.change) == 0:
        yield ("change",), "a change of 0 % is no shock"


def _depeg(fault: Depeg, universe: Universe) -> Findings:
    stablecoins = names.stablecoins(universe)
    if fault.asset not in stablecoins:
        yield (
            ("asset",),
            f"unknown stablecoin '{fault.asset}'{suggestion(fault.asset, stablecoins)}",
        )
    yield from _check_alternatives(fault, ("to", "path", "series"))
    if fault.to is None and fault.over != "0s":
        yield ("over",), "'over' belongs to 'to'; a path has its own times"
    if fault.to is not None and fault.step:
        yield ("step",), "'step' belongs to 'path' or 'series'"
    if fault.path is not None:
        yield from _check_ascending(fault.path)
    if fault.series is not None:
        for path, message in check_recording(fault.series):
            yield ("series", *path), message


def check_recording(recording: Recording) -> Findings:
    """Check that recorded prices are in one place."""
    yield from _check_alternatives(recording, ("file", "data", "recording"))


def _exchange_outage(fault: ExchangeOutage, universe: Universe) -> Findings:
    yield from _check_parameters(
        fault,
        fault.mode,
        {"slow": ("delay",), "liquidity": ("factor", "symbols"), "halt": ("symbols",)}
        | {"partial-ack": ("probability",)},
        required=("delay", "factor"),
    )
    if fault.symbols is not None:
        yield from _check_patterns(
            "symbols", fault.symbols, lambda p: names.match_symbols([p], universe)
        )
    yield from _check_share(fault.probability, "probability")


def _settlement_failure(fault: SettlementFailure, universe: Universe) -> Findings:
    yield from _check_parameters(
        fault,
        fault.mode,
        {"delay": ("delay",), "partial": ("fraction",)},
        required=("delay", "fraction"),
        free=("assets",),
    )
    if fault.assets is not None:
        yield from _check_assets("assets", fault.assets, universe, stable=True)
    if fault.fraction is not None and not 0 <= parse_percent(fault.fraction) < PPM:
        yield ("fraction",), f"expected 0% to below 100%, got {fault.fraction}"


def _strategy_malfunction(fault: StrategyMalfunction, universe: Universe) -> Findings:
    strategies = names.strategies(universe)
    if fault.strategy not in strategies:
        hint = suggestion(fault.strategy, strategies)
        yield ("strategy",), f"unknown strategy '{fault.strategy}'{hint}"
    yield from _check_parameters(
        fault,
        fault.mode,
        {"runaway-repeat": ("rate",), "fat-finger": ("factor",)},
        required=("rate", "factor"),
        free=("strategy",),
    )
    makers = {
        n
        for a in universe.accounts
        if a.strategy == _MARKET_MAKING
        for n in (_MARKET_MAKING, a.name)
    }
    if (
        fault.mode == "stale-quotes"
        and fault.strategy in strategies
        and fault.strategy not in makers
    ):
        yield ("strategy",), f"{fault.strategy} does not quote: stale-quotes needs {_MARKET_MAKING}"


def _feed_disruption(fault: FeedDisruption, universe: Universe) -> Findings:
    yield from _check_assets("assets", fault.assets, universe, stable=False)
    yield from _check_parameters(
        fault,
        fault.mode,
        {"latency": ("delay",), "spike": ("magnitude",)},
        required=("delay", "magnitude"),
        free=("assets", "probability"),
    )
    yield from _check_share(fault.probability, "probability")
    if fault.magnitude is not None:
        ppm = parse_percent(fault.magnitude)
        if ppm == 0 or ppm <= -PPM:
            yield ("magnitude",), f"expected a spike above -100% and not 0%, got {fault.magnitude}"


def _network_partition(fault: NetworkPartition, universe: Universe) -> Findings:
    for index, pair in enumerate(fault.between):
        path: Path = ("between", index)
        if len(pair) != 2:
            yield path, f"expected two services, got {len(pair)}"
            continue
        unknown = [name for name in pair if name not in SERVICES]
        for name in unknown:
            yield path, f"unknown service '{name}'{suggestion(name, SERVICES)}"
        if unknown:
            continue
        first, second = pair
        protected = {TEST_COORDINATOR, AUDIT_CORRELATOR}.intersection(pair)
        if protected:
            yield path, f"{min(protected)} watches the run and cannot be cut off"
        elif not (may_connect(first, second) or may_connect(second, first)):
            yield path, f"{first} and {second} never talk to each other: nothing to cut"


CHECKS: Mapping[str, Callable[[Any, Universe], Findings]] = {
    "marketShock": _market_shock,
    "depeg": _depeg,
    "exchangeOutage": _exchange_outage,
    "settlementFailure": _settlement_failure,
    "strategyMalfunction": _strategy_malfunction,
    "feedDisruption": _feed_disruption,
    "networkPartition": _network_partition,
}


def _check_assets(
    field: str, patterns: Sequence[str], universe: Universe, *, stable: bool
) -> Findings:
    yield from _check_patterns(
        field, patterns, lambda p: names.match_assets([p], universe, stable=stable)
    )


def _check_patterns(
    field: str, patterns: Sequence[str], match: Callable[[str], object]
) -> Findings:
    for index, pattern in enumerate(patterns):
        try:
            match(pattern)
        except ValueError as error:
            yield (field, index), str(error)


def _check_alternatives(fault: Any, fields: tuple[str, ...]) -> Findings:
    present = [f for f in fields if getattr(fault, f) is not None]
    choices = " or ".join(f"'{f}'" for f in fields)
    if not present:
        yield (), f"{choices} is missing"
    elif len(present) > 1:
        yield (present[1],), f"expected either {choices}, not both {' and '.join(present)}"


def _check_ascending(points: Sequence[Any]) -> Findings:
    for index, (before, point) in enumerate(pairwise(points), start=1):
        if parse_duration(point.after) <= parse_duration(before.after):
            message = f"times must increase: {point.after} comes after {before.after}"
            yield ("path", index, "after"), message


def _check_share(text: str | None, field: str) -> Findings:
    if text is not None and not 0 < parse_percent(text) <= PPM:
        yield (field,), f"expected above 0% and at most 100%, got {text}"


def _check_parameters(
    fault: Any,
    mode: str,
    belongs: Mapping[str, tuple[str, ...]],
    *,
    required: tuple[str, ...],
    free: tuple[str, ...] = (),
) -> Findings:
    """Check that the fields of ``fault`` belong to its mode, and that none is missing.

    ``belongs`` maps a mode to its fields; those that are in ``required``, too, must be present.
    ``free`` are the fields that every mode may have.
    """
    for field in belongs.get(mode, ()):
        if field in required and getattr(fault, field) is None:
            yield (), f"mode {mode} needs '{field}'"
    for field in type(fault).model_fields:
        allowed = field in ("mode", *free, *belongs.get(mode, ()))
        if not allowed and getattr(fault, field) is not None:
            modes = ", ".join(m for m, fields in belongs.items() if field in fields)
            yield (field,), f"'{field}' belongs to mode {modes}, not {mode}"
