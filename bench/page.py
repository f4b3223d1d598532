"""Write the table of figures in docs/benchmarks.md from the file that `make bench` writes."""

import json
from pathlib import Path

from bench.measure import Figure

BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->"
_HEAD = "| figure | measured | aim | |\n|---|---|---|---|\n"


def read(results: Path) -> dict[str, list[Figure]]:
    """Return the figures by benchmark; an empty dictionary if the file does not exist."""
    if not results.exists():
        return {}
    written = json.loads(results.read_text(encoding="utf-8"))
    return {name: [Figure(**row) for row in rows] for name, rows in written.items()}


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table, one row for each."""
    met = {None: "", True: "met", False: "**missed**"}
    rows = (f"| {f.name} | {f.text} | {f.aim} | {met[f.met]} |\n" for f in figures)
    return _HEAD + "".join(rows)


def replaced(text: str, figures: list[Figure]) -> str:
    """Return `text` with a new table between the markers. Text below the markers, and text between
    them that is no table, stays. Raises ValueError if a marker is missing.
    """
    before, begun, rest = text.partition(BEGIN)
    between, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"no {BEGIN.strip()} ... {END}")
    prose = "".join(row for row in between.splitlines(True) if not row.startswith("|"))
    return before + BEGIN + table(figures) + prose + END + after
