"""What the risk monitor has said: alerts with their life cycle, curves, the newest portfolio.

Fed by the monitor's own messages, and by what the exchange says of the kill switches it set.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.orders import KillSwitchChanged, SetKillSwitch
from trading.messages.risk import (
    ACTIVE,
    AlertAcknowledged,
    AlertFired,
    AlertResolved,
    BreakerChanged,
    PortfolioReported,
)

#: Alerts that are kept, resolved ones forgotten first; points of a curve before it is thinned.
MAX_ALERTS = 500
MAX_POINTS = 1200
_MAX_CHANGES = 100

FIRING, ACKNOWLEDGED, RESOLVED = "firing", "acknowledged", "resolved"


class SeenAlert(msgspec.Struct, gc=False):
    """Times in microseconds of simulated time; 0: not yet."""

    alert_id: str
    rule: str
    subject: str
    severity: str
    observed: str
    limit: str
    event_time: int
    detected_time: int
    state: str = FIRING
    acknowledged_by: str = ""
    acknowledged_time: int = 0
    resolved_time: int = 0


class Switch(msgspec.Struct, gc=False):
    """An account's kill switch as the monitor wants it. ``confirmed``: the exchange says so."""

    engaged: bool
    confirmed: bool
    reason: str


class Curve:
    """``(time, value)``; when it is full every other point goes, and fewer are taken."""

    def __init__(self) -> None:
        self.points: list[tuple[int, int]] = []
        self._every = 1
        self._skipped = 0

    def add(self, at: int, value: int) -> None:
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        self.points.append((at, value))
        if len(self.points) > MAX_POINTS:
            del self.points[1::2]
            self._every *= 2


class RiskView:
    """``version`` grows with every message. ``first``: the portfolio as the session opened."""

    def __init__(self) -> None:
        self.version = 0
        self.first: PortfolioReported | None = None
        self.portfolio: PortfolioReported | None = None
        self.alerts: OrderedDict[str, SeenAlert] = OrderedDict()
        self.breaker = ACTIVE
        self.changes: list[BreakerChanged] = []
        self.switches: dict[str, Switch] = {}
        self.pnl = Curve()
        self.prices: dict[str, Curve] = {}

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]:
        return {
            PortfolioReported: self._on_portfolio,
            AlertFired: self._on_fired,
            AlertAcknowledged: self._on_acknowledged,
            AlertResolved: self._on_resolved,
            BreakerChanged: self._on_breaker,
            SetKillSwitch: self._on_switch_wanted,
            KillSwitchChanged: self._on_switch_changed,
        }

    def _on_portfolio(self, report: PortfolioReported, now: int) -> None:
        self.version += 1
        self.first = self.first or report
        self.portfolio = report
        self.breaker = report.breaker
        self.pnl.add(now, report.pnl)
        for mark in report.marks:
            curve = self.prices.get(mark.asset)
            if curve is None:
                curve = self.prices[mark.asset] = Curve()
            curve.add(now, mark.price)

    def _on_fired(self, alert: AlertFired, now: int) -> None:
        self.version += 1
        self.alerts[alert.alert_id] = SeenAlert(
            alert.alert_id,
            alert.rule,
            alert.subject,
            alert.severity,
            alert.observed,
            alert.limit,
            alert.event_time,
            alert.detected_time,
        )
        if len(self.alerts) > MAX_ALERTS:
            over = [i for i, a in self.alerts.items() if a.state == RESOLVED]
            del self.alerts[over[0] if over else next(iter(self.alerts))]

    def _on_acknowledged(self, message: AlertAcknowledged, now: int) -> None:
        self.version += 1
        alert = self.alerts.get(message.alert_id)
        if alert is not None:
            alert.state = ACKNOWLEDGED
            alert.acknowledged_by, alert.acknowledged_time = message.by, message.event_time

    def _on_resolved(self, message: AlertResolved, now: int) -> None:
        self.version += 1
        alert = self.alerts.get(message.alert_id)
        if alert is not None:
            alert.state, alert.resolved_time = RESOLVED, message.event_time

    def _on_breaker(self, change: BreakerChanged, now: int) -> None:
        self.version += 1
        self.breaker = change.state
        self.changes.append(change)
        del self.changes[:-_MAX_CHANGES]

    def _on_switch_wanted(self, message: SetKillSwitch, now: int) -> None:
        self.version += 1
        self.switches[message.account] = Switch(message.engaged, False, message.reason)

    def _on_switch_changed(self, message: KillSwitchChanged, now: int) -> None:
        self.version += 1
        switch = self.switches.get(message.account)
        if switch is not None:
            switch.confirmed = message.engaged == switch.engaged
