"""What is wrong with a scenario file: all of it, with place and hint."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

Path = tuple[str | int, ...]


class Problem(NamedTuple):
    """``line`` and ``column`` from 1, 0 where unknown. ``path``: e.g. ``spec.faults[0].name``."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ScenarioError(ValueError):
    """A scenario that cannot be run. ``str()`` gives one line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.line, p.path))
        super().__init__("\n".join(str(p) for p in self.problems))


def dotted(path: Sequence[str | int]) -> str:
    """``("spec", "faults", 0)`` -> ``spec.faults[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def suggestion(name: object, known: Iterable[str]) -> str:
    """``", did you mean 'depeg'?"``, or the known names where none is near."""
    names = sorted(known)
    close = get_close_matches(str(name)[:100], names, n=1, cutoff=0.6)
    if close:
        return f", did you mean '{close[0]}'?"
    return f"; known are {', '.join(names)}" if 0 < len(names) <= 30 else ""
