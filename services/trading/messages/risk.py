"""Events of the risk monitor, and the commands of its operator."""

from enum import StrEnum

import msgspec

from trading.messages.base import Message


class BreakerState(StrEnum):
    """The states of the circuit breaker, from the lowest to the highest.

    ACTIVE: the firm trades freely. REDUCING: all open orders were cancelled once. HALTED: the kill
    switch of every account is engaged.
    """

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"

    def __repr__(self) -> str:
        """Return the quoted value: pydantic shows it to people who have named another one."""
        return repr(self.value)


class Severity(StrEnum):
    """How bad it is that a limit is exceeded."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlertFired(Message):
    """A risk control has detected something.

    ``subject`` is the symbol, account, service or asset concerned, or "portfolio".
    ``observed`` and ``limit`` are decimal texts with their unit, for people. ``event_time`` is when
    it happened by the time stamp of the data, ``detected_time`` when the monitor detected it.
    """

    alert_id: str
    rule: str
    subject: str
    severity: Severity
    observed: str
    limit: str
    event_time: int
    detected_time: int


class AlertAcknowledged(Message):
    """An operator has acknowledged an alert."""

    alert_id: str
    rule: str
    subject: str
    by: str
    event_time: int


class AlertResolved(Message):
    """The condition of an alert does not hold any more."""

    alert_id: str
    rule: str
    subject: str
    fired_time: int
    event_time: int


class AcknowledgeAlert(Message):
    """Acknowledge an alert, as operator ``by``."""

    alert_id: str
    by: str


class SilenceRule(Message):
    """Fire no new alert of ``rule`` on ``subject`` ("*": any) until the given time."""

    rule: str
    subject: str
    until: int
    by: str


class TripBreaker(Message):
    """Put the circuit breaker into ``state``, unless it is in that or a higher state."""

    state: BreakerState
    reason: str
    by: str


class ResetBreaker(Message):
    """Put the circuit breaker back into state ACTIVE."""

    reason: str
    by: str


class BreakerChanged(Message):
    """The circuit breaker has changed its state."""

    state: BreakerState
    previous: BreakerState
    reason: str
    event_time: int


class Position(msgspec.Struct, gc=False):
    """Balance of one account in one asset, in 1e-8."""

    account: str
    asset: str
    qty: int


class Mark(msgspec.Struct, gc=False):
    """Mark price of one asset in USD: the newest index price that the monitor accepts."""

    asset: str
    price: int


class PortfolioReported(Message):
    """The firm's portfolio as the monitor computes it, in 1e-8 USD.

    ``equity`` is the sum over ``marks`` of the firm's balance times the mark price, each rounded
    down. ``pnl`` is the equity less the opening equity, which is that of the monitor's first
    report. ``drawdown_ppm`` is the fall of equity from its peak. ``gross`` and ``net`` are the
    exposure in assets that are no stablecoins. ``var`` is the 99 % one-day value at risk.
    ``last_trade_id`` is the newest trade in ``positions``, by execution reports.
    """

    equity: int
    pnl: int
    drawdown_ppm: int
    gross: int
    net: int
    var: int
    breaker: BreakerState
    positions: tuple[Position, ...]
    marks: tuple[Mark, ...]
    last_trade_id: int
    event_time: int
