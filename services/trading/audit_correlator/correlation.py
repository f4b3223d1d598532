"""Correlate faults, their effects, alerts and recoveries, as the journals record them."""

from collections import deque

import msgspec

from trading.messages.audit import Correlation
from trading.messages.chaos import FaultApplied, FaultEnded, FaultInjected, FaultRecovered
from trading.messages.risk import AlertFired
from trading.units import MINUTE

#: An alert up to this long after a recovery may still be a consequence of the fault.
ECHO = 5 * MINUTE

#: Alerts that are kept, since an entry that is read later may still explain them.
MAX_ALERTS = 10_000


class _Fault(msgspec.Struct, gc=False):
    """What the journals say about one fault; times in simulated microseconds, 0 if unknown.

    ``first`` is the first alert that the fault explains, once that alert is no longer kept.
    """

    applied: int = 0
    effect: int = 0
    ended: int = 0
    recovered: int = 0
    first: AlertFired | None = None

    @property
    def began(self) -> int:
        """Return when the fault was applied or, if no service has reported that, had an effect."""
        return self.applied or self.effect


class Correlator:
    """Matches alerts with faults. Journals may be read in any order, so the effect of a fault may
    be known before its injection.
    """

    def __init__(self) -> None:
        self._faults: dict[str, _Fault] = {}
        self._alerts: deque[AlertFired] = deque()
        self._settled_false = 0

    def on_applied(self, message: FaultApplied) -> None:
        """Record when a service first applied a fault."""
        fault = self._fault(message.fault_id)
        if not fault.applied:
            fault.applied = message.event_time

    def on_ended(self, message: FaultEnded) -> None:
        """Record when a service first ended a fault."""
        fault = self._fault(message.fault_id)
        if not fault.ended:
            fault.ended = message.event_time

    def on_injected(self, message: FaultInjected) -> None:
        """Record when the effect of a fault was verified."""
        self._fault(message.fault_id).effect = message.event_time

    def on_recovered(self, message: FaultRecovered) -> None:
        """Record when the recovery from a fault was verified."""
        self._fault(message.fault_id).recovered = message.event_time

    def on_alert(self, alert: AlertFired) -> None:
        """Keep an alert; of too many, classify the oldest by what is known now."""
        self._alerts.append(alert)
        if len(self._alerts) > MAX_ALERTS:
            self._settle(self._alerts.popleft())

    def correlations(self) -> tuple[Correlation, ...]:
        """Return one correlation for each fault that began, oldest first."""
        correlations = []
        began = [(fault_id, fault) for fault_id, fault in self._faults.items() if fault.began]
        by_time = sorted(began, key=lambda item: item[1].began)
        for fault_id, fault in by_time:
            first = fault.first or next((a for a in self._alerts if _explains(fault, a)), None)
            correlations.append(
                Correlation(
                    fault_id,
                    fault.applied,
                    fault.effect,
                    first.detected_time if first is not None else 0,
                    first.rule if first is not None else "",
                    fault.recovered,
                )
            )
        return tuple(correlations)

    def _fault(self, fault_id: str) -> _Fault:
        return self._faults.setdefault(fault_id, _Fault())

    def false_alarms(self) -> int:
        """Return how many alerts fired while no fault was active or had been active recently."""
        faults = self._faults.values()
        return self._settled_false + sum(
            1 for a in self._alerts if not any(_explains(f, a) for f in faults)
        )

    def _settle(self, alert: AlertFired) -> None:
        """Classify an alert for good: assign it to the faults that explain it, or count it as
        false.
        """
        explaining = [fault for fault in self._faults.values() if _explains(fault, alert)]
        for fault in explaining:
            fault.first = fault.first or alert
        self._settled_false += not explaining


def explains(began: int, over: int, at: int) -> bool:
    """Return whether a fault can be the cause of an event at the time ``at``.

    ``began`` is when the fault began, 0 if it never did; ``over`` is when it ended or when its
    recovery was verified, whichever was later, 0 before both. Times are in simulated microseconds.
    """
    return 0 < began <= at and (not over or at <= over + ECHO)


def _explains(fault: _Fault, alert: AlertFired) -> bool:
    over = max(fault.recovered, fault.ended)
    return explains(fault.began, over, alert.detected_time)
