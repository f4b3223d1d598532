"""Injection -> effect -> alert -> recovery, as the journals have it."""

from collections import deque

import msgspec

from trading.messages.audit import Correlation
from trading.messages.chaos import FaultApplied, FaultEnded, FaultInjected, FaultRecovered
from trading.messages.risk import AlertFired
from trading.units import MINUTE

#: Alerts this long after the recovery may still be its echo.
ECHO = 5 * MINUTE


#: Alerts that may still be explained by what is read later.
MAX_ALERTS = 10_000


class _Fault(msgspec.Struct, gc=False):
    """``first``: the alert that it led to first, once that is settled."""

    applied: int = 0
    effect: int = 0
    ended: int = 0
    recovered: int = 0
    first: AlertFired | None = None

    @property
    def began(self) -> int:
        """Where nobody says that the fault was applied, its effect says that it was."""
        return self.applied or self.effect


class Correlator:
    """Journals may be read in any order: an effect may be known before its injection."""

    def __init__(self) -> None:
        self._faults: dict[str, _Fault] = {}
        self._alerts: deque[AlertFired] = deque()
        self._settled_false = 0

    def on_applied(self, message: FaultApplied) -> None:
        fault = self._fault(message.fault_id)
        if not fault.applied:
            fault.applied = message.event_time

    def on_ended(self, message: FaultEnded) -> None:
        fault = self._fault(message.fault_id)
        if not fault.ended:
            fault.ended = message.event_time

    def on_injected(self, message: FaultInjected) -> None:
        self._fault(message.fault_id).effect = message.event_time

    def on_recovered(self, message: FaultRecovered) -> None:
        self._fault(message.fault_id).recovered = message.event_time

    def on_alert(self, alert: AlertFired) -> None:
        self._alerts.append(alert)
        if len(self._alerts) > MAX_ALERTS:
            self._settle(self._alerts.popleft())

    def correlations(self) -> tuple[Correlation, ...]:
        """One for each fault that began, oldest first."""
        found = []
        began = [(fault_id, fault) for fault_id, fault in self._faults.items() if fault.began]
        by_time = sorted(began, key=lambda item: item[1].began)
        for fault_id, fault in by_time:
            first = fault.first or next((a for a in self._alerts if _explains(fault, a)), None)
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

    def _fault(self, fault_id: str) -> _Fault:
        return self._faults.setdefault(fault_id, _Fault())

    def false_alarms(self) -> int:
        """Alerts that fired while nothing was broken, nor had just been."""
        faults = self._faults.values()
        return self._settled_false + sum(
            1 for a in self._alerts if not any(_explains(f, a) for f in faults)
        )

    def _settle(self, alert: AlertFired) -> None:
        """What led to the alert is known by now, or nothing did."""
        explaining = [fault for fault in self._faults.values() if _explains(fault, alert)]
        for fault in explaining:
            fault.first = fault.first or alert
        self._settled_false += not explaining


def explains(began: int, over: int, at: int) -> bool:
    """Can a fault that began then (0: it never did) be why something happened ``at``? ``over``:
    its end or its recovery, whichever came later; 0 before either.
    """
    return 0 < began <= at and (not over or at <= over + ECHO)


def _explains(fault: _Fault, alert: AlertFired) -> bool:
    over = max(fault.recovered, fault.ended)
    return explains(fault.began, over, alert.detected_time)
