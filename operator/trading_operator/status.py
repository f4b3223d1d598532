"""A resource's status, and how a verdict is told in it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trading.scenario.result import Verdict
from trading.units import format_duration, format_ppm, printable
from trading_operator.policies import stamp

#: Characters of a text, and of a condition's message, by the definition: with a longer one the API
#: server would refuse the status as a whole.
TEXT, MESSAGE = 1024, 32768
PENDING, EVALUATING = "Pending", "Evaluating"
COMPLETE = "Complete"


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class Fault(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Times are simulated, from the run's start; empty where it never came."""

    name: str
    kind: str = ""
    requested_at: str = ""
    injected_at: str = ""
    evidence: str = ""
    ended_at: str = ""
    recovered_at: str = ""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    label: str
    met: bool
    of: str = ""
    latency: str = ""
    reason: str = ""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    complete: bool
    events: int
    root: str
    coverage: str
    discrepancies: int


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """``policies``: names of those that are there, or are about to be."""

    phase: str = ""
    verdict: str = ""
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
        return next((c for c in self.conditions if c.type == kind), None)


def read(found: Mapping[str, Any] | None) -> Status:
    """What the API server has; what somebody else wrote there and cannot be read is nothing."""
    try:
        return msgspec.convert(found or {}, Status)
    except msgspec.ValidationError:
        return Status()


def write(status: Status) -> dict[str, Any]:
    """As the definition allows it: here alone texts are shortened, and control characters taken
    out, which terminals that show them would obey.
    """
    built: dict[str, Any] = _fitting(msgspec.to_builtins(status), TEXT)
    for one, condition in zip(built.get("conditions", ()), status.conditions, strict=False):
        one["message"] = _fitting(condition.message, MESSAGE)
    return built


def _fitting(value: Any, most: int) -> Any:
    if isinstance(value, dict):
        return {key: _fitting(inner, most) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_fitting(inner, most) for inner in value]
    if not isinstance(value, str):
        return value
    text = printable(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def merge_patch(status: Status) -> dict[str, Any]:
    """A merge patch keeps what it does not name: what is empty now is named, too."""
    names = (field.encode_name for field in msgspec.structs.fields(Status))
    return {name: None for name in names} | write(status)


def with_condition(
    status: Status, kind: str, value: str, reason: str, message: str, generation: int, now: float
) -> Status:
    """Its transition time is kept while its value is."""
    before = status.condition(kind)
    same = before is not None and before.status == value
    since = before.last_transition_time if before is not None and same else stamp(now)
    made = Condition(
        type=kind,
        status=value,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )
    others = tuple(c for c in status.conditions if c.type != kind)
    return msgspec.structs.replace(
        status, conditions=tuple(sorted((*others, made), key=lambda c: c.type))
    )


def judged(status: Status, verdict: Verdict, generation: int, now: float) -> Status:
    """With everything that the verdict says."""
    begun = verdict.started_at

    def since_start(at: int) -> str:
        return format_duration(at - begun) if at else ""

    latencies = [e.latency for e in verdict.expectations if e.latency >= 0]
    took = verdict.recovery.took
    status = msgspec.structs.replace(
        status,
        phase=verdict.phases[-1].phase if verdict.phases else "Error",
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
    for one in verdict.conditions:
        status = with_condition(
            status, one.type, one.status, one.reason, one.message, generation, now
        )
    return status
