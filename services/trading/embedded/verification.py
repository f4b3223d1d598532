"""Check the evidence that a run has left in a directory, years later: compute everything again.

The journals say what came from outside, and the plan what the rest follows from; so nothing that
the directory says has to be believed.
"""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trading.embedded.comparison import differences
from trading.embedded.recompute import Recomputed, recompute
from trading.embedded.reporting import JOURNALS, PLAN, SIGNATURE, STATEMENT, VERDICT
from trading.messages import Start
from trading.messages.audit import JournalEntry
from trading.report.verdict_json import render_json
from trading.runtime.journal import RECEIVED, Journal, decode, from_ndjson, kind_of, to_ndjson
from trading.runtime.replay import received
from trading.scenario.plan import installed_version, plan_digest
from trading.scenario.result import PASS
from trading.scenario.signing import PlanRecord, encode_plan, encode_statement, is_signed_by


class Checked(msgspec.Struct):
    """``problems``: one line each, empty where everything holds; ``notes``: what a reader has to
    know beside. ``computed``: what the evidence must say; None where that cannot be computed.
    """

    scenario: str
    problems: list[str]
    notes: list[str] = []
    computed: Recomputed | None = None

    @property
    def intact(self) -> bool:
        return not self.problems

    def lines(self) -> list[str]:
        """For people."""
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
) -> Checked:
    """Compute a run of ``trading run --report DIR`` again from its plan and its journals, and
    compare every field and every entry.

    ``root``: a copy of the audit's root that was kept elsewhere, hex; empty: none. ``public_key``:
    whose signature it must have. OSError or ValueError where there is no report.
    """
    written = (directory / VERDICT).read_bytes()
    found = msgspec.json.decode(written)
    if not isinstance(found, dict):
        raise ValueError(f"{VERDICT} is no verdict")
    checked = Checked(str(found.get("scenario", "")), [])
    problems = checked.problems
    record = _plan(directory, problems)
    if record is None or not _is_theirs(record, directory / JOURNALS, problems):
        return checked
    try:
        computed = recompute(record.plan, directory / JOURNALS, control=record.control)
    except Exception as error:  # A plan that nobody compiled may break anything.
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


def _plan(directory: Path, problems: list[str]) -> PlanRecord | None:
    path = directory / PLAN
    try:
        written = path.read_bytes()
        record = msgspec.json.decode(written, type=PlanRecord)
    except FileNotFoundError:
        problems.append(f"{PLAN}: missing, so that nothing can be computed")
    except ValueError as error:
        problems.append(f"{PLAN}: {error}")
    else:
        if written != encode_plan(record):
            problems.append(f"{PLAN}: has more or other text in it than trading run writes")
        return record
    return None


def _is_theirs(record: PlanRecord, journals: Path, problems: list[str]) -> bool:
    """Does any journal begin with this plan? With another one there is nothing to compare."""
    begun = {_begun(path) for path in sorted(journals.glob("*.ndjson"))} - {""}
    wanted = record.plan.journal_id
    if wanted in begun:
        return True
    if not begun:
        problems.append(f"{JOURNALS}: no journal says by which plan it was begun")
    else:
        digest = plan_digest(record.plan)
        names = ", ".join(sorted(begun))
        problems.append(f"{PLAN}: its digest is {digest}, but the journals were begun by {names}")
    return False


def _begun(path: Path) -> str:
    """Return what the first entry of a journal calls its run; empty where it does not say."""
    try:
        with path.open("rb") as file:
            entry = from_ndjson(file.readline().rstrip(b"\n"))
        messages = received(entry)[1] if kind_of(entry.body) == RECEIVED else []
    except (OSError, ValueError):
        return ""
    return next((m.run_id for m in messages if isinstance(m, Start)), "")


def _journal_problems(directory: Path, journals: dict[str, Journal]) -> Iterator[str]:
    wanted = {f"{name}.ndjson": journal for name, journal in journals.items()}
    for path in sorted(directory.iterdir()):
        if path.name not in wanted:
            yield f"{JOURNALS}/{path.name}: is no journal of this run"
    for name, journal in wanted.items():
        if problem := _first_difference(directory / name, journal):
            yield f"{JOURNALS}/{name}: {problem}"


def _first_difference(path: Path, journal: Journal) -> str:
    """Compare a file with the journal that was computed; empty: they are the same."""
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
        found = from_ndjson(line.rstrip(b"\n"))
        first = next(differences(_named(found), _named(computed)), "")
    except ValueError as error:
        return f"not a journal line: {error}"
    if first:
        return first
    if found.body == computed.body and found.hash != computed.hash:
        return f"its hash is {found.hash.hex()}, computed {computed.hash.hex()}"
    return "is written in another way than a journal is"


def _named(entry: JournalEntry) -> dict[str, Any]:
    seq, time, kind, payload = decode(entry.body)
    return {"seq": seq, "time": time, "type": kind, "payload": payload}


def _json_problems(name: str, written: bytes, computed: bytes) -> Iterator[str]:
    """Name every field that is not as computed; and text in which one is hidden."""
    if written == computed:
        return
    try:
        found = list(differences(msgspec.json.decode(written), msgspec.json.decode(computed)))
    except ValueError as error:
        found = [f"not JSON: {error}"]
    for line in found or ["has the right fields, and more or other text than was written"]:
        yield f"{name}: {line}"


def _signature_problems(
    directory: Path, statement: bytes, key: Ed25519PublicKey | None
) -> Iterator[str]:
    found = {n: _kept(directory / n) for n in (STATEMENT, SIGNATURE)}
    written, signature = found[STATEMENT], found[SIGNATURE]
    if written is not None:
        yield from _json_problems(STATEMENT, written, statement)
    if key is None:
        return
    for name, content in found.items():
        if content is None:
            yield f"{name}: missing; a signed report has it: trading run --report DIR --sign KEY"
    if written is not None and signature is not None and not is_signed_by(key, written, signature):
        yield f"{SIGNATURE}: is no signature of {STATEMENT} by the given key"


def _kept(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _notes(directory: Path, record: PlanRecord, computed: Recomputed, *, signed: bool) -> list[str]:
    notes = []
    if record.plan.version != installed_version():
        notes.append(
            f"note: made by version {record.plan.version}, computed by {installed_version()}; where"
            " they differ, only the former computes the same"
        )
    if computed.verdict.outcome == PASS and not record.control:
        notes.append("note: there was no control run: not known what fires without the faults")
    if (directory / SIGNATURE).exists() and not signed:
        notes.append(f"note: the signature in {SIGNATURE} was not checked: --public-key FILE")
    return notes
