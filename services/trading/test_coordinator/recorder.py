"""Record what the coordinator observes of a run: alerts, circuit breaker, faults, silences.

The recorder only writes down what other services report. It decides nothing and sends nothing; the
verdict is based on the :class:`~trading.scenario.observation.Observation` that it fills.
"""

from trading.messages.chaos import FaultApplied, FaultEnded
from trading.messages.market import Pong
from trading.messages.monitors import MonitorAlert, MonitorFailed
from trading.messages.risk import AlertFired, AlertResolved, BreakerChanged, PortfolioReported
from trading.scenario.observation import (
    Observation,
    SeenAlert,
    SeenBreaker,
    monitor_alert,
    seen_alert,
)
from trading.topology import RISK_MONITOR


class ObservationRecorder:
    """Fills ``observation`` from the messages that the coordinator receives.

    The handlers take the message and the simulated time at which it arrived, in microseconds.
    """

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        self._alerts: dict[str, SeenAlert] = {}
        self._monitor_alerts: dict[tuple[object, ...], SeenAlert] = {}
        self._monitor_last_seen = 0

    def start(self, now: int) -> None:
        """Begin to measure at the start of the run."""
        self.observation.started_at = now
        self._monitor_last_seen = now

    def on_beat(self, now: int, late: int) -> None:
        """Update the longest silence of the risk monitor.

        ``late`` is by how many microseconds the coordinator itself missed its beat: it received
        nothing in that time, so the time does not count as silence of the risk monitor.
        """
        self._monitor_last_seen += late
        self._measure_silence(now)

    def on_pong(self, message: Pong, now: int) -> None:
        """Note a sign of life if the pong is the risk monitor's."""
        if message.source == RISK_MONITOR:
            self._note_monitor(now)

    def on_portfolio(self, message: PortfolioReported, now: int) -> None:
        """Note a sign of life of the risk monitor."""
        self._note_monitor(now)

    def on_alert(self, message: AlertFired, now: int) -> None:
        """Record an alert."""
        alert = seen_alert(message)
        self._alerts[message.alert_id] = alert
        self.observation.alerts.append(alert)

    def on_resolved(self, message: AlertResolved, now: int) -> None:
        """Record when an alert was resolved; ignore alerts that were not observed."""
        alert = self._alerts.get(message.alert_id)
        if alert is not None:
            alert.resolved_at = message.event_time

    def on_monitor_alert(self, message: MonitorAlert, now: int) -> None:
        """Record an alert of a user's monitor, or that it is resolved; ignore the end of one that
        does not fire.
        """
        key = (message.monitor, message.name, *message.labels.items())
        if not message.resolved:
            alert = monitor_alert(message, now)
            self._monitor_alerts[key] = alert
            self.observation.alerts.append(alert)
        elif (firing := self._monitor_alerts.pop(key, None)) is not None:
            firing.resolved_at = now

    def on_monitor_failed(self, message: MonitorFailed, now: int) -> None:
        """Record why a user's monitor cannot be judged."""
        self.observation.monitor_failures.setdefault(message.monitor, message.reason)

    def on_breaker(self, message: BreakerChanged, now: int) -> None:
        """Record a change of the circuit breaker."""
        self.observation.breaker.append(
            SeenBreaker(message.state, message.reason, message.event_time)
        )

    def on_applied(self, message: FaultApplied, now: int) -> None:
        """Record when a service first acknowledged a fault of the plan."""
        fault = self.observation.fault(message.fault_id)
        if fault is not None and not fault.applied_at:
            fault.applied_at = message.event_time

    def on_ended(self, message: FaultEnded, now: int) -> None:
        """Record when and why a service first reported the end of a fault of the plan."""
        fault = self.observation.fault(message.fault_id)
        if fault is not None and not fault.ended_at:
            fault.ended_at = message.event_time
            fault.end_reason = message.reason

    def _note_monitor(self, now: int) -> None:
        self._measure_silence(now)
        self._monitor_last_seen = now

    def _measure_silence(self, now: int) -> None:
        silence = now - self._monitor_last_seen
        self.observation.monitor_silence = max(self.observation.monitor_silence, silence)
