"""Requests and responses of the risk monitor's API, with the examples that its OpenAPI document
shows.

Money is a decimal string in USD; times are ISO 8601 of simulated time, UTC. The docstrings of the
models are part of the OpenAPI document.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trading.messages.risk import BreakerState, Severity
from trading.risk_monitor.actions import BreakerAction
from trading.risk_monitor.rules import Stage

#: Longest name of a person, rule or subject, characters.
MAX_NAME = 60
#: Longest reason, characters.
MAX_REASON = 200
#: Longest silence, simulated seconds.
MAX_SILENCE = 7 * 86400

_TIME = "2026-01-05T00:11:05.500Z"
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"

AlertState = Literal["firing", "acknowledged", "resolved"]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=_PRINTABLE)]
Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_REASON,
        pattern=_PRINTABLE,
        description="Kept in the journal, and shown beside the state.",
    ),
]


class _Request(BaseModel):
    """A request of an operator, who is named in it. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")
    by: Annotated[Name, Field(description="Who does it.", examples=["desk-1"])]


class Acknowledge(_Request):
    pass


class SilenceRequest(_Request):
    rule: Annotated[Name, Field(examples=["concentration"])]
    subject: Annotated[Name, Field(description='"*": any', examples=["BTC"])] = "*"
    seconds: int = Field(
        ge=1, le=MAX_SILENCE, description="Simulated seconds from now.", examples=[3600]
    )


class Trip(_Request):
    state: Literal[BreakerState.REDUCING, BreakerState.HALTED] = BreakerState.HALTED
    reason: Annotated[Reason, Field(examples=["a book that makes no sense"])]


class Reset(_Request):
    reason: Annotated[Reason, Field(examples=["limits checked with the head of desk"])]


class Position(BaseModel):
    account: str = Field(examples=["firm-mm"])
    asset: str = Field(examples=["BTC"])
    qty: str = Field(examples=["9.0271"])


class Account(BaseModel):
    """``pnl`` and ``net`` since the session opened; ``net``: of the coins bought and sold."""

    account: str = Field(examples=["firm-mm"])
    strategy: str = Field(examples=["market-making"])
    equity: str = Field(examples=["2493820.11"])
    pnl: str = Field(examples=["-153210.40"])
    net: str = Field(examples=["38211.90"])
    killed: bool = Field(description="Its kill switch is engaged.", examples=[False])
    confirmed: bool = Field(description="The exchange says the same.", examples=[True])
    reason: str | None = Field(default=None, description="Why it was killed.", examples=[None])


class Portfolio(BaseModel):
    """Before the first valuation only ``known``, ``time`` and ``breaker`` are there."""

    known: bool = Field(examples=[True])
    time: str | None = Field(examples=[_TIME])
    breaker: BreakerState = Field(examples=[BreakerState.REDUCING])
    equity: str | None = Field(default=None, examples=["11145231.02"])
    pnl: str | None = Field(default=None, examples=["-230632.72"])
    day_pnl: str | None = Field(
        default=None,
        description="Since midnight UTC, or the last reset of the breaker.",
        examples=["-230632.72"],
    )
    drawdown: str | None = Field(default=None, examples=["2.03 %"])
    gross: str | None = Field(default=None, examples=["6531002.51"])
    net: str | None = Field(default=None, examples=["6531002.51"])
    var: str | None = Field(default=None, description="99 %, one day.", examples=["391002.77"])
    last_trade_id: int | None = Field(default=None, examples=[4711])
    positions: list[Position] | None = None
    marks: dict[str, str] | None = Field(
        default=None, description="USD by asset.", examples=[{"BTC": "63710.12", "USDT": "1.0001"}]
    )
    accounts: list[Account] | None = None


class Exposure(BaseModel):
    """One figure that a limit holds. ``near``: above 90 % of it; ``over-hard``: trading halts."""

    rule: str = Field(examples=["drawdown"])
    subject: str = Field(examples=["portfolio"])
    unit: Literal["USD", "%"] = Field(examples=["%"])
    value: str = Field(examples=["2.03 %"])
    limit: str = Field(examples=["2.00 %"])
    hard_limit: str | None = Field(examples=["4.00 %"])
    used_percent: float | None = Field(description="Null: nothing is allowed.", examples=[101.7])
    status: Literal["within", "near", "over", "over-hard"] = Field(examples=["over"])


class Rule(BaseModel):
    name: str = Field(examples=["drawdown"])
    stage: Stage = Field(examples=[Stage.POST])
    subject: str = Field(description="What its alerts are about.", examples=["portfolio"])
    signal: str = Field(examples=["fall of equity from its peak"])
    limit: str | None = Field(examples=["2 %"])
    enabled: bool = Field(examples=[True])
    severity: Severity = Field(examples=[Severity.CRITICAL])
    breaker: BreakerAction = Field(examples=[BreakerAction.REDUCE_AND_HALT])
    term: str = Field(examples=["maximum drawdown (peak to trough), soft and hard limit"])
    description: str = Field(examples=["Equity has fallen too far from its peak."])


# How long ago something was last received from a venue or a feed.
class Heard(BaseModel):
    name: str = Field(examples=["exchange"])
    age: str = Field(description="How long ago it was last heard of.", examples=["1s"])
    age_seconds: float | None = Field(description="Null: never.", examples=[1.001])
    ok: bool = Field(examples=[True])


class Health(BaseModel):
    venues: list[Heard]
    feeds: list[Heard]


class Curves(BaseModel):
    """Points are ``[Unix seconds, USD]``, oldest first; a full curve is thinned by half."""

    session: int = Field(examples=[1])
    pnl: list[tuple[float, float]] = Field(examples=[[[1767571865.5, -230632.72]]])
    prices: dict[str, list[tuple[float, float]]] = Field(
        examples=[{"BTC": [[1767571865.5, 63710.12]]}]
    )


class Alert(BaseModel):
    alert_id: str = Field(examples=["drawdown/portfolio/1"])
    rule: str = Field(examples=["drawdown"])
    subject: str = Field(examples=["portfolio"])
    severity: Severity = Field(examples=[Severity.CRITICAL])
    state: AlertState = Field(examples=["acknowledged"])
    description: str = Field(examples=["Equity has fallen too far from its peak."])
    observed: str = Field(examples=["2.0343 %"])
    limit: str = Field(examples=["2 %"])
    event_time: str | None = Field(
        description="When it happened, by the data's own stamp.",
        examples=["2026-01-05T00:11:05.000Z"],
    )
    detected_time: str | None = Field(examples=[_TIME])
    latency: str = Field(examples=["500ms"])
    acknowledged_by: str | None = Field(examples=["desk-1"])
    acknowledged_time: str | None = Field(examples=["2026-01-05T00:11:31.002Z"])
    resolved_time: str | None = Field(examples=[None])


class Silence(BaseModel):
    rule: str = Field(examples=["concentration"])
    subject: str = Field(description='"*": any', examples=["BTC"])
    until: str | None = Field(examples=["2026-01-05T01:11:05.500Z"])
    by: str = Field(examples=["desk-1"])


class BreakerChange(BaseModel):
    time: str | None = Field(examples=[_TIME])
    state: BreakerState = Field(examples=[BreakerState.REDUCING])
    previous: BreakerState = Field(examples=[BreakerState.ACTIVE])
    reason: str = Field(examples=["drawdown on portfolio: 2.0343 %"])


class Breaker(BaseModel):
    state: BreakerState = Field(examples=[BreakerState.REDUCING])
    changes: list[BreakerChange] = Field(description="Newest first.")
