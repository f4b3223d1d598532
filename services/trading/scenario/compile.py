"""Compiles the scenario that people write to the plan that the test coordinator runs."""

from collections.abc import Iterator, Sequence

import msgspec

from trading.messages import chaos
from trading.scenario import faults, names
from trading.scenario.errors import Path as Place
from trading.scenario.model import ChaosScenario, Expectation, Fault
from trading.scenario.plan import DEFAULT_START, ClockMode, PlannedFault, RunPlan
from trading.scenario.plan import Expectation as PlannedExpectation
from trading.scenario.quantities import parse_duration, parse_percent, parse_price
from trading.scenario.recorded import RecordedPrices
from trading.scenario.recordings import Recordings
from trading.scenario.series import Points
from trading.scenario.settlement import SettlementTerms
from trading.scenario.timestamps import parse_instant
from trading.topology import RISK_MONITOR
from trading.units import PPM
from trading.universe import Universe


def compile_plan(model: ChaosScenario, universe: Universe, files: Recordings) -> RunPlan:
    """Return the plan of a scenario that passed all checks.

    ``files`` are the recorded prices that the scenario may read. Raises CompileError for those that
    it may not read, or that cannot be read.
    """
    recorded = RecordedPrices(universe, files)
    spec = model.spec
    market = spec.market
    prices = {asset: parse_price(text) for asset, text in market.initialPrices.items()}
    replay_prices: dict[str, Points] = {}
    start = DEFAULT_START
    if market.replay is not None:
        place: Place = ("spec", "market", "replay")
        series = recorded.read(market.replay, market.replay.asset or "", place)
        start = min(points[0][0] for points in series.values())
        replay_prices = {a: _shift(points, start) for a, points in series.items()}
        prices |= {asset: points[0][1] for asset, points in replay_prices.items()}
    if spec.clock.start is not None:
        start = parse_instant(spec.clock.start)
    universe = universe.with_prices(prices)
    settlement = spec.settlement
    mode = ClockMode(spec.clock.mode)
    return RunPlan(
        name=model.metadata.name,
        description=spec.description,
        seed=spec.seed,
        clock_mode=mode,
        speed=1.0 if mode is ClockMode.WALL and spec.clock.speed is None else spec.clock.speed,
        start=start,
        tick=parse_duration(market.tick),
        universe=universe,
        replay=replay_prices,
        settlement=SettlementTerms(
            settlement.calendar, settlement.lag, parse_duration(settlement.cycle)
        ),
        disabled_rules=tuple(spec.controls.disable),
        limits=dict(spec.controls.limits),
        steady_for=parse_duration(spec.steadyState.hold),
        steady_within=parse_duration(spec.steadyState.within),
        faults=tuple(_planned_fault(i, f, universe, recorded) for i, f in enumerate(spec.faults)),
        expectations=tuple(p for e in spec.expect for p in _planned_expectations(e, spec.monitors)),
        recovery_within=parse_duration(spec.recovery.within),
        monitors=tuple(spec.monitors),
    )


def _planned_expectations(
    expectation: Expectation, monitors: Sequence[str]
) -> Iterator[PlannedExpectation]:
    """Yield an expectation once for each monitor that it concerns."""
    planned = _planned_expectation(expectation)
    concerned = expectation.concerned(monitors)
    if expectation.alert is None and expectation.noAlert is None:
        concerned = [RISK_MONITOR]
    for monitor in concerned:
        if monitor == RISK_MONITOR:
            yield planned
        else:
            labels = dict(sorted(expectation.labels.items())) or msgspec.UNSET
            yield msgspec.structs.replace(planned, monitor=monitor, labels=labels)


def _planned_expectation(expectation: Expectation) -> PlannedExpectation:
    kind, name = next(
        (kind, value)
        for kind in ("alert", "breaker", "noAlert", "promql")
        if (value := getattr(expectation, kind)) is not None
    )
    within = parse_duration(expectation.within) if expectation.within is not None else 0
    return PlannedExpectation(kind, name, expectation.of or "", within, expectation.subject or "")


def _planned_fault(
    index: int, fault: Fault, universe: Universe, recorded: RecordedPrices
) -> PlannedFault:
    place: Place = ("spec", "faults", index)
    return PlannedFault(
        fault.name,
        parse_duration(fault.at),
        parse_duration(fault.duration),
        _fault(fault, universe, recorded, place),
    )


def _fault(
    fault: Fault, universe: Universe, recorded: RecordedPrices, place: Place
) -> chaos.AnyFault:
    if (shock := fault.marketShock) is not None:
        return _shock(shock, universe)
    if (depeg := fault.depeg) is not None:
        return _depeg(depeg, recorded, (*place, "depeg", "series"))
    if (outage := fault.exchangeOutage) is not None:
        return _outage(outage, universe)
    if (failure := fault.settlementFailure) is not None:
        return chaos.SettlementFailure(
            failure.mode,
            names.match_assets(failure.assets or ["*"], universe, stable=True),
            parse_duration(failure.delay) if failure.delay else 0,
            parse_percent(failure.fraction) if failure.fraction else 0,
        )
    if (malfunction := fault.strategyMalfunction) is not None:
        return chaos.StrategyMalfunction(
            malfunction.strategy, malfunction.mode, malfunction.rate or 0, malfunction.factor or 1
        )
    if (feed := fault.feedDisruption) is not None:
        return chaos.FeedDisruption(
            feed.mode,
            names.match_assets(feed.assets, universe, stable=False),
            parse_duration(feed.delay) if feed.delay else 0,
            parse_percent(feed.magnitude) if feed.magnitude else 0,
            parse_percent(feed.probability) if feed.probability else PPM,
        )
    partition = fault.networkPartition
    if partition is None:
        raise TypeError("a fault without a kind passed the checks")
    return chaos.NetworkPartition(tuple((a, b) for a, b in partition.between))


def _shock(shock: faults.MarketShock, universe: Universe) -> chaos.MarketShock:
    points = [(parse_duration(p.after), PPM + parse_percent(p.change)) for p in shock.path or []]
    if shock.change is not None:
        points = [(parse_duration(shock.over), PPM + parse_percent(shock.change))]
    return chaos.MarketShock(
        names.match_assets(shock.symbols, universe, stable=False),
        tuple(chaos.PathPoint(offset, value) for offset, value in points),
        round(shock.volatility * PPM),
        parse_duration(shock.rebound) if shock.rebound is not None else -1,
    )


def _depeg(depeg: faults.Depeg, recorded: RecordedPrices, place: Place) -> chaos.Depeg:
    points = [(parse_duration(p.after), parse_price(p.price)) for p in depeg.path or []]
    if depeg.to is not None:
        points = [(parse_duration(depeg.over), parse_price(depeg.to))]
    elif depeg.series is not None:
        series = recorded.read(depeg.series, depeg.asset, place)[depeg.asset]
        points = list(_shift(series, series[0][0]))
    if depeg.step:
        points = _as_steps(points)
    recorded.check_path(len(points), place)
    path = tuple(chaos.PathPoint(offset, value) for offset, value in points)
    return chaos.Depeg(depeg.asset, path, depeg.scope, parse_duration(depeg.rebound))


def _as_steps(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return points between which the value stays constant.

    Values between points are interpolated linearly, so one more point is added a microsecond before
    every step.
    """
    steps: list[tuple[int, int]] = []
    for offset, value in points:
        if steps and offset - 1 > steps[-1][0]:
            steps.append((offset - 1, steps[-1][1]))
        steps.append((offset, value))
    return steps


def _outage(outage: faults.ExchangeOutage, universe: Universe) -> chaos.ExchangeOutage:
    symbols: tuple[str, ...] = ()
    if outage.mode in ("liquidity", "halt"):
        symbols = names.match_symbols(outage.symbols or ["*"], universe)
    return chaos.ExchangeOutage(
        outage.mode,
        symbols,
        parse_duration(outage.delay) if outage.delay else 0,
        parse_percent(outage.probability) if outage.probability else PPM,
        outage.factor or 1,
    )


def _shift(points: Points, start: int) -> Points:
    return tuple((at - start, price) for at, price in points)
