"""Read model of the risk monitor: alerts with their life cycle, curves, the newest portfolio. It is
fed with the monitor's messages, and with the exchange's confirmations of kill switches, and is part
of snapshots.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from trading.messages import Message
from trading.messages.orders import KillSwitchChanged, SetKillSwitch
from trading.messages.risk import (
    AlertAcknowledged,
    AlertFired,
    AlertResolved,
    BreakerChanged,
    BreakerState,
    PortfolioReported,
)
from trading.runtime.curve import Curve

#: Most alerts that are kept; resolved ones are dropped first.
MAX_ALERTS = 500
#: Points of a curve above which it is thinned.
MAX_POINTS = 1200
_MAX_CHANGES = 100

FIRING, ACKNOWLEDGED, RESOLVED = "firing", "acknowledged", "resolved"


class TrackedAlert(msgspec.Struct, gc=False):
    """An alert as it was fired, and its state. Times are in simulated microseconds, 0 for what has
    not happened yet.
    """

    fired: AlertFired
    state: str = FIRING
    acknowledged_by: str = ""
    acknowledged_time: int = 0
    resolved_time: int = 0


class Switch(msgspec.Struct, gc=False):
    """An account's kill switch as the monitor set it. `confirmed` tells that the exchange has
    confirmed it.
    """

    engaged: bool
    confirmed: bool
    reason: str


class RiskView:
    """The state that the risk monitor's API shows. `version` is incremented by every message;
    `first` is the portfolio as the session opened.
    """

    def __init__(self) -> None:
        self.version = 0
        self.first: PortfolioReported | None = None
        self.portfolio: PortfolioReported | None = None
        self.alerts: OrderedDict[str, TrackedAlert] = OrderedDict()
        self.breaker = BreakerState.ACTIVE
        self.changes: list[BreakerChanged] = []
        self.switches: dict[str, Switch] = {}
        self.pnl = Curve(MAX_POINTS)
        self.prices: dict[str, Curve] = {}

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]:
        """Return the handlers of this read model, by type of message."""
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
                curve = self.prices[mark.asset] = Curve(MAX_POINTS)
            curve.add(now, mark.price)

    def _on_fired(self, alert: AlertFired, now: int) -> None:
        self.version += 1
        self.alerts[alert.alert_id] = TrackedAlert(alert)
        if len(self.alerts) > MAX_ALERTS:
            resolved = [i for i, a in self.alerts.items() if a.state == RESOLVED]
            del self.alerts[resolved[0] if resolved else next(iter(self.alerts))]

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
