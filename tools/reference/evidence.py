"""Generate docs/reference/evidence.md from the classes of a verdict and from a run of
market-crash.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from tools.reference.evidence_fields import FIELDS
from tools.reference.markdown import FOLDER, block, code, one_of, plain, table
from trading.embedded.api import load_scenario
from trading.embedded.reporting import JOURNALS, PLAN, SIGNATURE, STATEMENT, VERDICT
from trading.embedded.run import RunResult, run_plan
from trading.messages.audit import Correlation, Discrepancy
from trading.messages.chaos import RunSetup
from trading.runtime.journal import decode
from trading.scenario import result

#: The path of each class in verdict.json.
CLASSES: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (result.Verdict, ""),
    (result.PhaseStart, "phases[]"),
    (result.FaultOutcome, "faults[]"),
    (result.ExpectationOutcome, "expectations[]"),
    (result.RecoveryOutcome, "recovery"),
    (result.AuditOutcome, "audit"),
    (Discrepancy, "audit.discrepancies[]"),
    (Correlation, "audit.correlations[]"),
    (result.JournalHead, "audit.journals{}"),
    (result.Condition, "conditions[]"),
    (result.AlertOutcome, "alerts[]"),
    (result.ControlRun, "control"),
    (result.MonitorOutcome, "monitors[]"),
    (result.MonitorDetection, "monitors[].detections[]"),
    (RunSetup, "setup"),
    (result.ClockRecord, "clock"),
)
_NAMES = {struct: where for struct, where in CLASSES}
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
#: Fields whose values change with every release; the page shows a placeholder.
_MASKED = {"root", "head", "plan_digest", "version"}

_HEAD = f"""# Evidence of a run

This page is generated from `trading.scenario.result` and from a run of `market-crash`.
`trading run SCENARIO --report DIR` writes these files:

| file | what it is | evidence |
|---|---|---|
| `{PLAN}` | The compiled plan: names resolved, times in microseconds, with all limits; and what \
monitors of yours did in the control run. | yes |
| `{JOURNALS}/COMPONENT.ndjson` | What each component received and decided, as a hash chain. | yes |
| `{VERDICT}` | The verdict, which follows from the plan and the journals. | yes |
| `{STATEMENT}` | With `--sign`: plan and verdict in one document, which is what is signed. | yes |
| `{SIGNATURE}` | With `--sign`: the Ed25519 signature of the statement's bytes. | yes |
| `junit.xml` | One test case for each expectation, and for recovery, audit and verdict. | no |
| `report.html` | A page for people, in one file. | no |
| `summary.svg` | The curves of the run. | no |

`trading audit verify DIR` computes the run again and compares every field and every entry of the
files that are evidence. The other files show the same data and are not checked.

Monitors of yours do not run again: their answers are in the journal of the test coordinator, as
messages from outside.

## A journal

A journal has one JSON object on a line. `hash` is the SHA-256 of the previous hash and of the bytes
of `entry`; before the first entry the hash is 32 zero bytes. `entry` is an array: sequence number,
simulated time in microseconds, type, payload. An entry of type `Received` has the messages that the
component received in one step; each message that it decided is an entry of its own after it. The
`Received` entries are enough to compute all others.

"""

_VERDICT = """
## verdict.json

Times are simulated, in microseconds since 1970; durations are in microseconds; 0 is "never" for a
time. Amounts of money and quantities are whole numbers in units of 1e-8, ratios are in parts per
million. The column "example" is from a run of `market-crash`.
"""


@cache
def crash() -> RunResult:
    """Run market-crash once; return the result, which the examples are from."""
    return run_plan(load_scenario("market-crash").plan)


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    return {
        FOLDER / "evidence.md": _HEAD
        + block("\n".join(_lines()), "text")
        + _VERDICT
        + "".join(_section(struct, where) for struct, where in CLASSES)
    }


def _lines() -> Iterator[str]:
    """Yield the beginning of a journal, shortened."""
    yield "journals/test-coordinator.ndjson"
    for entry in list(crash().journals["test-coordinator"].after(0))[:3]:
        seq, at, kind, _ = decode(entry.body)
        yield f'{{"hash":"...","entry":[{seq},{at},"{kind}",...]}}'


def _section(struct: type[msgspec.Struct], where: str) -> str:
    title = code(where) if where else "The verdict"
    hints = get_type_hints(struct)
    example = _example(struct)
    rows = (
        (
            code(name),
            type_of(hint),
            _example_cell(name, example),
            plain(FIELDS[f"{struct.__name__}.{name}"]) + _values(hint),
        )
        for name, hint in hints.items()
    )
    return f"\n### {title}\n\n" + table(("field", "type", "example", "meaning"), rows)


def _example(struct: type[msgspec.Struct]) -> Any:
    """Return the first instance of this class in the verdict, or None."""
    todo: list[Any] = [crash().verdict]
    for value in todo:
        if isinstance(value, struct):
            return value
        if isinstance(value, msgspec.Struct):
            todo += [getattr(value, name) for name in value.__struct_fields__]
        elif isinstance(value, tuple):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
    return None


def _example_cell(name: str, example: Any) -> str:
    if name in _MASKED:
        return code("0.1.0" if name == "version" else "64 hex digits") if example else ""
    value = getattr(example, name, None)
    if isinstance(value, msgspec.Struct | tuple | dict) or value is None:
        return ""
    return code(msgspec.json.encode(value).decode())


def type_of(hint: Any) -> str:
    """Describe in words the JSON type of a field. Raises KeyError for an unknown type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return f"{type_of(next(member for member in inner if member is not NoneType))} or null"
    if origin in (tuple, list):
        if len(inner) == 2 and inner[1] is not ...:
            return "pair of texts"
        return f"list of {type_of(inner[0])}"
    if origin is dict:
        return f"map to {type_of(inner[1])}"
    if hint in _NAMES:
        return f"object {code(_NAMES[hint])}"
    return "text" if issubclass(hint, StrEnum) else _WORDS[hint]


def _values(hint: Any) -> str:
    """Return a sentence with the values that a field can have, or nothing for an open set."""
    members = hint if isinstance(hint, type) and issubclass(hint, StrEnum) else ()
    return one_of(members)
