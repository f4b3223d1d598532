"""What the risk monitor says, and what its operator can tell it."""

import msgspec

from trading.messages.base import Message

ACTIVE = "ACTIVE"
REDUCING = "REDUCING"
HALTED = "HALTED"


class AlertFired(Message):
    """A control noticed something.

    ``subject``: what it is about (symbol, account, service, asset or "portfolio"). ``severity``:
    info, warning or critical. ``observed``/``limit``: decimal strings with unit, for people.
    ``event_time``: when the thing happened by the data's own stamp; ``detected_time``: when the
    monitor noticed.
    """

    alert_id: str
    rule: str
    subject: str
    severity: str
    observed: str
    limit: str
    event_time: int
    detected_time: int


class AlertAcknowledged(Message):
    alert_id: str
    rule: str
    subject: str
    by: str
    event_time: int


class AlertResolved(Message):
    alert_id: str
    rule: str
    subject: str
    fired_time: int
    event_time: int


class AcknowledgeAlert(Message):
    alert_id: str
    by: str


class SilenceRule(Message):
    """No new alert of ``rule`` on ``subject`` ("*": any) until the given time."""

    rule: str
    subject: str
    until: int
    by: str


class TripBreaker(Message):
    """``state``: REDUCING or HALTED."""

    state: str
    reason: str
    by: str


class ResetBreaker(Message):
    reason: str
    by: str


class BreakerChanged(Message):
    state: str
    previous: str
    reason: str
    event_time: int


class Position(msgspec.Struct, gc=False):
    account: str
    asset: str
    qty: int


class Mark(msgspec.Struct, gc=False):
    """Mark price of one asset in USD: the last index price that the monitor believes."""

    asset: str
    price: int


class PortfolioReported(Message):
    """The monitor's own view, in USD (units of 1e-8).

    ``equity``: sum over ``marks`` of the firm's balance times the mark price, each rounded down;
    ``pnl``: equity less opening equity (at the monitor's first report);
    ``drawdown_ppm``: fall from the peak of equity;
    ``gross``/``net``: exposure in non-stable assets; ``var``: 99 % one-day value at risk;
    ``last_trade_id``: newest trade in ``positions`` (from execution reports).
    """

    equity: int
    pnl: int
    drawdown_ppm: int
    gross: int
    net: int
    var: int
    breaker: str
    positions: tuple[Position, ...]
    marks: tuple[Mark, ...]
    last_trade_id: int
    event_time: int
