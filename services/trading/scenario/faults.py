"""The seven kinds of faults as people write them in a scenario.

The docstrings and descriptions of these models are published: they are part of the JSON Schema and
of the CustomResourceDefinition.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading.scenario.names import NAME_PATTERN
from trading.scenario.quantities import Duration, Percent, PositiveDuration, Price
from trading.scenario.recorded_rows import Format
from trading.scenario.series import Gaps

#: Characters of recorded prices within a scenario. ``kubectl apply`` stores a resource once more in
#: an annotation, and all annotations together may have 256 KiB.
MAX_DATA = 128 * 1024


class Model(BaseModel):
    """Base class of all models: unknown fields are refused, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


#: The name of an asset, symbol, strategy, service or rule, or a pattern that matches several.
Name = Annotated[str, Field(max_length=100)]
Names = Annotated[list[Name], Field(max_length=64)]


class ShockPoint(Model):
    after: Duration = Field(description="Time after the injection.")
    change: Percent = Field(description="Change against the undisturbed price.")


class MarketShock(Model):
    """Index prices move together, along a line or a path."""

    symbols: Names = Field(
        default=["*"],
        min_length=1,
        description='Which: "*" (every coin), "BTCUSDT", "BTC*" or "BTC".',
    )
    change: Percent | None = Field(default=None, description="Change at the end, e.g. -15%.")
    over: Duration = Field(default="0s", description="How long the change takes, linearly.")
    path: list[ShockPoint] | None = Field(
        default=None, min_length=1, max_length=1000, description="Instead of change and over."
    )
    volatility: float = Field(
        default=1, gt=0, le=100, description="Multiplies the volatility while the fault lasts."
    )
    rebound: Duration | None = Field(
        default=None, description="After the fault prices return within this time; else they stay."
    )


class PegPoint(Model):
    after: Duration = Field(description="Time after the injection.")
    price: Price = Field(description="USD price of the stablecoin.")


class Recording(Model):
    """Recorded prices: exactly one of file, data and recording."""

    file: str | None = Field(
        default=None,
        max_length=500,
        description="Relative to the scenario file; trading scenario run sends it along.",
    )
    data: str | None = Field(
        default=None, max_length=MAX_DATA, description="What such a file has, as text."
    )
    recording: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="The name of one that was uploaded to the test coordinator.",
    )
    format: Format | None = Field(default=None, description="Default: by its content.")
    column: str = Field(default="", max_length=50, description='Default: "price" or "close".')
    gaps: Gaps | None = Field(
        default=None,
        description="In a hole longer than maxGap, hold the price or interpolate; default: refuse.",
    )
    maxGap: PositiveDuration | None = Field(
        default=None, description="Default: 10 times the median step, at least 1m."
    )


class Depeg(Model):
    """A stablecoin leaves its peg."""

    asset: Name = Field(description="USDT, USDC or USDE.")
    to: Price | None = Field(default=None, description="Price at the end of the move.")
    over: Duration = Field(default="0s", description="How long the move takes, linearly.")
    path: list[PegPoint] | None = Field(
        default=None, min_length=1, max_length=1000, description="Instead of to and over."
    )
    series: Recording | None = Field(default=None, description="A recorded path instead.")
    step: bool = Field(
        default=False, description="Hold each price of the path until the next point."
    )
    scope: Literal["market", "venue"] = Field(
        default="market", description="venue: on this exchange alone, the index stays."
    )
    rebound: Duration = Field(default="0s", description="Way back to the peg after the fault.")


class ExchangeOutage(Model):
    """The venue fails."""

    mode: Literal[
        "partition",
        "reset",
        "unavailable",
        "unknown",
        "slow",
        "partial-ack",
        "liquidity",
        "halt",
    ] = Field(description="How it fails.")
    symbols: Names | None = Field(default=None, description="liquidity and halt; default: all.")
    delay: PositiveDuration | None = Field(default=None, description="slow: how late.")
    probability: Percent | None = Field(
        default=None, description="partial-ack: share of lost reports."
    )
    factor: int | None = Field(
        default=None, ge=2, le=1_000_000, description="liquidity: depth is divided by this."
    )


class SettlementFailure(Model):
    """The custodian does not settle as it should."""

    mode: Literal["delay", "fail", "partial", "stuck"] = Field(description="How it fails.")
    assets: Names | None = Field(default=None, description="Default: all.")
    delay: PositiveDuration | None = Field(default=None, description="delay: how late.")
    fraction: Percent | None = Field(default=None, description="partial: share that settles.")


class StrategyMalfunction(Model):
    """An algorithm goes wrong."""

    strategy: Name = Field(description="Its kind (momentum) or account (firm-momentum).")
    mode: Literal[
        "runaway-repeat",
        "wrong-side",
        "stale-quotes",
        "fat-finger",
        "self-trading",
        "position-growth",
    ] = Field(description="What it does.")
    rate: int | None = Field(
        default=None, ge=1, le=1000, description="runaway-repeat: orders per second."
    )
    factor: int | None = Field(
        default=None, ge=2, le=10_000, description="fat-finger: quantities times this."
    )


class FeedDisruption(Model):
    """The price feed goes bad; the true prices do not."""

    mode: Literal[
        "latency",
        "spike",
        "nan",
        "negative",
        "stale",
        "out-of-order",
        "gap",
        "silence",
    ] = Field(description="What is wrong with it.")
    assets: Names = Field(default=["*"], min_length=1, description="Which; default: every coin.")
    delay: PositiveDuration | None = Field(default=None, description="latency: how late.")
    magnitude: Percent | None = Field(default=None, description="spike: how far off.")
    probability: Percent | None = Field(default=None, description="Share of ticks; default 100%.")


class NetworkPartition(Model):
    """Nothing gets through between two services, in either direction."""

    between: list[list[Name]] = Field(
        min_length=1,
        max_length=16,
        description="Pairs of services, e.g. [[risk-monitor, exchange]]",
    )
