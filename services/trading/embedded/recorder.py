"""Collect the curves of a run for its report, and report its progress while it runs."""

from typing import Protocol

from trading.messages.chaos import FaultInjected, FaultRecovered, PhaseChanged
from trading.messages.market import BookTop, PriceTick
from trading.messages.risk import (
    AlertFired,
    AlertResolved,
    BreakerChanged,
    PortfolioReported,
    Severity,
)
from trading.report.record import Point, RunRecord, Series
from trading.runtime.curve import Curve
from trading.runtime.delivery import Tap
from trading.runtime.routes import MessageType
from trading.scenario.observation import SeenAlert, SeenBreaker, seen_alert
from trading.scenario.plan import RunPlan

#: A curve with more points than this is thinned to half of them.
MAX_POINTS = 4096


class Progress(Protocol):
    """The interface of what displays a run while it runs. Times are in microseconds of simulated
    time, money in 1e-8 USD.
    """

    def phase(self, name: str, at: int) -> None:
        """Report that the run has entered a phase."""
        ...

    def tick(self, at: int, pnl: int, alerts_firing: int) -> None:
        """Report the profit of the firm and the number of firing alerts, about once per beat."""
        ...

    def event(self, at: int, text: str, severity: str) -> None:
        """Report an event; ``severity`` is that of an alert, "fault" or "info"."""
        ...


def _series(curve: Curve, label: str, unit: str) -> Series:
    """Return a curve for the record of the run."""
    return Series(label, unit, tuple(Point(at, value) for at, value in curve.points))


class Recorder:
    """Collects the curves, the alerts and the circuit breaker of one run.

    ``plan`` says which assets and symbols there are, and ``progress`` is notified of events. The
    kernel must be given :attr:`taps`, which map types of messages to the methods that record them.
    """

    def __init__(self, plan: RunPlan, progress: Progress | None = None) -> None:
        self._progress = progress
        self._prices = {a.name: Curve(MAX_POINTS) for a in plan.universe.assets}
        self._marks = {s: Curve(MAX_POINTS) for s in plan.universe.symbols}
        self._depth = {s: Curve(MAX_POINTS) for s in plan.universe.symbols}
        self._portfolio = {name: Curve(MAX_POINTS) for name in ("pnl", "drawdown", "gross", "net")}
        self._firing: dict[str, AlertFired] = {}
        self._alerts: dict[str, SeenAlert] = {}
        self._breaker: list[SeenBreaker] = []
        self.taps: dict[MessageType, Tap] = {
            PriceTick: self._on_tick,
            BookTop: self._on_book,
            PortfolioReported: self._on_portfolio,
            AlertFired: self._on_fired,
            AlertResolved: self._on_resolved,
            BreakerChanged: self._on_breaker,
            PhaseChanged: self._on_phase,
            FaultInjected: self._on_injected,
            FaultRecovered: self._on_recovered,
        }

    def record(self, messages: int) -> RunRecord:
        """Return what was recorded; ``messages`` is the number of delivered messages."""
        return RunRecord(
            prices=tuple(_series(c, n, "usd") for n, c in self._prices.items()),
            marks=tuple(_series(c, n, "usd") for n, c in self._marks.items()),
            depth=tuple(_series(c, n, "usd") for n, c in self._depth.items()),
            pnl=_series(self._portfolio["pnl"], "P&L", "usd"),
            drawdown=_series(self._portfolio["drawdown"], "drawdown", "ppm"),
            gross=_series(self._portfolio["gross"], "gross", "usd"),
            net=_series(self._portfolio["net"], "net", "usd"),
            alerts=tuple(self._alerts.values()),
            breaker=tuple(self._breaker),
            messages=messages,
        )

    def _on_tick(self, tick: PriceTick, now: int) -> None:
        if tick.price is not None and tick.price > 0:
            self._prices[tick.asset].add(now, tick.price)

    def _on_book(self, top: BookTop, now: int) -> None:
        if top.bid and top.ask:
            self._marks[top.symbol].add(now, (top.bid + top.ask) // 2)
        self._depth[top.symbol].add(now, top.bid_depth + top.ask_depth)

    def _on_portfolio(self, report: PortfolioReported, now: int) -> None:
        curves = self._portfolio
        curves["pnl"].add(now, report.pnl)
        curves["drawdown"].add(now, -abs(report.drawdown_ppm))
        curves["gross"].add(now, report.gross)
        curves["net"].add(now, report.net)
        if self._progress is not None:
            self._progress.tick(now, report.pnl, len(self._firing))

    def _on_fired(self, alert: AlertFired, now: int) -> None:
        self._firing[alert.alert_id] = alert
        self._alerts[alert.alert_id] = seen_alert(alert)
        text = f"alert {alert.rule} on {alert.subject}: {alert.observed}, limit {alert.limit}"
        self._report_event(now, text, alert.severity)

    def _on_resolved(self, resolved: AlertResolved, now: int) -> None:
        self._firing.pop(resolved.alert_id, None)
        recorded = self._alerts.get(resolved.alert_id)
        if recorded is not None:
            recorded.resolved_at = resolved.event_time

    def _on_breaker(self, change: BreakerChanged, now: int) -> None:
        self._breaker.append(SeenBreaker(change.state, change.reason, change.event_time))
        self._report_event(
            now, f"circuit breaker {change.state}: {change.reason}", Severity.CRITICAL
        )

    def _on_phase(self, change: PhaseChanged, now: int) -> None:
        if self._progress is not None:
            self._progress.phase(change.phase, now)

    def _on_injected(self, fault: FaultInjected, now: int) -> None:
        self._report_event(now, f"fault {fault.fault_id} verified: {fault.evidence}", "fault")

    def _on_recovered(self, fault: FaultRecovered, now: int) -> None:
        self._report_event(now, f"fault {fault.fault_id} is over, recovery verified", "info")

    def _report_event(self, now: int, text: str, severity: str) -> None:
        if self._progress is not None:
            self._progress.event(now, text, severity)
