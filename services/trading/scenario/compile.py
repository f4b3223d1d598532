"""Compiles the scenario that people write to the plan that the test coordinator runs."""

from collections.abc import Iterator, Sequence

import msgspec

from trading.messages import chaos
from trading.scenario import faults, names
from trading.scenario.errors import Path as Place
from trading.scenario.model import ChaosScenario, Expectation, Fault
from trading.scenario.model import Replay as ReplayModel
from trading.scenario.plan import DEFAULT_START, ClockMode, PlannedFault, RunPlan
from trading.scenario.plan import Expectation as PlannedExpectation
from trading.scenario.quantities import parse_duration, parse_percent, parse_price
from trading.scenario.recordings import Recordings
from trading.scenario.series import Points, SeriesError, parse_instant, read_series
from trading.scenario.settlement import SettlementTerms
from trading.topology import RISK_MONITOR
from trading.units import PPM
from trading.universe import Universe


class CompileError(ValueError):
    """Raised if a file that the scenario names cannot be used.

    ``place`` is the path of the field in the scenario that names the file.
    """

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


def compile_plan(model: ChaosScenario, universe: Universe, files: Recordings) -> RunPlan:
    """Return the plan of a scenario that passed all checks.

    ``files`` are those that the scenario may open. Raises CompileError for a file that it may not
    open, or that cannot be read.
    """
    spec = model.spec
    market = spec.market
    prices = {asset: parse_price(text) for asset, text in market.initialPrices.items()}
    replay_prices: dict[str, Points] = {}
    start = DEFAULT_START
    if market.replay is not None:
        series = _replay(market.replay, universe, files)
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
        faults=tuple(_planned_fault(i, f, universe, files) for i, f in enumerate(spec.faults)),
        expectations=tuple(p for e in spec.expect for p in _planned_expectations(e, spec.monitors)),
        recovery_within=parse_duration(spec.recovery.within),
        monitors=tuple(spec.monitors),
    )


def _planned_expectations(
    expectation: Expectation, monitors: Sequence[str]
) -> Iterator[PlannedExpectation]:
    """Yield an expectation once for each monitor that it concerns."""
    planned = _planned_expectation(expectation)
    concerned = [expectation.monitor] if expectation.monitor else [*monitors] or [RISK_MONITOR]
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


def _planned_fault(index: int, fault: Fault, universe: Universe, files: Recordings) -> PlannedFault:
    place: Place = ("spec", "faults", index)
    return PlannedFault(
        fault.name,
        parse_duration(fault.at),
        parse_duration(fault.duration),
        _fault(fault, universe, files, place),
    )


def _fault(fault: Fault, universe: Universe, files: Recordings, place: Place) -> chaos.AnyFault:
    if (shock := fault.marketShock) is not None:
        return _shock(shock, universe)
    if (depeg := fault.depeg) is not None:
        return _depeg(depeg, universe, files, (*place, "depeg", "series"))
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


def _depeg(depeg: faults.Depeg, universe: Universe, files: Recordings, place: Place) -> chaos.Depeg:
    points = [(parse_duration(p.after), parse_price(p.price)) for p in depeg.path or []]
    if depeg.to is not None:
        points = [(parse_duration(depeg.over), parse_price(depeg.to))]
    elif depeg.series is not None:
        name, column = depeg.series.file, depeg.series.column
        series = _read_recording(files, name, universe, depeg.asset, column, place)[depeg.asset]
        points = list(_shift(series, series[0][0]))
    if depeg.step:
        points = _as_steps(points)
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


def _replay(replay: ReplayModel, universe: Universe, files: Recordings) -> dict[str, Points]:
    place: Place = ("spec", "market", "replay", "file")
    return _read_recording(files, replay.file, universe, replay.asset or "", replay.column, place)


def _read_recording(
    files: Recordings, name: str, universe: Universe, asset: str, column: str, place: Place
) -> dict[str, Points]:
    """Read the prices of a file that the scenario names.

    No other function opens a file for a scenario.
    """
    if not files.allow(name):
        message = "a scenario that came over the network cannot read files; write a path of points"
        raise CompileError(place, message)
    path = files.directory / name
    try:
        return read_series(path, names.by_symbol(universe), asset=asset, column=column)
    except SeriesError as error:
        where = f"{path}:{error.line}" if error.line else str(path)
        raise CompileError(place, f"{where}: {error}") from error


def _shift(points: Points, start: int) -> Points:
    return tuple((at - start, price) for at, price in points)
