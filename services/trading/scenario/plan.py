"""A scenario compiled for the machines: names resolved, times in microseconds, ratios in ppm.

:mod:`trading.scenario.model` is what people write; a :class:`RunPlan` is what the coordinator runs.
"""

import msgspec

from trading.messages.chaos import (
    AnyFault,
    Depeg,
    ExchangeOutage,
    FeedDisruption,
    MarketShock,
    NetworkPartition,
    SettlementFailure,
    StrategyMalfunction,
)
from trading.scenario.settlement import SettlementTerms
from trading.topology import CUSTODIAN, EXCHANGE, MARKET_DATA, TRADING_ENGINE
from trading.units import MINUTE, SECOND
from trading.universe import Universe, default_universe

#: The addressee of network faults: whatever runtime moves the messages.
NETWORK = "network"

#: 2026-01-05T00:00:00Z, a Monday.
DEFAULT_START = 1_767_571_200 * SECOND


class PlannedFault(msgspec.Struct, frozen=True):
    """``at``: after the steady state held. ``duration``: from the verified injection; without
    evidence of the injection the fault is ended ``duration`` after it was asked for.
    """

    name: str
    at: int
    duration: int
    fault: AnyFault

    @property
    def kind(self) -> str:
        """As in the scenario file: ``marketShock``, ``depeg``, ..."""
        return str(type(self.fault).__struct_config__.tag)

    @property
    def target(self) -> str:
        """The service that plays the fault."""
        fault = self.fault
        if isinstance(fault, Depeg):
            return EXCHANGE if fault.scope == "venue" else MARKET_DATA
        return _TARGETS[type(fault)]


_TARGETS: dict[type, str] = {
    MarketShock: MARKET_DATA,
    FeedDisruption: MARKET_DATA,
    ExchangeOutage: EXCHANGE,
    SettlementFailure: CUSTODIAN,
    StrategyMalfunction: TRADING_ENGINE,
    NetworkPartition: NETWORK,
}


class Expectation(msgspec.Struct, frozen=True):
    """What must be noticed. ``kind``: alert (``name``: rule), breaker (``name``: state), noAlert
    (``name``: rule, or "*": any) or promql (``name``: the query). ``subject`` narrows an alert,
    empty: any. ``of``: fault name; ``within``: microseconds after its verified injection; both
    empty for noAlert, which holds for the whole run.
    """

    kind: str
    name: str
    of: str = ""
    within: int = 0
    subject: str = ""

    @property
    def label(self) -> str:
        """One line for people: ``alert drawdown``."""
        return f"{self.kind} {self.name}" + (f" on {self.subject}" if self.subject else "")


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """``replay``: recorded prices by asset, (offset since the start, price). ``limits``: rule ->
    limit as people write it. ``tick``: of the market, and the beat of everything periodic.
    """

    name: str
    description: str = ""
    seed: int = 0
    speed: float = 60
    start: int = DEFAULT_START
    tick: int = SECOND
    universe: Universe = msgspec.field(default_factory=default_universe)
    replay: dict[str, tuple[tuple[int, int], ...]] = msgspec.field(default_factory=dict)
    settlement: SettlementTerms = msgspec.field(default_factory=SettlementTerms)
    disabled_rules: tuple[str, ...] = ()
    limits: dict[str, str] = msgspec.field(default_factory=dict)
    steady_for: int = 5 * MINUTE
    steady_within: int = 30 * MINUTE
    faults: tuple[PlannedFault, ...]
    expectations: tuple[Expectation, ...]
    recovery_within: int = 30 * MINUTE
