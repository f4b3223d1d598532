"""Describes the problems of a scenario: each with its location and a hint for its correction."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

Path = tuple[str | int, ...]


class Problem(NamedTuple):
    """One problem in a scenario.

    ``line`` and ``column`` count from 1 and are 0 where they are unknown. ``path`` is the place in
    the resource, such as ``spec.faults[0].name``; empty for the file as a whole.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ScenarioError(ValueError):
    """Raised for a scenario that cannot be run; its text has one line for each problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda p: (p.line, p.path))
        super().__init__("\n".join(str(p) for p in self.problems))


class CompileError(ValueError):
    """Raised if recorded prices that the scenario names cannot be used.

    ``place`` is the path of the field in the scenario that names them.
    """

    def __init__(self, place: Path, message: str) -> None:
        super().__init__(message)
        self.place = place


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as text: ``("spec", "faults", 0)`` becomes ``spec.faults[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def suggestion(name: object, valid_names: Iterable[str]) -> str:
    """Return a hint to append to a message about an unknown name.

    The hint is ``", did you mean 'depeg'?"`` if a valid name is similar, and otherwise the list of
    valid names; it is empty if there are none, or more than 30.
    """
    names = sorted(valid_names)
    close = get_close_matches(str(name)[:100], names, n=1, cutoff=0.6)
    if close:
        return f", did you mean '{close[0]}'?"
    return f"; known are {', '.join(names)}" if 0 < len(names) <= 30 else ""
