"""Groups the records of the timeline by fault: injection, effect, alerts, responses and
recovery.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from trading.audit_correlator.correlation import explains
from trading.audit_correlator.ledger import AuditRecord
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
from trading.messages.risk import (
    AlertAcknowledged,
    AlertFired,
    AlertResolved,
    BreakerChanged,
    Severity,
)


class AlertRecords(msgspec.Struct):
    """The records of the alert of `rule` on `subject`. Those that have not been read, or do not
    exist, are None.
    """

    rule: str
    subject: str
    severity: Severity
    fired: AuditRecord
    acknowledged: AuditRecord | None = None
    resolved: AuditRecord | None = None


class FaultRecords(msgspec.Struct):
    """The records of one fault. `responses` are those of the circuit breaker and of kill switches
    while it lasted. If several services play the fault, the first that began and the last that
    ended count.
    """

    fault_id: str
    requested: AuditRecord | None = None
    applied: AuditRecord | None = None
    effect: AuditRecord | None = None
    recovery_requested: AuditRecord | None = None
    ended: AuditRecord | None = None
    recovered: AuditRecord | None = None
    alerts: list[AlertRecords] = []
    responses: list[AuditRecord] = []

    @property
    def effect_at(self) -> int:
        """When its effect was seen in the data plane, simulated microseconds; 0 before that."""
        return event_time_of(self.effect)

    @property
    def over_at(self) -> int:
        """When it had ended or recovered, whichever was later, simulated microseconds; 0 before
        either.
        """
        return max(event_time_of(self.ended), event_time_of(self.recovered))

    @property
    def began_at(self) -> int:
        """When it was applied, simulated microseconds. If no journal has that but its effect was
        seen, when it was requested; 0 if it never began.
        """
        return event_time_of(self.applied) or (
            event_time_of(self.requested) if self.effect is not None else 0
        )

    def explains(self, record: AuditRecord) -> bool:
        """Return whether `record` may be a consequence of this fault, by its time."""
        return explains(self.began_at, self.over_at, event_time_of(record))


class CorrelationView:
    """The records of a run, grouped. `phases` are those of the run; `unexplained` are alerts that
    belong to no fault.
    """

    def __init__(self, records: Iterable[AuditRecord]) -> None:
        self.faults: dict[str, FaultRecords] = {}
        self.alerts: dict[str, AlertRecords] = {}
        self.phases: list[AuditRecord] = []
        self._responses: list[AuditRecord] = []
        for record in records:
            self._add(record)
        self.unexplained: list[AlertRecords] = []
        for alert in self.alerts.values():
            causes = self.causes(alert.fired)
            for fault in causes:
                fault.alerts.append(alert)
            if not causes:
                self.unexplained.append(alert)
        for record in self._responses:
            for fault in self.causes(record):
                fault.responses.append(record)

    def causes(self, record: AuditRecord) -> list[FaultRecords]:
        """Return the faults that may have caused an alert or a response: those that were active at
        its time, otherwise the possible one that ended last.
        """
        if isinstance(record.message, AlertResolved | AlertAcknowledged):
            alert = self.alerts.get(record.message.alert_id)
            record = alert.fired if alert is not None else record
        possible = [fault for fault in self.faults.values() if fault.explains(record)]
        active = [
            fault
            for fault in possible
            if not fault.over_at or event_time_of(record) <= fault.over_at
        ]
        return active or sorted(possible, key=lambda fault: fault.over_at)[-1:]

    def _add(self, record: AuditRecord) -> None:
        message: Any = record.message
        match message:
            case InjectFault():
                fault = self._fault(message.fault_id)
                fault.requested = fault.requested or record
            case FaultApplied():
                fault = self._fault(message.fault_id)
                fault.applied = fault.applied or record
            case FaultInjected():
                self._fault(message.fault_id).effect = record
            case RecoverFault():
                fault = self._fault(message.fault_id)
                fault.recovery_requested = fault.recovery_requested or record
            case FaultEnded():
                self._fault(message.fault_id).ended = record
            case FaultRecovered():
                self._fault(message.fault_id).recovered = record
            case AlertFired():
                self.alerts[message.alert_id] = AlertRecords(
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

    def _fault(self, fault_id: str) -> FaultRecords:
        return self.faults.setdefault(fault_id, FaultRecords(fault_id))


def event_time_of(record: AuditRecord | None) -> int:
    """Return when the event of a record happened, which may be before it was written; simulated
    microseconds, 0 for None.
    """
    if record is None:
        return 0
    return stamped_time(record.message) or record.time


def stamped_time(message: Message) -> int:
    """Return the time that the message itself gives for its event, 0 if it has none."""
    if isinstance(message, AlertFired):
        return message.detected_time
    event_time: int = getattr(message, "event_time", 0)
    return event_time
