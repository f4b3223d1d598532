"""Injection -> effect -> alert -> recovery, as the journals have it."""

import msgspec

from trading.messages.audit import Correlation
from trading.messages.chaos import FaultApplied, FaultEnded, FaultInjected, FaultRecovered
from trading.messages.risk import AlertFired
from trading.units import MINUTE

#: Alerts this long after the recovery may still be its echo.
ECHO = 5 * MINUTE


class _Fault(msgspec.Struct, gc=False):
    applied: int
    effect: int = 0
    ended: int = 0
    recovered: int = 0


class Correlator:
    def __init__(self) -> None:
        self._faults: dict[str, _Fault] = {}
        self._alerts: list[AlertFired] = []

    def on_applied(self, message: FaultApplied) -> None:
        self._faults.setdefault(message.fault_id, _Fault(message.event_time))

    def on_ended(self, message: FaultEnded) -> None:
        fault = self._faults.get(message.fault_id)
        if fault is not None and not fault.ended:
            fault.ended = message.event_time

    def on_injected(self, message: FaultInjected) -> None:
        fault = self._faults.get(message.fault_id)
        if fault is not None:
            fault.effect = message.event_time

    def on_recovered(self, message: FaultRecovered) -> None:
        fault = self._faults.get(message.fault_id)
        if fault is not None:
            fault.recovered = message.event_time

    def on_alert(self, alert: AlertFired) -> None:
        self._alerts.append(alert)

    def correlations(self) -> tuple[Correlation, ...]:
        """One for each fault, oldest first."""
        found = []
        by_time = sorted(self._faults.items(), key=lambda item: item[1].applied)
        for fault_id, fault in by_time:
            first = next((a for a in self._alerts if _explains(fault, a)), None)
            found.append(
                Correlation(
                    fault_id,
                    fault.applied,
                    fault.effect,
                    first.detected_time if first is not None else 0,
                    first.rule if first is not None else "",
                    fault.recovered,
                )
            )
        return tuple(found)

    def false_alarms(self) -> int:
        """Alerts that fired while nothing was broken, nor had just been."""
        faults = self._faults.values()
        return sum(1 for a in self._alerts if not any(_explains(f, a) for f in faults))


def _explains(fault: _Fault, alert: AlertFired) -> bool:
    over = max(fault.recovered, fault.ended)
    return fault.applied <= alert.detected_time and (not over or alert.detected_time <= over + ECHO)
