"""Write a run to a directory: verdict, journals, and the reports that people and CI read."""

from pathlib import Path

from trading.embedded.run import RunResult
from trading.report.html import render_html
from trading.report.junit import render_junit
from trading.report.svg_summary import render_svg
from trading.report.verdict_json import render_json
from trading.runtime.journal import Journal, to_ndjson


def write_report(result: RunResult, directory: Path) -> list[Path]:
    """verdict.json, junit.xml, report.html, summary.svg and journals/<service>.ndjson; returns
    the files. Creates the directory; OSError where that is impossible.
    """
    journals = directory / "journals"
    journals.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in (
        ("verdict.json", render_json(result.verdict)),
        ("junit.xml", render_junit(result.verdict)),
        ("report.html", render_html(result.verdict, result.record)),
        ("summary.svg", render_svg(result.verdict, result.record)),
    ):
        path = directory / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    for service, journal in result.journals.items():
        path = journals / f"{service}.ndjson"
        _write_journal(journal, path)
        written.append(path)
    return written


def _write_journal(journal: Journal, path: Path) -> None:
    with path.open("wb") as file:
        for entry in journal.after(0):
            file.write(to_ndjson(entry) + b"\n")
