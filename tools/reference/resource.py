"""Generate docs/reference/chaosscenario-resource.md from the definition and the operator's code."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.crd import definition
from tools.reference.markdown import FOLDER, code, one_of, plain, table
from tools.reference.verdict import CASES, verdict_of
from trading.scenario.result import ConditionType, Phase
from trading_operator import policies, resource, step

_HEAD = """# ChaosScenario resource

This page is generated from the CustomResourceDefinition and from the code of the operator. The
fields of `spec` are the [scenario fields](scenario.md).

"""

#: The meaning of each field of the status, by its path.
STATUS: dict[str, str] = {
    "observedGeneration": "Generation of the resource that this status is about.",
    "phase": "Phase of the run.",
    "verdict": "Outcome; empty until the run has ended. See [verdict rules](verdict.md).",
    "message": "Why the verdict is not Pass, or what the operator waits for.",
    "run": "Its name at the test coordinator: the resource's name and the start of its uid.",
    "detect": "The longest latency of all expectations that were detected.",
    "recover": "From the end of the last fault to the verified recovery.",
    "policies": "Names of the NetworkPolicies that exist, or are about to be made.",
    "faults[].name": "Name of the fault.",
    "faults[].kind": "Its kind.",
    "faults[].requestedAt": "When it was asked for. Times are simulated, from the run's start.",
    "faults[].injectedAt": "When it was first seen in the data plane.",
    "faults[].evidence": "What was seen.",
    "faults[].endedAt": "When the service stopped playing it.",
    "faults[].recoveredAt": "Since when the data plane is right again.",
    "expectations[].label": "The expectation in one line.",
    "expectations[].of": "The fault that must be noticed.",
    "expectations[].met": "Whether it was met.",
    "expectations[].latency": "From the first evidence of the fault to the detection, simulated.",
    "expectations[].reason": "Why it was not met.",
    "audit.complete": "Every journal was read to its head, and every chain holds.",
    "audit.events": "Entries that the auditor has verified.",
    "audit.root": "Head of the auditor's hash chain, for `trading audit verify --root`.",
    "audit.coverage": "Entries read of entries written.",
    "audit.discrepancies": "How many things do not reconcile.",
    "conditions[].type": "See below.",
    "conditions[].status": "True, False or Unknown.",
    "conditions[].observedGeneration": "Generation of the resource that it is about.",
    "conditions[].lastTransitionTime": "Wall time at which `status` changed.",
    "conditions[].reason": "One word.",
    "conditions[].message": "In words.",
}

PHASE_MEANING: dict[Phase, str] = {
    Phase.PENDING: "The run has not begun; `message` says what it waits for.",
    Phase.STEADY_STATE: "The coordinator waits until nothing has been wrong for `steadyState.for`.",
    Phase.INJECTING: "The first fault was asked for and has not been seen yet.",
    Phase.ACTIVE: "A fault was seen in the data plane.",
    Phase.RECOVERING: "All faults have ended, and everything that was expected is there or"
    " too late.",
    Phase.EVALUATING: "The audit correlator reads every journal to its end; then the run is"
    " judged.",
    Phase.COMPLETED: "There is a verdict: Pass, Fail or Inconclusive.",
    Phase.ABORTED: "The run was aborted. Its faults were taken back.",
    Phase.ERROR: "The run cannot be judged.",
}

#: Reasons of the condition Complete that are the operator's own, with their meanings.
WAITING: dict[str, str] = {
    "Running": "The run goes on.",
    "Waiting": "The coordinator has another run, or refuses this one for now.",
    "NetworkPolicyConflict": "Another NetworkPolicy allows what a partition denies.",
    "CoordinatorUnreachable": "The coordinator gives no answer. After 30 s the operator takes its"
    " partitions back.",
}

#: Reasons of events, with their meanings.
EVENTS: dict[str, str] = {
    **{phase: f"The run has entered the phase {phase}." for phase in Phase},
    "FaultApplied": "A service has begun to play a fault.",
    "FaultInjected": "A fault was seen in the data plane; the message has the evidence.",
    "FaultEnded": "A service has stopped playing a fault.",
    "FaultRecovered": "The data plane is right again.",
    "Partitioned": "A NetworkPolicy is made that cuts a service off from others.",
    "Reconnected": "A NetworkPolicy is deleted.",
    "Waiting": WAITING["Waiting"],
    "NetworkPolicyConflict": WAITING["NetworkPolicyConflict"],
    "CoordinatorUnreachable": WAITING["CoordinatorUnreachable"],
    "Verdict": "The outcome and its reasons. Normal for Pass, Warning for everything else.",
}

#: The types of conditions, with the meaning of the status True.
CONDITIONS: dict[ConditionType, str] = {
    ConditionType.STEADY_STATE: "Nothing was wrong for long enough before the faults.",
    ConditionType.FAULT_VERIFIED: "Every fault was seen in the data plane.",
    ConditionType.DETECTED: "Every expectation was met.",
    ConditionType.RECOVERED: "Everything was right again in time.",
    ConditionType.AUDIT_VERIFIED: "The audit is complete and has no discrepancy.",
    ConditionType.COMPLETE: "The run has ended; the reason is the outcome.",
}


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    (version,) = definition()["versions"]
    whole = version["schema"]["openAPIV3Schema"]
    names = definition()["names"]
    text = _HEAD + table(
        ("", ""),
        (
            ("apiVersion", code(f"{resource.GROUP}/{resource.VERSION}")),
            ("kind", code(names["kind"])),
            ("scope", definition()["scope"]),
            ("`kubectl get`", f"{code(names['plural'])}, {code(names['shortNames'][0])}"),
            ("finalizer", f"{code(resource.FINALIZER)}, until the verdict"),
        ),
    )
    text += "\n## What `kubectl get chaos` shows\n\n"
    columns = version["additionalPrinterColumns"]
    text += table(("column", "from"), ((c["name"], code(c["jsonPath"])) for c in columns))
    text += "\n## What the API server refuses\n\n"
    text += (
        "Besides values of a wrong type or out of bounds and unknown names of rules, services,\n"
    )
    text += "strategies and assets:\n\n"
    text += "".join(f"- {plain(message)}\n" for message in _validations(whole))
    text += "\n## Status\n\n"
    text += table(
        ("field of `status`", "type", "meaning"),
        ((code(p), kind, meaning(p, s)) for p, kind, s in fields(whole["properties"]["status"])),
    )
    text += "\n## Phases\n\n"
    text += table(("phase", "meaning"), ((code(p), PHASE_MEANING[p]) for p in Phase))
    text += "\n## Conditions\n\n"
    text += table(
        ("type", "True means", "reasons for True", "reasons for False"),
        (
            (code(kind), text_, _reasons(kind, "True"), _reasons(kind, "False"))
            for kind, text_ in CONDITIONS.items()
        ),
    )
    text += "\nUntil there is a verdict, `Complete` is False, with one of these reasons:\n\n"
    text += table(("reason", "meaning"), ((code(k), v) for k, v in WAITING.items()))
    text += "\n## Events\n\n"
    warnings = {reason for reason, warning in events() if warning}
    text += table(
        ("reason", "type", "meaning"),
        ((code(r), _kind(r, warnings), plain(EVENTS[r])) for r in dict(events())),
    )
    text += f"""
## NetworkPolicies of a partition

| on the policy | name | meaning |
|---|---|---|
| label | `{policies.OWNER}` | uid of the ChaosScenario |
| annotation | `{policies.RECOVER_BY}` | until when it is valid; renewed while the fault is on |
| annotation | `{policies.FAULTS}` | names of the faults that it plays |
| annotation | `{resource.PREFIX}/caller` | the service that is cut off |
| annotation | `{resource.PREFIX}/callees` | the services that it no longer reaches |

A policy is valid for {policies.LEASE:.0f} s and is renewed when it is
{policies.RENEWED_AFTER:.0f} s old. If the operator does not hear from the coordinator for
{step.SILENCE:.0f} s, it deletes the policies. The reaper deletes policies that are no longer valid.
"""
    return {FOLDER / "chaosscenario-resource.md": text}


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, type and schema of every field of the status that is not an object itself."""
    for name, inner in schema["properties"].items():
        where = f"{path}{name}"
        items = inner.get("items", {})
        if inner["type"] == "object":
            yield from fields(inner, f"{where}.")
        elif items.get("type") == "object":
            yield from fields(items, f"{where}[].")
        elif items:
            yield where, f"list of {items['type']}", inner
        else:
            yield where, inner.get("format", inner["type"]), inner


def meaning(path: str, schema: dict[str, Any]) -> str:
    """Return the meaning of a field of the status."""
    return STATUS[path] + one_of(schema.get("enum", ()))


def _validations(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the messages of all validation rules in the definition."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        if isinstance(inner, dict):
            yield from _validations(inner)


def _reasons(kind: str, status: str) -> str:
    """Return all reasons that `judge` gives a condition in the cases of the page on verdicts."""
    reasons = {
        condition.reason
        for case in CASES
        for condition in verdict_of(case).conditions
        if (condition.type, condition.status) == (kind, status)
    }
    return ", ".join(code(reason) for reason in sorted(reasons))


def _kind(reason: str, warnings: set[str]) -> str:
    if reason == "Verdict":
        return "Normal or Warning"
    return "Warning" if reason in warnings else "Normal"


def events() -> list[tuple[str, bool]]:
    """Return the events that the operator's step can emit: the reason, and whether it is a warning.
    They are read from the source code of the step.
    """
    tree = ast.parse(Path(step.__file__).read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    waits = [_constant(call.args[1]) for call in calls if call.func.id == "_wait"]  # type: ignore[attr-defined]
    reasons: list[tuple[str, bool]] = []
    for call in calls:
        if call.func.id != "EmitEvent":  # type: ignore[attr-defined]
            continue
        warning = any(k.arg == "warning" for k in call.keywords)
        reasons += [(reason, warning) for reason in _expanded(ast.unparse(call.args[0]), waits)]
    return sorted(set(reasons), key=lambda reason: [*EVENTS].index(reason[0]))


def _expanded(written: str, waits: list[str]) -> list[str]:
    """Return the reasons that an expression in the source code stands for."""
    expansions: dict[str, Sequence[str]] = {
        "observed.phase": [*Phase],
        "f'Fault{fault.step.capitalize()}'": [f"Fault{s.capitalize()}" for s in step._FIELDS],
        "reason": waits,
    }
    return [*expansions[written]] if written in expansions else [ast.literal_eval(written)]


def _constant(node: ast.expr) -> str:
    return str(ast.literal_eval(node))
