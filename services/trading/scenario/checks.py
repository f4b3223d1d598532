"""Checks what a JSON Schema cannot express: names that must exist, fields that belong together.

Each check takes a section that is valid by itself and yields its findings: the path of the field
and a message for the author of the scenario. :mod:`trading.scenario.load` calls them all, so that
every mistake is reported at once.
"""

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
from trading.scenario.settlement import SettlementTerms
from trading.scenario.timestamps import parse_instant
from trading.topology import RISK_MONITOR, SERVICES
from trading.units import DAY, MILLISECOND, MINUTE, format_duration
from trading.universe import Universe

Finding = tuple[Path, str]

#: Maps the name of a risk rule to the function that parses its limit and raises ValueError.
Rules = Mapping[str, Callable[[str], object]]

_MIN_TICK, _MAX_TICK = 100 * MILLISECOND, MINUTE


def check_fault(index: int, fault: Fault, universe: Universe) -> Iterator[Finding]:
    """Check that a fault has exactly one kind, and the parameters of that kind."""
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
    """Check that the names of faults are unique."""
    for index, name in enumerate(names):
        if name and name in names[:index]:
            yield ("spec", "faults", index, "name"), f"two faults are named '{name}'"


def check_expectation(
    index: int,
    expectation: Expectation,
    fault_names: Sequence[str],
    rules: Rules,
    monitors: Sequence[str] = (),
) -> Iterator[Finding]:
    """Check that an expectation has exactly one kind, and refers to faults, rules and monitors that
    exist.
    """
    path: Path = ("spec", "expect", index)
    kinds = [k for k in EXPECTATION_KINDS if getattr(expectation, k) is not None]
    if not kinds:
        yield path, f"nothing is expected: write one of {', '.join(EXPECTATION_KINDS)}"
        return
    if len(kinds) > 1:
        yield (*path, kinds[1]), f"expect one thing, not {' and '.join(kinds)}: write two lines"
    kind = kinds[0]
    judged = [*monitors] or [RISK_MONITOR]
    yield from _check_monitor(path, kind, expectation, judged)
    built_in = RISK_MONITOR in expectation.concerned(monitors)
    rule = expectation.alert or expectation.noAlert
    any_alert = rule == "*" and (expectation.noAlert or not built_in)
    if rule and rules and built_in and rule not in rules and not any_alert:
        yield (*path, kind), f"unknown rule '{rule}'{suggestion(rule, rules)}"
    if kind == "noAlert":
        for field in ("of", "within"):
            if getattr(expectation, field) is not None:
                yield (*path, field), f"noAlert holds for the whole run and takes no '{field}'"
        return
    if expectation.of is None:
        yield path, "'of' is missing: the name of the fault that must be noticed"
    elif expectation.of not in fault_names:
        hint = suggestion(expectation.of, fault_names)
        yield (*path, "of"), f"no fault is named '{expectation.of}'{hint}"
    if expectation.within is None:
        yield path, "'within' is missing: the time limit after the injection, such as 30s"
    if expectation.subject is not None and kind != "alert":
        yield (*path, "subject"), f"'subject' narrows an alert, not a {kind}"


def _check_monitor(
    path: Path, kind: str, expectation: Expectation, judged: Sequence[str]
) -> Iterator[Finding]:
    monitor = expectation.monitor
    if kind not in ("alert", "noAlert"):
        for field in ("monitor", "labels"):
            if getattr(expectation, field):
                yield (*path, field), f"'{field}' belongs to an alert, not to a {kind}"
    elif monitor is not None and monitor not in judged:
        hint = suggestion(monitor, judged)
        yield (*path, "monitor"), f"'{monitor}' is not in spec.monitors{hint}"
    elif expectation.labels and RISK_MONITOR in expectation.concerned(judged):
        yield (*path, "labels"), f"alerts of {RISK_MONITOR} have no labels: write a subject"


def check_monitors(monitors: Sequence[str]) -> Iterator[Finding]:
    """Check that the names of monitors are unique, and none that of another service."""
    for index, name in enumerate(monitors):
        if name in monitors[:index]:
            yield ("spec", "monitors", index), f"'{name}' is named twice"
        elif name in SERVICES and name != RISK_MONITOR:
            yield ("spec", "monitors", index), f"'{name}' is a service, and no monitor"


def check_contradictions(expectations: Sequence[tuple[int, Expectation]]) -> Iterator[Finding]:
    """Check that no alert of one monitor is both expected and forbidden; items are
    (index, expectation).
    """
    for monitor in dict.fromkeys(expectation.monitor for _, expectation in expectations):
        yield from _contradictions([e for e in expectations if e[1].monitor == monitor])


def _contradictions(expectations: Sequence[tuple[int, Expectation]]) -> Iterator[Finding]:
    expected_alerts = {
        expectation.alert: i
        for i, expectation in expectations
        if expectation.alert and expectation.subject is None and not expectation.labels
    }
    for index, expectation in expectations:
        if expectation.noAlert == "*" and expected_alerts:
            other = min(expected_alerts.values())
            message = f"no alert at all contradicts expect[{other}], which wants one"
            yield ("spec", "expect", index, "noAlert"), message
        elif expectation.noAlert in expected_alerts and expectation.subject is None:
            other = expected_alerts[expectation.noAlert]
            message = f"contradicts expect[{other}], which wants this alert"
            yield ("spec", "expect", index, "noAlert"), message


def check_clock(clock: Clock) -> Iterator[Finding]:
    """Check the speed of a wall clock and the start time."""
    if clock.mode == "wall" and clock.speed is not None and clock.speed < 1:
        message = f"a wall clock goes at 1 or faster, got {clock.speed}; slower is mode: virtual"
        yield ("spec", "clock", "speed"), message
    if clock.start is not None:
        try:
            parse_instant(clock.start)
        except ValueError as error:
            yield ("spec", "clock", "start"), str(error)


def check_market(market: Market, universe: Universe) -> Iterator[Finding]:
    """Check the tick, the names of assets, and that a replay belongs to source: replay."""
    path: Path = ("spec", "market")
    if not _MIN_TICK <= parse_duration(market.tick) <= _MAX_TICK:
        yield (*path, "tick"), f"expected 100ms to 1m, got {market.tick}"
    assets = [a.name for a in universe.assets]
    for asset in market.initialPrices:
        if asset not in assets:
            message = f"unknown asset '{asset}'{suggestion(asset, assets)}"
            yield (*path, "initialPrices", asset), message
    if market.source == "replay" and market.replay is None:
        yield path, "source: replay needs 'replay' with a file, data or recording"
    if market.source != "replay" and market.replay is not None:
        yield (*path, "replay"), "write source: replay to use it"
    if market.replay is not None:
        for field, message in fault_checks.check_recording(market.replay):
            yield (*path, "replay", *field), message
    replay_asset = market.replay.asset if market.replay is not None else None
    if replay_asset is not None and replay_asset not in assets:
        message = f"unknown asset '{replay_asset}'{suggestion(replay_asset, assets)}"
        yield (*path, "replay", "asset"), message


def check_settlement(settlement: Settlement) -> Iterator[Finding]:
    """Check that the settlement cycle is at least a minute and fits its calendar."""
    cycle = parse_duration(settlement.cycle)
    try:
        SettlementTerms(settlement.calendar, settlement.lag, cycle)
    except ValueError:
        message = f"with calendar {settlement.calendar} a cycle has to divide the day"
        yield ("spec", "settlement", "cycle"), message
    if cycle < MINUTE:
        yield ("spec", "settlement", "cycle"), f"expected 1m or more, got {settlement.cycle}"


def check_controls(controls: Controls, rules: Rules) -> Iterator[Finding]:
    """Check the names of risk rules and the syntax of their limits, if ``rules`` are known."""
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
    """Check that the steady state can be reached within its time limit."""
    if parse_duration(steady.hold) >= parse_duration(steady.within):
        message = f"has to be shorter than within: {steady.within}"
        yield ("spec", "steadyState", "for"), message


def check_length(
    clock: Clock, steady: SteadyState, faults: Sequence[tuple[int, Fault]], recovery: Recovery
) -> Iterator[Finding]:
    """Check that the run lasts at most MAX_DURATION, in simulated and in wall-clock time.

    A run has the ecosystem for itself, so its length is limited. ``faults`` are (index, fault).
    """
    ends = {i: parse_duration(f.at) + parse_duration(f.duration) for i, f in faults}
    last_fault = max(ends, key=lambda i: ends[i])
    max_length = parse_duration(steady.within) + ends[last_fault] + parse_duration(recovery.within)
    limit = f"{MAX_DURATION // DAY}d"
    if max_length > MAX_DURATION:
        message = (
            f"with steadyState.within and recovery.within a run could last"
            f" {format_duration(max_length)}, limit {limit}"
        )
        yield ("spec", "faults", last_fault), message
        return
    speed = clock.speed or (1 if clock.mode == "wall" else 0)
    if speed and max_length / speed > MAX_DURATION:
        min_speed = f"{max_length / MAX_DURATION:.2g}"
        message = (
            f"a run could last longer than {limit} on the wall clock, expected {min_speed} or more"
        )
        yield ("spec", "clock", "speed"), message
