"""The table of figures in docs/benchmarks.md, from what ``make bench`` has written."""

import json
from pathlib import Path

from bench.measure import Figure

BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->"
_HEAD = "| figure | measured | aim | |\n|---|---|---|---|\n"


def read(results: Path) -> dict[str, list[Figure]]:
    """The figures by benchmark; none where nothing has been written yet."""
    if not results.exists():
        return {}
    written = json.loads(results.read_text(encoding="utf-8"))
    return {name: [Figure(**row) for row in rows] for name, rows in written.items()}


def table(figures: list[Figure]) -> str:
    """As Markdown; one line for each figure."""
    met = {None: "", True: "met", False: "**missed**"}
    rows = (f"| {f.name} | {f.text} | {f.aim} | {met[f.met]} |\n" for f in figures)
    return _HEAD + "".join(rows)


def replaced(text: str, figures: list[Figure]) -> str:
    """``text`` with the table between the marks made anew; what stands below it, or between the
    marks without being a table, stays. ValueError where the marks are missing.
    """
    before, begun, rest = text.partition(BEGIN)
    between, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"no {BEGIN.strip()} ... {END}")
    prose = "".join(row for row in between.splitlines(True) if not row.startswith("|"))
    return before + BEGIN + table(figures) + prose + END + after
