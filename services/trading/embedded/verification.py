"""Verify the evidence that a run has left in a directory, by computing everything again.

Everything follows from the plan and from the external messages in the journals, so no other file in
the directory has to be trusted. Runs of the same version of the program can be verified years
later.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trading.embedded.comparison import differences
from trading.embedded.recompute import RecomputedRun, recompute
from trading.embedded.reporting import JOURNALS, PLAN, SIGNATURE, STATEMENT, VERDICT
from trading.messages import Start
from trading.messages.audit import JournalEntry
from trading.report.verdict_json import render_json
from trading.runtime.journal import RECEIVED, Journal, decode, from_ndjson, kind_of, to_ndjson
from trading.runtime.replay import decode_received
from trading.scenario.plan import installed_version, plan_digest
from trading.scenario.result import Outcome
from trading.scenario.signing import PlanRecord, encode_plan, encode_statement, is_valid_signature


class VerificationResult(msgspec.Struct):
    """The result of a verification.

    ``problems`` has one line for each problem and is empty if the evidence holds; ``notes`` has
    remarks that do not invalidate it. ``computed`` is what the evidence must say, None if it cannot
    be computed.
    """

    scenario: str
    problems: list[str]
    notes: list[str] = []
    computed: RecomputedRun | None = None

    @property
    def intact(self) -> bool:
        """Return whether the evidence holds."""
        return not self.problems

    def lines(self) -> list[str]:
        """Return the result as lines of text for people."""
        computed = self.computed
        if self.problems or computed is None:
            return [*self.problems, *self.notes, f"{self.scenario}: the evidence does not hold"]
        events = sum(journal.length for journal in computed.journals.values())
        return [
            f"{self.scenario}: {events} entries in {len(computed.journals)} journals, every chain "
            f"holds, and every entry and every field of the verdict is as computed",
            f"root {computed.verdict.audit.root}",
            *self.notes,
            f"verdict {computed.verdict.outcome}",
        ]


def verify_directory(
    directory: Path, *, root: str = "", public_key: Ed25519PublicKey | None = None
) -> VerificationResult:
    """Compute the run of a ``trading run --report DIR`` again from its plan and its journals, and
    compare every field and every entry.

    ``root`` is a copy of the audit's root hash in hex that was kept elsewhere; empty if there is
    none. ``public_key`` is the key that the report must be signed with; None if the signature is
    not checked. Raises OSError or ValueError if ``directory`` contains no report.
    """
    written = (directory / VERDICT).read_bytes()
    verdict = msgspec.json.decode(written)
    if not isinstance(verdict, dict):
        raise ValueError(f"{VERDICT} is no verdict")
    checked = VerificationResult(str(verdict.get("scenario", "")), [])
    problems = checked.problems
    record = _read_plan(directory, problems)
    if record is None or not _belongs_to_journals(record, directory / JOURNALS, problems):
        return checked
    try:
        computed = recompute(record, directory / JOURNALS)
    except Exception as error:  # A plan that was not compiled by us may raise anything.
        problems.append(f"{PLAN}: cannot be run: {type(error).__name__}: {error}")
        return checked
    checked.computed = computed
    problems += _journal_problems(directory / JOURNALS, computed.journals)
    problems += _json_problems(VERDICT, written, render_json(computed.verdict).encode())
    expected = computed.verdict.audit.root
    if root and root.lower() != expected:
        problems.append(f"root: the copy says {root}, computed {expected}: this is another run")
    statement = encode_statement(record, computed.verdict)
    problems += _signature_problems(directory, statement, public_key)
    checked.notes = _notes(directory, record, computed, signed=public_key is not None)
    return checked


def _read_plan(directory: Path, problems: list[str]) -> PlanRecord | None:
    path = directory / PLAN
    try:
        written = path.read_bytes()
        record = msgspec.json.decode(written, type=PlanRecord)
    except FileNotFoundError:
        problems.append(f"{PLAN}: missing, so that nothing can be computed")
    except ValueError as error:
        problems.append(f"{PLAN}: {error}")
    else:
        plan = record.plan
        for name in record.baseline.failures.keys() - set(plan.monitors):
            problems.append(f"{PLAN}: baseline.failures: the plan judges no monitor '{name}'")
        if written != encode_plan(record):
            problems.append(f"{PLAN}: has more or other text in it than trading run writes")
        return record
    return None


def _belongs_to_journals(record: PlanRecord, journals: Path, problems: list[str]) -> bool:
    """Return whether any journal was begun by this plan; another plan is not comparable."""
    run_ids = {_run_id(path) for path in sorted(journals.glob("*.ndjson"))} - {""}
    if record.plan.journal_id in run_ids:
        return True
    if not run_ids:
        problems.append(f"{JOURNALS}: no journal says by which plan it was begun")
    else:
        digest = plan_digest(record.plan)
        names = ", ".join(sorted(run_ids))
        problems.append(f"{PLAN}: its digest is {digest}, but the journals were begun by {names}")
    return False


def _run_id(path: Path) -> str:
    """Return the run id in the first entry of a journal; empty if there is none."""
    try:
        with path.open("rb") as file:
            entry = from_ndjson(file.readline().rstrip(b"\n"))
        messages = decode_received(entry)[1] if kind_of(entry.body) == RECEIVED else []
    except (OSError, ValueError):
        return ""
    return next((m.run_id for m in messages if isinstance(m, Start)), "")


def _journal_problems(directory: Path, journals: dict[str, Journal]) -> Iterator[str]:
    expected = {f"{name}.ndjson": journal for name, journal in journals.items()}
    for path in sorted(directory.iterdir()):
        if path.name not in expected:
            yield f"{JOURNALS}/{path.name}: is no journal of this run"
    for name, journal in expected.items():
        if problem := _first_difference(directory / name, journal):
            yield f"{JOURNALS}/{name}: {problem}"


def _first_difference(path: Path, journal: Journal) -> str:
    """Return the first difference of a file to the computed journal; empty if they are equal."""
    try:
        with path.open("rb") as file:
            lines = enumerate(zip_longest(file, journal.after(0)), start=1)
            for number, (line, entry) in lines:
                if line is None:
                    return f"ends after entry {number - 1}, computed {journal.length} entries"
                if entry is None:
                    return f"entry {number}: there is none, computed {journal.length} entries"
                if line != to_ndjson(entry) + b"\n":
                    return f"entry {number}: {_entry_difference(line, entry)}"
    except FileNotFoundError:
        return f"missing, computed {journal.length} entries"
    return ""


def _entry_difference(line: bytes, computed: JournalEntry) -> str:
    try:
        written = from_ndjson(line.rstrip(b"\n"))
        first = next(differences(_named(written), _named(computed)), "")
    except ValueError as error:
        return f"not a journal line: {error}"
    if first:
        return first
    if written.body == computed.body and written.hash != computed.hash:
        return f"its hash is {written.hash.hex()}, computed {computed.hash.hex()}"
    return "is written in another way than a journal is"


def _named(entry: JournalEntry) -> dict[str, Any]:
    seq, time, kind, payload = decode(entry.body)
    return {"seq": seq, "time": time, "type": kind, "payload": payload}


def _json_problems(name: str, written: bytes, computed: bytes) -> Iterator[str]:
    """Yield every field that differs, or that the text differs although the fields do not."""
    if written == computed:
        return
    try:
        problems = list(differences(msgspec.json.decode(written), msgspec.json.decode(computed)))
    except ValueError as error:
        problems = [f"not JSON: {error}"]
    for line in problems or ["has the right fields, and more or other text than was written"]:
        yield f"{name}: {line}"


def _signature_problems(
    directory: Path, statement: bytes, key: Ed25519PublicKey | None
) -> Iterator[str]:
    contents = {name: _content(directory / name) for name in (STATEMENT, SIGNATURE)}
    written, signature = contents[STATEMENT], contents[SIGNATURE]
    if written is not None:
        yield from _json_problems(STATEMENT, written, statement)
    if key is None:
        return
    for name, content in contents.items():
        if content is None:
            yield f"{name}: missing; a signed report has it: trading run --report DIR --sign KEY"
    if (
        written is not None
        and signature is not None
        and not is_valid_signature(key, written, signature)
    ):
        yield f"{SIGNATURE}: is no signature of {STATEMENT} by the given key"


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _notes(
    directory: Path, record: PlanRecord, computed: RecomputedRun, *, signed: bool
) -> list[str]:
    notes = []
    if record.plan.version != installed_version():
        notes.append(
            f"note: made by version {record.plan.version}, computed by {installed_version()}; where"
            " they differ, only the former computes the same"
        )
    if computed.verdict.outcome is Outcome.PASS and not record.control:
        notes.append("note: there was no control run: not known what fires without the faults")
    if record.plan.monitor_programs:
        names = ", ".join(record.plan.monitor_programs)
        notes.append(f"note: what {names} answered is an input of the run, as it was recorded")
    if (directory / SIGNATURE).exists() and not signed:
        notes.append(f"note: the signature in {SIGNATURE} was not checked: --public-key FILE")
    return notes
