"""Injection -> effect -> alert -> recovery: the timeline's records, put together by fault."""

from collections.abc import Iterable
from typing import Any

import msgspec

from trading.audit_correlator.correlation import explains
from trading.audit_correlator.ledger import Record
from trading.messages import Message
from trading.messages.chaos import (
    FaultApplied,
    FaultEnded,
    FaultInjected,
    FaultRecovered,
    InjectFault,
    PhaseChanged,
    RecoverFault,
)
from trading.messages.orders import KillSwitchChanged, SetKillSwitch
from trading.messages.risk import AlertAcknowledged, AlertFired, AlertResolved, BreakerChanged


class Alert(msgspec.Struct):
    """``rule`` on ``subject``; the records that are missing have not been read (yet)."""

    rule: str
    subject: str
    severity: str
    fired: Record
    acknowledged: Record | None = None
    resolved: Record | None = None


class Fault(msgspec.Struct):
    """The records of one fault; ``responses``: circuit breaker and kill switches while it lasted.
    Several services may play one fault: the first that began and the last that ended count.
    """

    fault_id: str
    asked: Record | None = None
    applied: Record | None = None
    effect: Record | None = None
    recovery_asked: Record | None = None
    ended: Record | None = None
    recovered: Record | None = None
    alerts: list[Alert] = []
    responses: list[Record] = []

    @property
    def effect_at(self) -> int:
        """When it was seen in the data plane, 0 before that."""
        return moment(self.effect)

    @property
    def over_at(self) -> int:
        """When it had ended or recovered, whichever came later; 0 before either."""
        return max(moment(self.ended), moment(self.recovered))

    @property
    def began_at(self) -> int:
        """When it was applied; where no journal says so, and it had its effect, when it was
        asked for. 0 if it never began.
        """
        return moment(self.applied) or (moment(self.asked) if self.effect is not None else 0)

    def explains(self, record: Record) -> bool:
        return explains(self.began_at, self.over_at, moment(record))


class View:
    """``phases`` of the run; ``unexplained``: alerts that belong to no fault."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.faults: dict[str, Fault] = {}
        self.alerts: dict[str, Alert] = {}
        self.phases: list[Record] = []
        self._responses: list[Record] = []
        for record in records:
            self._take(record)
        self.unexplained: list[Alert] = []
        for alert in self.alerts.values():
            causes = self.causes(alert.fired)
            for fault in causes:
                fault.alerts.append(alert)
            if not causes:
                self.unexplained.append(alert)
        for record in self._responses:
            for fault in self.causes(record):
                fault.responses.append(record)

    def causes(self, record: Record) -> list[Fault]:
        """The faults that an alert or a response can come from: those that are on; where none is,
        the one that was on last.
        """
        if isinstance(record.message, AlertResolved | AlertAcknowledged):
            alert = self.alerts.get(record.message.alert_id)
            record = alert.fired if alert is not None else record
        found = [fault for fault in self.faults.values() if fault.explains(record)]
        on = [fault for fault in found if not fault.over_at or moment(record) <= fault.over_at]
        return on or sorted(found, key=lambda fault: fault.over_at)[-1:]

    def _take(self, record: Record) -> None:
        message: Any = record.message
        match message:
            case InjectFault():
                fault = self._fault(message.fault_id)
                fault.asked = fault.asked or record
            case FaultApplied():
                fault = self._fault(message.fault_id)
                fault.applied = fault.applied or record
            case FaultInjected():
                self._fault(message.fault_id).effect = record
            case RecoverFault():
                fault = self._fault(message.fault_id)
                fault.recovery_asked = fault.recovery_asked or record
            case FaultEnded():
                self._fault(message.fault_id).ended = record
            case FaultRecovered():
                self._fault(message.fault_id).recovered = record
            case AlertFired():
                self.alerts[message.alert_id] = Alert(
                    message.rule, message.subject, message.severity, record
                )
            case AlertAcknowledged() if message.alert_id in self.alerts:
                self.alerts[message.alert_id].acknowledged = record
            case AlertResolved() if message.alert_id in self.alerts:
                self.alerts[message.alert_id].resolved = record
            case PhaseChanged():
                self.phases.append(record)
            case BreakerChanged() | SetKillSwitch() | KillSwitchChanged():
                self._responses.append(record)

    def _fault(self, fault_id: str) -> Fault:
        return self.faults.setdefault(fault_id, Fault(fault_id))


def moment(record: Record | None) -> int:
    """When what the entry is about happened, which may be before it was written; 0 for None."""
    if record is None:
        return 0
    return happened(record.message) or record.time


def happened(message: Message) -> int:
    """By the message's own stamp, 0 if it has none."""
    if isinstance(message, AlertFired):
        return message.detected_time
    found: int = getattr(message, "event_time", 0)
    return found
