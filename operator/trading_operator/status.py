"""The status of a ChaosScenario resource: its structs, and how a verdict is written into it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trading.scenario.result import ConditionType, Outcome, Phase, Verdict
from trading.units import format_duration, format_ppm, printable
from trading_operator.policies import stamp

#: The CRD's maximal lengths, in characters, of a text and of a condition's message. The API server
#: rejects a whole status if one of its texts is longer.
TEXT, MESSAGE = 1024, 32768
COMPLETE = ConditionType.COMPLETE


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A condition, as Kubernetes' API conventions define it."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class Fault(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One fault. Times are simulated durations since the start of the run, or empty."""

    name: str
    kind: str = ""
    requested_at: str = ""
    injected_at: str = ""
    evidence: str = ""
    ended_at: str = ""
    recovered_at: str = ""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of one expectation; ``of`` is the fault that it belongs to."""

    label: str
    met: bool
    of: str = ""
    latency: str = ""
    reason: str = ""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of the audit report."""

    complete: bool
    events: int
    root: str
    coverage: str
    discrepancies: int


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The whole status. ``policies`` names the policies that exist or are about to be created;
    ``detect`` and ``recover`` are durations for people.
    """

    phase: Phase | None = None
    verdict: Outcome | None = None
    message: str = ""
    run: str = ""
    detect: str = ""
    recover: str = ""
    observed_generation: int = 0
    policies: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    audit: Audit | None = None
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of type ``kind``, or None."""
        return next((c for c in self.conditions if c.type == kind), None)


def read_status(stored: Mapping[str, Any] | None) -> Status:
    """Convert a status from the API server. One that is not valid, because another client wrote it,
    gives an empty Status.
    """
    try:
        return msgspec.convert(stored or {}, Status)
    except msgspec.ValidationError:
        return Status()


def write_status(status: Status) -> dict[str, Any]:
    """Convert a status for the API server so that the CRD's schema accepts it.

    This is the only place that shortens texts. It also replaces control characters, which a
    terminal would execute.
    """
    document: dict[str, Any] = _sanitised(msgspec.to_builtins(status), TEXT)
    for written, condition in zip(document.get("conditions", ()), status.conditions, strict=False):
        written["message"] = _sanitised(condition.message, MESSAGE)
    return document


def _sanitised(value: Any, limit: int) -> Any:
    """Return ``value`` with all its texts printable and at most ``limit`` characters long."""
    if isinstance(value, dict):
        return {key: _sanitised(inner, limit) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_sanitised(inner, limit) for inner in value]
    if not isinstance(value, str):
        return value
    text = printable(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def merge_patch(status: Status) -> dict[str, Any]:
    """Return a merge patch. Empty fields are null, since a patch keeps what it omits."""
    names = (field.encode_name for field in msgspec.structs.fields(Status))
    return {name: None for name in names} | write_status(status)


def with_condition(
    status: Status, kind: str, value: str, reason: str, message: str, generation: int, now: float
) -> Status:
    """Return ``status`` with the condition of type ``kind`` added or replaced. The transition time
    only changes if the condition's status changes. ``now`` is a Unix time in seconds.
    """
    before = status.condition(kind)
    same = before is not None and before.status == value
    since = before.last_transition_time if before is not None and same else stamp(now)
    condition = Condition(
        type=kind,
        status=value,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )
    others = tuple(c for c in status.conditions if c.type != kind)
    return msgspec.structs.replace(
        status, conditions=tuple(sorted((*others, condition), key=lambda c: c.type))
    )


def with_verdict(status: Status, verdict: Verdict, generation: int, now: float) -> Status:
    """Return ``status`` with the phase, outcome, faults, expectations, audit and conditions of
    ``verdict``. ``now`` is a Unix time in seconds.
    """

    def since_start(at: int) -> str:
        return format_duration(at - verdict.started_at) if at else ""

    latencies = [e.latency for e in verdict.expectations if e.latency >= 0]
    took = verdict.recovery.took
    status = msgspec.structs.replace(
        status,
        phase=verdict.phases[-1].phase if verdict.phases else Phase.ERROR,
        verdict=verdict.outcome,
        message="; ".join(verdict.reasons),
        detect=format_duration(max(latencies)) if latencies else "",
        recover=format_duration(took) if verdict.recovery.recovered and took >= 0 else "",
        faults=tuple(
            Fault(
                name=f.name,
                kind=f.kind,
                requested_at=since_start(f.requested_at),
                injected_at=since_start(f.injected_at),
                evidence=f.evidence,
                ended_at=since_start(f.ended_at),
                recovered_at=since_start(f.recovered_at),
            )
            for f in verdict.faults
        ),
        expectations=tuple(
            Expectation(
                label=e.label,
                met=e.met,
                of=e.of,
                latency=format_duration(e.latency) if e.latency >= 0 else "",
                reason=e.reason,
            )
            for e in verdict.expectations
        ),
        audit=Audit(
            complete=verdict.audit.complete,
            events=verdict.audit.events,
            root=verdict.audit.root,
            coverage=format_ppm(verdict.audit.coverage_ppm),
            discrepancies=len(verdict.audit.discrepancies),
        ),
    )
    for c in verdict.conditions:
        status = with_condition(status, c.type, c.status, c.reason, c.message, generation, now)
    return status
