"""The ``ChaosScenario`` resource as people write it. Its compiled form is the RunPlan.

The docstrings and descriptions of these models are published: they are part of the JSON Schema and
of the CustomResourceDefinition.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trading.messages.risk import BreakerState
from trading.scenario.faults import (
    Depeg,
    ExchangeOutage,
    FeedDisruption,
    MarketShock,
    Model,
    Name,
    NetworkPartition,
    Recording,
    SettlementFailure,
    StrategyMalfunction,
)
from trading.scenario.names import NAME_PATTERN
from trading.scenario.quantities import Duration, PositiveDuration, Price
from trading.topology import RISK_MONITOR

API_VERSION = "chaos.trading/v1alpha1"
KIND = "ChaosScenario"

FAULT_KINDS = (
    "marketShock",
    "depeg",
    "exchangeOutage",
    "settlementFailure",
    "strategyMalfunction",
    "feedDisruption",
    "networkPartition",
)
EXPECTATION_KINDS = ("alert", "breaker", "noAlert", "promql")


MonitorName = Annotated[str, Field(pattern=NAME_PATTERN)]


class Fault(Model):
    """One thing that breaks: exactly one of the seven kinds."""

    name: str = Field(pattern=NAME_PATTERN, description="Unique; expectations refer to it.")
    at: Duration = Field(default="0s", description="After the steady state held.")
    duration: PositiveDuration = Field(description="From the verified injection to the recovery.")
    marketShock: MarketShock | None = None
    depeg: Depeg | None = None
    exchangeOutage: ExchangeOutage | None = None
    settlementFailure: SettlementFailure | None = None
    strategyMalfunction: StrategyMalfunction | None = None
    feedDisruption: FeedDisruption | None = None
    networkPartition: NetworkPartition | None = None


class Expectation(Model):
    """What must be noticed (or must not be): exactly one of alert, breaker, noAlert, promql."""

    alert: str | None = Field(default=None, max_length=100, description="Name of a risk rule.")
    breaker: Literal[BreakerState.REDUCING, BreakerState.HALTED] | None = Field(
        default=None, description="State that the circuit breaker must reach."
    )
    noAlert: Name | None = Field(
        default=None, description='Rule that must not fire; "*": none at all.'
    )
    promql: str | None = Field(default=None, max_length=2000, description="Your own monitor.")
    of: Name | None = Field(default=None, description="The fault that must be noticed.")
    within: PositiveDuration | None = Field(
        default=None, description="After the verified injection."
    )
    subject: Name | None = Field(
        default=None, description="Narrows an alert: symbol, account, service."
    )
    monitor: MonitorName | None = Field(
        default=None, description="Whose alert; default: that of every monitor in spec.monitors."
    )
    labels: dict[Name, Name] = Field(
        default={}, max_length=20, description="Labels that an alert of your monitor must have."
    )

    def concerned(self, monitors: Sequence[str]) -> list[str]:
        """Return whose alert is expected, where the scenario names ``monitors``."""
        return [self.monitor] if self.monitor else [*monitors] or [RISK_MONITOR]


class Clock(Model):
    """Says how simulated time goes on in a running ecosystem; an embedded run is always virtual."""

    mode: Literal["virtual", "wall"] = Field(
        default="virtual",
        description="virtual: time goes on when every service has done what was due, as fast as the"
        " machine allows. wall: with the time of day, for bots and monitors that live in it.",
    )
    speed: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="Simulated seconds per wall second. virtual: a ceiling, none by default."
        " wall: the pace, at least 1, which is the default.",
    )
    start: str | None = Field(
        default=None, max_length=40, description="ISO 8601; default 2026-01-05T00:00:00Z."
    )


class Replay(Recording):
    """Recorded prices as the market: exactly one of file, data and recording."""

    asset: Name | None = Field(
        default=None, description="Whose prices, where there is no symbol column."
    )


class Market(Model):
    source: Literal["synthetic", "replay"] = Field(
        default="synthetic",
        description="Where index prices come from: a seeded model, or a recording.",
    )
    tick: PositiveDuration = Field(default="1s", description="Between two prices; 100ms to 60s.")
    initialPrices: dict[Name, Price] = Field(
        default={}, max_length=64, description="Opening USD prices by asset."
    )
    replay: Replay | None = Field(default=None, description="With source: replay.")


class Settlement(Model):
    calendar: Literal["intraday", "calendar-days", "business-days"] = Field(
        default="intraday", description="What a settlement date counts: cycles, or days."
    )
    lag: int = Field(default=1, ge=0, le=30, description="The N of T+N, in cycles or days.")
    cycle: PositiveDuration = Field(default="10m", description="Length of an intraday cycle.")


class Controls(Model):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    disable: list[Name] = Field(
        default=[], max_length=100, description="Risk rules to switch off: proves what they do."
    )
    limits: dict[Name, Name] = Field(
        default={}, max_length=100, description='Limits by rule, e.g. drawdown: "3 %".'
    )


class SteadyState(Model):
    hold: PositiveDuration = Field(
        default="5m", alias="for", description="How long nothing may be wrong."
    )
    within: PositiveDuration = Field(default="30m", description="After that: Inconclusive.")


class Recovery(Model):
    within: PositiveDuration = Field(
        default="30m", description="Everything has to be right again after the last fault."
    )


#: Maximum number of characters in the key and in the value of an override.
MAX_KEY, MAX_VALUE = 300, 20_000
MAX_OVERRIDES = 100
Override = Annotated[str, Field(min_length=1, max_length=MAX_KEY + len("=") + MAX_VALUE)]


class Spec(Model):
    description: str = Field(default="", max_length=500, description="One line for people.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Same seed, same run.")
    clock: Clock = Clock()
    market: Market = Market()
    settlement: Settlement = Settlement()
    controls: Controls = Controls()
    steadyState: SteadyState = SteadyState()
    monitors: list[MonitorName] = Field(
        default=[],
        max_length=8,
        description="Who is judged; default: risk-monitor, the built-in one. Give the programs of"
        " others with trading run --monitor.",
    )
    faults: list[Fault] = Field(min_length=1, max_length=32)
    expect: list[Expectation] = Field(
        min_length=1, max_length=64, description="Without an expectation there is no verdict."
    )
    recovery: Recovery = Recovery()
    abort: bool = Field(default=False, description="Roll back at once (operator).")
    overrides: list[Override] = Field(
        default=[],
        max_length=MAX_OVERRIDES,
        description="What was changed for this run, each as trading run --set has it: KEY=VALUE,"
        " where spec has that value already. It goes into the evidence, and changes nothing.",
    )


class Metadata(Model):
    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(pattern=NAME_PATTERN, description="Of the scenario; its runs begin with it.")


class ChaosScenario(Model):
    """What breaks, when, and what must be noticed within which time."""

    apiVersion: Literal["chaos.trading/v1alpha1"]
    kind: Literal["ChaosScenario"]
    metadata: Metadata
    spec: Spec
