"""Converts the auditor's state to JSON: times as ISO 8601 of simulated time in UTC,
hashes in hex.
"""

from typing import Any

import msgspec

from trading.api.audit_correlator.view import (
    AlertRecords,
    CorrelationView,
    FaultRecords,
    event_time_of,
)
from trading.audit_correlator import AuditCorrelator
from trading.audit_correlator.ledger import AuditRecord
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
    BreakerState,
    Severity,
)
from trading.units import PPM, format_duration, format_instant, format_ppm

JSON = dict[str, Any]


def chains(auditor: AuditCorrelator) -> JSON:
    """Return the state of every journal as far as it was read. `read_to` is when its newest entry
    was written; `why` says what is wrong with a broken chain.
    """
    state = auditor.state()["chains"]["chains"]
    times = auditor.timeline.read_to
    return {
        name: {
            "read": length,
            "head": head,
            "read_to": format_instant(times.get(name, 0)),
            "verified": not broken,
            "broken_at": broken or None,
            "why": why or None,
        }
        for name, (length, head, broken, why) in sorted(state.items())
    }


def ledger(auditor: AuditCorrelator) -> JSON:
    """Return the length and head of the auditor's own ledger. `waiting` counts records that were
    read but can be added only when every journal has been read up to their time.
    """
    chain = auditor.timeline.ledger
    waiting = auditor.timeline.waiting
    return {
        "length": chain.length,
        "head": chain.head.hex(),
        "first": chain.first,
        "waiting": waiting,
    }


def report(auditor: AuditCorrelator) -> JSON:
    """Return the newest report of the auditor; while there is none, the figures that are known
    without.
    """
    final = auditor.timeline.report
    if final is None:
        return {
            "final": False,
            "run_id": None,
            "time": format_instant(max(auditor.timeline.read_to.values(), default=0)),
            "complete": None,
            "events": auditor.chains.events,
            "root": auditor.chains.root(),
            "coverage": None,
            "coverage_percent": None,
            "discrepancies": [msgspec.to_builtins(d) for d in auditor.discrepancies()],
            "false_alarms": auditor.false_alarms(),
        }
    return {
        "final": True,
        "run_id": final.run_id,
        "time": format_instant(final.event_time),
        "complete": final.complete,
        "events": final.events,
        "root": final.root,
        "coverage": format_ppm(final.coverage_ppm),
        "coverage_percent": final.coverage_ppm * 100 / PPM,
        "discrepancies": [msgspec.to_builtins(d) for d in final.discrepancies],
        "false_alarms": final.false_alarms,
    }


def timeline(auditor: AuditCorrelator, after: int, limit: int) -> JSON:
    """Return phases, faults, unexplained alerts and records. The records are those after line
    `after` of the ledger, of which the newest `limit` are returned and the rest are counted in
    `left_off`.
    """
    records = auditor.timeline.records()
    view = CorrelationView(records)
    newer = [r for r in records if not r.line or r.line > after]
    return {
        "read_to": format_instant(max(auditor.timeline.read_to.values(), default=0)),
        "ledger": ledger(auditor),
        "phases": [record(r, view) for r in view.phases],
        "faults": [fault(f, view) for f in view.faults.values()],
        "unexplained": [alert(a, None, view) for a in view.unexplained[-limit:]],
        "records": [record(r, view) for r in newer[-limit:]],
        "left_off": max(0, len(newer) - limit),
    }


def fault(fault: FaultRecords, view: CorrelationView) -> JSON:
    """Return a fault with the records of its life cycle, its alerts, and the responses to it."""
    request = fault.requested.message if fault.requested is not None else None
    kind, target, parameters = "", "", {}
    if isinstance(request, InjectFault):
        parameters = msgspec.to_builtins(request.fault)
        kind, target = parameters.pop("kind"), request.to
    steps = {
        "asked": fault.requested,
        "applied": fault.applied,
        "effect": fault.effect,
        "recovery_asked": fault.recovery_requested,
        "ended": fault.ended,
        "recovered": fault.recovered,
    }
    alerts = [alert(a, fault, view) for a in fault.alerts]
    first = next((a for a in alerts if a["latency"] is not None), None)
    return {
        "fault_id": fault.fault_id,
        "kind": kind,
        "target": target,
        "parameters": parameters,
        **{name: record(r, view) if r is not None else None for name, r in steps.items()},
        "alerts": alerts,
        "responses": [record(r, view) for r in fault.responses],
        "detection": first,
    }


def alert(alert: AlertRecords, cause: FaultRecords | None, view: CorrelationView) -> JSON:
    """Return an alert with its records. `latency` is the time from the effect of `cause` to the
    alert: 0 if the alert came before the effect was verified, null if there was no effect.
    """
    effect = cause.effect_at if cause is not None else 0
    latency = max(0, event_time_of(alert.fired) - effect) if effect else None
    return {
        "rule": alert.rule,
        "subject": alert.subject,
        "severity": alert.severity,
        "latency": format_duration(latency) if latency is not None else None,
        "latency_seconds": latency / 1e6 if latency is not None else None,
        "fired": record(alert.fired, view),
        "acknowledged": record(alert.acknowledged, view) if alert.acknowledged else None,
        "resolved": record(alert.resolved, view) if alert.resolved else None,
    }


def record(record: AuditRecord, view: CorrelationView) -> JSON:
    """Return a record: `time` is when it was written, `event_time` when it happened, `line` its
    position in the ledger, `faults` the ids of the faults that it belongs to.
    """
    event, subject, text, severity = _description(record)
    own = getattr(record.message, "fault_id", "")
    faults = [own] if own else [f.fault_id for f in _causes(record, view)]
    return {
        "source": record.source,
        "seq": record.seq,
        "time": format_instant(record.time),
        "event_time": format_instant(event_time_of(record)),
        "kind": record.kind,
        "event": event,
        "subject": subject,
        "text": text,
        "severity": severity,
        "faults": faults,
        "hash": record.entry.hash.hex(),
        "line": record.line or None,
    }


def evidence(record: AuditRecord) -> JSON:
    """Return the journal entry of a record. `hash` is the SHA-256 of `previous` (32 bytes) and
    `body` (UTF-8), so that a client can recompute it.
    """
    return {
        "source": record.source,
        "seq": record.seq,
        "time": format_instant(record.time),
        "kind": record.kind,
        "previous": record.previous.hex(),
        "body": record.entry.body.decode(),
        "hash": record.entry.hash.hex(),
        "line": record.line or None,
    }


def _causes(record: AuditRecord, view: CorrelationView) -> list[FaultRecords]:
    return [] if isinstance(record.message, PhaseChanged) else view.causes(record)


def _description(record: AuditRecord) -> tuple[str, str, str, str]:
    """Return what happened, the subject, details, and the severity."""
    message: Any = record.message
    match message:
        case InjectFault():
            kind = type(message.fault).__struct_config__.tag
            return "fault asked for", message.fault_id, f"{kind}, by {message.to}", "fault"
        case FaultApplied():
            return "fault applied", message.fault_id, f"{message.source} plays it", "fault"
        case FaultInjected():
            return "effect verified", message.fault_id, message.evidence, "fault"
        case RecoverFault():
            return "recovery asked for", message.fault_id, f"by {message.to}", "info"
        case FaultEnded():
            return "fault ended", message.fault_id, message.reason, "info"
        case FaultRecovered():
            return "recovery verified", message.fault_id, "the data plane is right again", "good"
        case AlertFired():
            text = f"{message.subject}: {message.observed}, limit {message.limit}"
            return "alert fired", message.rule, text, message.severity
        case AlertAcknowledged():
            return "alert acknowledged", message.rule, f"{message.subject}, by {message.by}", "info"
        case AlertResolved():
            fired = format_duration(message.event_time - message.fired_time)
            return "alert resolved", message.rule, f"{message.subject}, after {fired}", "good"
        case BreakerChanged():
            severity = "good" if message.state is BreakerState.ACTIVE else Severity.CRITICAL
            text = f"from {message.previous}: {message.reason}"
            return "circuit breaker", message.state, text, severity
        case SetKillSwitch():
            action = "engage" if message.engaged else "release"
            return "kill switch asked for", message.account, f"{action}: {message.reason}", "info"
        case KillSwitchChanged():
            cancelled = f"{message.cancelled_orders} orders cancelled: {message.reason}"
            text = f"engaged, {cancelled}" if message.engaged else f"released: {message.reason}"
            severity = Severity.CRITICAL if message.engaged else "good"
            return "kill switch", message.account, text, severity
        case PhaseChanged():
            return "phase", message.phase, "", "info"
    return record.kind, "", "", "info"
