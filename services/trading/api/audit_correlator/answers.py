"""What the auditor knows as JSON: times as ISO 8601 of simulated time, hashes in hex."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from trading.api.audit_correlator.view import Alert, Fault, View, moment
from trading.audit_correlator import AuditCorrelator
from trading.audit_correlator.ledger import Record
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
from trading.units import PPM, format_duration, format_ppm

JSON = dict[str, Any]


def instant(us: int) -> str | None:
    if not us:
        return None
    text = datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def chains(auditor: AuditCorrelator) -> JSON:
    """By journal, as far as it was read; ``read_to``: when its newest entry was written."""
    state = auditor.state()["chains"]["chains"]
    times = auditor.timeline.read_to
    return {
        name: {
            "read": length,
            "head": head,
            "read_to": instant(times.get(name, 0)),
            "verified": not broken,
            "broken_at": broken or None,
            "why": why or None,
        }
        for name, (length, head, broken, why) in sorted(state.items())
    }


def ledger(auditor: AuditCorrelator) -> JSON:
    """``waiting``: read, and not in the ledger before every journal has been read so far."""
    kept = auditor.timeline.ledger
    waiting = auditor.timeline.waiting
    return {
        "length": kept.length,
        "head": kept.head.hex(),
        "first": kept.first,
        "waiting": waiting,
    }


def report(auditor: AuditCorrelator) -> JSON:
    """The newest report where there is one, and what is known without."""
    found = auditor.timeline.report
    if found is None:
        return {
            "final": False,
            "run_id": None,
            "time": instant(max(auditor.timeline.read_to.values(), default=0)),
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
        "run_id": found.run_id,
        "time": instant(found.event_time),
        "complete": found.complete,
        "events": found.events,
        "root": found.root,
        "coverage": format_ppm(found.coverage_ppm),
        "coverage_percent": found.coverage_ppm * 100 / PPM,
        "discrepancies": [msgspec.to_builtins(d) for d in found.discrepancies],
        "false_alarms": found.false_alarms,
    }


def timeline(auditor: AuditCorrelator, after: int, limit: int) -> JSON:
    """``records``: those above line ``after`` of the ledger, the newest ``limit`` of them."""
    records = auditor.timeline.records()
    view = View(records)
    wanted = [r for r in records if not r.line or r.line > after]
    return {
        "read_to": instant(max(auditor.timeline.read_to.values(), default=0)),
        "ledger": ledger(auditor),
        "phases": [record(r, view) for r in view.phases],
        "faults": [fault(f, view) for f in view.faults.values()],
        "unexplained": [alert(a, None, view) for a in view.unexplained[-limit:]],
        "records": [record(r, view) for r in wanted[-limit:]],
        "left_off": max(0, len(wanted) - limit),
    }


def fault(found: Fault, view: View) -> JSON:
    asked = found.asked.message if found.asked is not None else None
    kind, target, parameters = "", "", {}
    if isinstance(asked, InjectFault):
        parameters = msgspec.to_builtins(asked.fault)
        kind, target = parameters.pop("kind"), asked.to
    steps = {
        "asked": found.asked,
        "applied": found.applied,
        "effect": found.effect,
        "recovery_asked": found.recovery_asked,
        "ended": found.ended,
        "recovered": found.recovered,
    }
    alerts = [alert(a, found, view) for a in found.alerts]
    first = next((a for a in alerts if a["latency"] is not None), None)
    return {
        "fault_id": found.fault_id,
        "kind": kind,
        "target": target,
        "parameters": parameters,
        **{name: record(r, view) if r is not None else None for name, r in steps.items()},
        "alerts": alerts,
        "responses": [record(r, view) for r in found.responses],
        "detection": first,
    }


def alert(found: Alert, cause: Fault | None, view: View) -> JSON:
    """``latency``: from the effect of ``cause`` to the alert; 0 where it came before the effect
    had been verified; null where there is no effect.
    """
    effect = cause.effect_at if cause is not None else 0
    latency = max(0, moment(found.fired) - effect) if effect else None
    return {
        "rule": found.rule,
        "subject": found.subject,
        "severity": found.severity,
        "latency": format_duration(latency) if latency is not None else None,
        "latency_seconds": latency / 1e6 if latency is not None else None,
        "fired": record(found.fired, view),
        "acknowledged": record(found.acknowledged, view) if found.acknowledged else None,
        "resolved": record(found.resolved, view) if found.resolved else None,
    }


def record(found: Record, view: View) -> JSON:
    """One entry: ``time`` when it was written, ``event_time`` when it happened; ``line`` is its
    place in the ledger; ``faults`` are those that it belongs to.
    """
    event, subject, text, severity = _said(found)
    own = getattr(found.message, "fault_id", "")
    faults = [own] if own else [f.fault_id for f in _causes(found, view)]
    return {
        "source": found.source,
        "seq": found.seq,
        "time": instant(found.time),
        "event_time": instant(moment(found)),
        "kind": found.kind,
        "event": event,
        "subject": subject,
        "text": text,
        "severity": severity,
        "faults": faults,
        "hash": found.entry.hash.hex(),
        "line": found.line or None,
    }


def evidence(found: Record) -> JSON:
    """The entry itself. ``hash`` is the SHA-256 of ``previous`` (32 bytes) and ``body`` (UTF-8)."""
    return {
        "source": found.source,
        "seq": found.seq,
        "time": instant(found.time),
        "kind": found.kind,
        "previous": found.previous.hex(),
        "body": found.entry.body.decode(),
        "hash": found.entry.hash.hex(),
        "line": found.line or None,
    }


def _causes(found: Record, view: View) -> list[Fault]:
    return [] if isinstance(found.message, PhaseChanged) else view.causes(found)


def _said(found: Record) -> tuple[str, str, str, str]:
    """What happened, to what, in words, and how bad it is."""
    message: Any = found.message
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
            severity = "good" if message.state == "ACTIVE" else "critical"
            text = f"from {message.previous}: {message.reason}"
            return "circuit breaker", message.state, text, severity
        case SetKillSwitch():
            wanted = "engage" if message.engaged else "release"
            return "kill switch asked for", message.account, f"{wanted}: {message.reason}", "info"
        case KillSwitchChanged():
            cancelled = f"{message.cancelled_orders} orders cancelled: {message.reason}"
            text = f"engaged, {cancelled}" if message.engaged else f"released: {message.reason}"
            severity = "critical" if message.engaged else "good"
            return "kill switch", message.account, text, severity
        case PhaseChanged():
            return "phase", message.phase, "", "info"
    return found.kind, "", "", "info"
