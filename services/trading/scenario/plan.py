"""The compiled form of a scenario: names resolved, times in microseconds, ratios in ppm.

People write the resource in :mod:`trading.scenario.model`; :mod:`trading.scenario.compile` turns it
into a :class:`RunPlan`, which is what the test coordinator runs.
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
from trading.topology import CUSTODIAN, EXCHANGE, MARKET_DATA, RISK_MONITOR, TRADING_ENGINE
from trading.units import MINUTE, SECOND
from trading.universe import Universe, default_universe

#: The target of network faults: the runtime, which moves the messages between the services.
NETWORK = "network"

#: 2026-01-05T00:00:00Z, a Monday.
DEFAULT_START = 1_767_571_200 * SECOND

_encode = msgspec.json.Encoder(order="deterministic").encode


@cache
def installed_version() -> str:
    """Return the version of this program from the metadata of its package."""
    return version("trading-ecosystem")


class ClockMode(StrEnum):
    """How simulated time advances during a run.

    VIRTUAL: it advances as soon as every service has finished the current instant, as fast as the
    machine allows. WALL: it follows the time of day.
    """

    VIRTUAL = "virtual"
    WALL = "wall"


#: What was given as a monitor begins with this if its alerts come from a file.
ALERTS_FILE = "file:"

#: Fields of a plan that do not change what happens in the run.
_NOT_IN_DIGEST = frozenset(
    {
        "clock_mode",
        "description",
        "monitor_programs",
        "overrides",
        "source",
        "speed",
        "version",
    }
)


class PlannedFault(msgspec.Struct, frozen=True):
    """A fault with its schedule, in simulated microseconds.

    The fault is requested ``at`` after the steady state was reached, and ended ``duration`` after
    the verified injection. Without evidence of an injection it is ended ``duration`` after the
    request.
    """

    name: str
    at: int
    duration: int
    fault: AnyFault

    @property
    def kind(self) -> str:
        """The kind as in the scenario file: ``marketShock``, ``depeg`` and so on."""
        return str(type(self.fault).__struct_config__.tag)

    @property
    def target(self) -> str:
        """The service that plays the fault, or NETWORK."""
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
    """What must be detected, or must not be.

    ``kind`` decides what ``name`` is: the rule of an alert (``alert``), the state of the circuit
    breaker (``breaker``), the rule that must not fire or "*" for every rule (``noAlert``), or a
    query (``promql``). ``subject`` narrows an alert; empty means any subject. ``of`` is the name of
    the fault, and ``within`` the limit in simulated microseconds after its verified injection. Both
    are empty for ``noAlert``, which holds for the whole run. ``monitor`` is the user's monitor that
    must raise it, and ``labels`` are those that it must have; both are unset for the built-in one.
    """

    kind: str
    name: str
    of: str = ""
    within: int = 0
    subject: str = ""
    # Left out of the encoding where they are unset, so that the digest of a plan without monitors
    # of the user's stays the same.
    monitor: str | msgspec.UnsetType = msgspec.UNSET
    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET

    @property
    def label(self) -> str:
        """One line for people, such as ``alert drawdown``."""
        labels = ", ".join(f"{name}={value}" for name, value in (self.labels or {}).items())
        return (
            f"{self.kind} {self.name}"
            + (f" on {self.subject}" if self.subject else "")
            + (f" with {labels}" if labels else "")
            + (f" by {self.monitor}" if self.monitor else "")
        )


class RunPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that determines a run. Times and durations are simulated microseconds.

    - ``speed`` is in simulated seconds per wall-clock second. For a virtual clock it is the upper
      limit, and None means none; a wall clock always has a speed.
    - ``start`` is the simulated time at which the run starts, in microseconds since 1970.
    - ``tick`` is the time between two prices of the market, and the period of everything periodic.
    - ``replay`` maps an asset to its recorded prices as (offset from the start, price in 1e-8).
    - ``limits`` maps a risk rule to its limit as people write it.
    - ``overrides`` maps dotted paths in ``spec`` to YAML values and records what was changed for
      this run. The other fields have these changes already.
    - ``source`` is what the user named: a file, or a shipped scenario.
    - ``monitors`` names the monitors that are judged; none means the built-in one alone.
      ``monitor_programs`` has what was given as the monitor of each name.
    - ``version`` is that of the program that made the plan.
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
    monitors: tuple[str, ...] = ()
    monitor_programs: dict[str, str] = msgspec.field(default_factory=dict)
    version: str = msgspec.field(default_factory=installed_version)

    @property
    def own_monitors(self) -> tuple[str, ...]:
        """The monitors of the user's among those that are judged."""
        return tuple(name for name in self.monitors if name != RISK_MONITOR)

    @property
    def judges_built_in_monitor(self) -> bool:
        """Whether the built-in risk monitor is one of those that are judged."""
        return not self.monitors or RISK_MONITOR in self.monitors

    @property
    def journal_id(self) -> str:
        """The identifier of this run in the first entry of every journal."""
        return plan_digest(self)[:16]


def plan_digest(plan: RunPlan) -> str:
    """Return the SHA-256 of a plan in hexadecimal, which identifies the run.

    Fields that do not change what happens in the run are left out: the clock, the description, and
    where the plan comes from.
    """
    digest_fields = {
        field: getattr(plan, field)
        for field in plan.__struct_fields__
        if field not in _NOT_IN_DIGEST and (field != "monitors" or plan.monitors)
    }
    return hashlib.sha256(_encode(digest_fields)).hexdigest()


def reproduction(plan: RunPlan, *, control: bool = True) -> str:
    """Return the command that repeats the run in one process (embedded), quoted for a shell.

    For the alerts of a file it is the one that scores them by a tape, whose directory is not known.
    """
    for program in plan.monitor_programs.values():
        if program.startswith(ALERTS_FILE):
            return shlex.join(["trading", "score", "TAPE", program.removeprefix(ALERTS_FILE)])
    words = ["trading", "run", plan.source or f"{plan.name}.yaml", "--seed", str(plan.seed)]
    for path, value in plan.overrides.items():
        # --seed takes precedence over every override of the seed.
        if path != "seed":
            words += ["--set", f"{path}={value}"]
    for name, program in plan.monitor_programs.items():
        words += ["--monitor", f"{name}={program}"]
    return shlex.join(words if control else [*words, "--no-control"])
