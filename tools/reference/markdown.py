"""Functions that make Markdown from any text without changing what it says."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

FOLDER = Path("docs/reference")

_CODE = re.compile(r"(`+[^`]+`+)")
_SPECIAL = re.compile(r"([*_<\[\]])")


def plain(text: str) -> str:
    """Escape what Markdown would take for markup, but keep code between backticks."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(p if p.startswith("`") else _SPECIAL.sub(r"\\\1", p) for p in parts)


def code(text: object) -> str:
    """Return a span of code; nothing for nothing."""
    return f"`{text}`" if str(text) else ""


def one_of(values: Iterable[object]) -> str:
    """Return a sentence that lists the values of a field; nothing if there are none."""
    listed = ", ".join(code(value) for value in values)
    return f" One of {listed}." if listed else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = [_row(head), "|" + "---|" * len(head), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def block(text: str, language: str = "text") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.strip(chr(10))}\n```\n"
