"""A scenario compiled for the machines: names resolved, times in microseconds, ratios in ppm.

:mod:`trading.scenario.model` is what people write; a :class:`RunPlan` is what the coordinator runs.
"""

import hashlib
import shlex
from enum import StrEnum
from functools import cache
from importlib.metadata import version

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

_encode = msgspec.json.Encoder(order="deterministic").encode


@cache
def installed_version() -> str:
    """Return the version of this program, as its package's metadata have it."""
    return version("trading-ecosystem")


class ClockMode(StrEnum):
    """How simulated time goes on in a run. VIRTUAL: when every service has done what was due, as
    fast as the machine allows. WALL: with the time of day.
    """

    VIRTUAL = "virtual"
    WALL = "wall"


#: Fields of a plan that its digest leaves out.
_APART = frozenset({"clock_mode", "description", "overrides", "source", "speed", "version"})


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
    ``speed``: simulated seconds per wall second; of a virtual clock the ceiling, None: as fast as
    the machine allows. A wall clock always has one. ``overrides``: dotted path in ``spec`` -> value
    as YAML, of what was changed for this run; they are in effect in the other fields already.
    ``source``: how the scenario was named, a file or a shipped name. ``version``: of the program
    that made the plan.
    """

    name: str
    description: str = ""
    seed: int = 0
    clock_mode: ClockMode = ClockMode.VIRTUAL
    speed: float | None = None
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
    overrides: dict[str, str] = msgspec.field(default_factory=dict)
    source: str = ""
    version: str = msgspec.field(default_factory=installed_version)

    @property
    def journal_id(self) -> str:
        """Names this run in the first entry of every journal."""
        return plan_digest(self)[:16]


def plan_digest(plan: RunPlan) -> str:
    """Return what identifies a run: hex SHA-256 of its plan. Left out is what changes nothing that
    happens in it: the clock, the description, and where the plan comes from.
    """
    same = {field: getattr(plan, field) for field in plan.__struct_fields__ if field not in _APART}
    return hashlib.sha256(_encode(same)).hexdigest()


def reproduction(plan: RunPlan, *, control: bool = True) -> str:
    """Return the command that makes the same run embedded, quoted for a shell."""
    words = ["trading", "run", plan.source or f"{plan.name}.yaml", "--seed", str(plan.seed)]
    for path, value in plan.overrides.items():
        # --seed has the last word, whatever was said of it before.
        if path != "seed":
            words += ["--set", f"{path}={value}"]
    return shlex.join(words if control else [*words, "--no-control"])
