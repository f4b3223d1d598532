"""What a schema cannot say: names that must exist, parameters that belong together."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from trading.scenario import fault_checks
from trading.scenario.errors import Path, suggestion
from trading.scenario.model import (
    EXPECTATION_KINDS,
    FAULT_KINDS,
    Clock,
    Controls,
    Expectation,
    Fault,
    Market,
    Recovery,
    Settlement,
    SteadyState,
)
from trading.scenario.quantities import MAX_DURATION, parse_duration
from trading.scenario.series import parse_instant
from trading.scenario.settlement import SettlementTerms
from trading.units import DAY, MILLISECOND, MINUTE, format_duration
from trading.universe import Universe

Finding = tuple[Path, str]

#: Rule name -> what reads its limit, raising ValueError.
Rules = Mapping[str, Callable[[str], object]]

_MIN_TICK, _MAX_TICK = 100 * MILLISECOND, MINUTE


def check_fault(index: int, fault: Fault, universe: Universe) -> Iterator[Finding]:
    path: Path = ("spec", "faults", index)
    kinds = [k for k in FAULT_KINDS if getattr(fault, k) is not None]
    if not kinds:
        yield path, f"no fault kind: write one of {', '.join(FAULT_KINDS)}"
    elif len(kinds) > 1:
        yield (*path, kinds[1]), f"one fault has one kind, not {' and '.join(kinds)}: write two"
    for kind in kinds:
        for inner, message in fault_checks.CHECKS[kind](getattr(fault, kind), universe):
            yield (*path, kind, *inner), message


def check_names(names: Sequence[str]) -> Iterator[Finding]:
    for index, name in enumerate(names):
        if name and name in names[:index]:
            yield ("spec", "faults", index, "name"), f"two faults are named '{name}'"


def check_expectation(
    index: int, expected: Expectation, fault_names: Sequence[str], rules: Rules
) -> Iterator[Finding]:
    path: Path = ("spec", "expect", index)
    kinds = [k for k in EXPECTATION_KINDS if getattr(expected, k) is not None]
    if not kinds:
        yield path, f"nothing is expected: write one of {', '.join(EXPECTATION_KINDS)}"
        return
    if len(kinds) > 1:
        yield (*path, kinds[1]), f"expect one thing, not {' and '.join(kinds)}: write two lines"
    kind = kinds[0]
    rule = expected.alert or expected.noAlert
    if rule and rules and rule not in rules and not (rule == "*" and expected.noAlert):
        yield (*path, kind), f"unknown rule '{rule}'{suggestion(rule, rules)}"
    if kind == "noAlert":
        for field in ("of", "within"):
            if getattr(expected, field) is not None:
                yield (*path, field), f"noAlert holds for the whole run and takes no '{field}'"
        return
    if expected.of is None:
        yield path, "'of' is missing: the name of the fault that must be noticed"
    elif expected.of not in fault_names:
        hint = suggestion(expected.of, fault_names)
        yield (*path, "of"), f"no fault is named '{expected.of}'{hint}"
    if expected.within is None:
        yield path, "'within' is missing: the time limit after the injection, such as 30s"
    if expected.subject is not None and kind != "alert":
        yield (*path, "subject"), f"'subject' narrows an alert, not a {kind}"


def check_contradictions(expected: Sequence[tuple[int, Expectation]]) -> Iterator[Finding]:
    wanted = {e.alert: i for i, e in expected if e.alert and e.subject is None}
    for index, e in expected:
        if e.noAlert == "*" and wanted:
            other = min(wanted.values())
            message = f"no alert at all contradicts expect[{other}], which wants one"
            yield ("spec", "expect", index, "noAlert"), message
        elif e.noAlert in wanted and e.subject is None:
            message = f"contradicts expect[{wanted[e.noAlert]}], which wants this alert"
            yield ("spec", "expect", index, "noAlert"), message


def check_clock(clock: Clock) -> Iterator[Finding]:
    if clock.mode == "wall" and clock.speed is not None and clock.speed < 1:
        message = f"a wall clock goes at 1 or faster, got {clock.speed}; slower is mode: virtual"
        yield ("spec", "clock", "speed"), message
    if clock.start is not None:
        try:
            parse_instant(clock.start)
        except ValueError as error:
            yield ("spec", "clock", "start"), str(error)


def check_market(market: Market, universe: Universe) -> Iterator[Finding]:
    path: Path = ("spec", "market")
    if not _MIN_TICK <= parse_duration(market.tick) <= _MAX_TICK:
        yield (*path, "tick"), f"expected 100ms to 1m, got {market.tick}"
    known = [a.name for a in universe.assets]
    for asset in market.initialPrices:
        if asset not in known:
            message = f"unknown asset '{asset}'{suggestion(asset, known)}"
            yield (*path, "initialPrices", asset), message
    if market.source == "replay" and market.replay is None:
        yield path, "source: replay needs 'replay' with a file"
    if market.source != "replay" and market.replay is not None:
        yield (*path, "replay"), "write source: replay to use it"
    whose = market.replay.asset if market.replay is not None else None
    if whose is not None and whose not in known:
        message = f"unknown asset '{whose}'{suggestion(whose, known)}"
        yield (*path, "replay", "asset"), message


def check_settlement(settlement: Settlement) -> Iterator[Finding]:
    cycle = parse_duration(settlement.cycle)
    try:
        SettlementTerms(settlement.calendar, settlement.lag, cycle)
    except ValueError:
        message = f"with calendar {settlement.calendar} a cycle has to divide the day"
        yield ("spec", "settlement", "cycle"), message
    if cycle < MINUTE:
        yield ("spec", "settlement", "cycle"), f"expected 1m or more, got {settlement.cycle}"


def check_controls(controls: Controls, rules: Rules) -> Iterator[Finding]:
    if not rules:
        return
    path: Path = ("spec", "controls")
    for index, rule in enumerate(controls.disable):
        if rule not in rules:
            yield (*path, "disable", index), f"unknown rule '{rule}'{suggestion(rule, rules)}"
    for rule, limit in controls.limits.items():
        if rule not in rules:
            yield (*path, "limits", rule), f"unknown rule '{rule}'{suggestion(rule, rules)}"
            continue
        try:
            rules[rule](limit)
        except ValueError as error:
            yield (*path, "limits", rule), str(error)


def check_steady_state(steady: SteadyState) -> Iterator[Finding]:
    if parse_duration(steady.hold) >= parse_duration(steady.within):
        message = f"has to be shorter than within: {steady.within}"
        yield ("spec", "steadyState", "for"), message


def check_length(
    clock: Clock, steady: SteadyState, faults: Sequence[tuple[int, Fault]], recovery: Recovery
) -> Iterator[Finding]:
    """How long the run may have the ecosystem for itself, by its clock and by the wall's."""
    ends = {i: parse_duration(f.at) + parse_duration(f.duration) for i, f in faults}
    last = max(ends, key=lambda i: ends[i])
    whole = parse_duration(steady.within) + ends[last] + parse_duration(recovery.within)
    limit = f"{MAX_DURATION // DAY}d"
    if whole > MAX_DURATION:
        message = (
            f"with steadyState.within and recovery.within a run could last"
            f" {format_duration(whole)}, limit {limit}"
        )
        yield ("spec", "faults", last), message
        return
    speed = clock.speed or (1 if clock.mode == "wall" else 0)
    if speed and whole / speed > MAX_DURATION:
        least = f"{whole / MAX_DURATION:.2g}"
        message = (
            f"a run could last longer than {limit} on the wall clock, expected {least} or more"
        )
        yield ("spec", "clock", "speed"), message
