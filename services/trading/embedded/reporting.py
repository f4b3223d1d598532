"""Write a run to a directory: its evidence, and the reports for people and CI systems.

The evidence consists of the plan, the journals, the verdict, which follows from both, and an
optional signature. The other files only display it.
"""

from base64 import b64decode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trading.embedded.run import RunResult
from trading.report.html import render_html
from trading.report.junit import render_junit
from trading.report.svg_summary import render_svg
from trading.report.verdict_json import render_json
from trading.runtime.journal import Journal, to_ndjson
from trading.scenario.signing import PlanRecord, encode_plan, encode_statement, sign_statement

#: Names of files and directories in a report.
PLAN, VERDICT, JOURNALS = "plan.json", "verdict.json", "journals"
STATEMENT, SIGNATURE = "statement.json", "statement.sig"


def write_report(
    result: RunResult, directory: Path, key: Ed25519PrivateKey | None = None
) -> list[Path]:
    """Write the report of a run to ``directory``, and return the files that were written.

    These are plan.json, verdict.json, junit.xml, report.html, summary.svg and
    journals/<service>.ndjson; with a ``key`` also statement.json and statement.sig. Creates the
    directory. Raises OSError if a file cannot be written.
    """
    journals = directory / JOURNALS
    journals.mkdir(parents=True, exist_ok=True)
    _remove_signature(directory)
    record = PlanRecord(plan=result.plan, control=result.control, baseline=result.baseline)
    written = []
    for name, content in (
        (PLAN, encode_plan(record)),
        (VERDICT, render_json(result.verdict).encode()),
        ("junit.xml", render_junit(result.verdict).encode()),
        ("report.html", render_html(result.verdict, result.record).encode()),
        ("summary.svg", render_svg(result.verdict, result.record).encode()),
        *_signature_files(key, encode_statement(record, result.verdict)),
    ):
        path = directory / name
        path.write_bytes(content)
        written.append(path)
    for service, journal in result.journals.items():
        path = journals / f"{service}.ndjson"
        _write_journal(journal, path)
        written.append(path)
    return written


def _remove_signature(directory: Path) -> None:
    """Remove the signature of an earlier run, which is not valid for this one."""
    for name in (STATEMENT, SIGNATURE):
        (directory / name).unlink(missing_ok=True)


def _signature_files(key: Ed25519PrivateKey | None, statement: bytes) -> list[tuple[str, bytes]]:
    if key is None:
        return []
    return [
        (STATEMENT, statement),
        (SIGNATURE, b64decode(sign_statement(key, statement).signature)),
    ]


def _write_journal(journal: Journal, path: Path) -> None:
    with path.open("wb") as file:
        for entry in journal.after(0):
            file.write(to_ndjson(entry) + b"\n")
