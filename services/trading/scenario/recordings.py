"""Which recorded files a scenario may open: that depends on who has named them."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple


class FilesOf(Enum):
    """Whose files may be opened. ANYBODY: those of the text and of overrides, for whoever has a
    shell here. TEXT: those that the text itself names, for shipped scenarios with overrides from
    the network. NOBODY: none, for a text from the network.
    """

    ANYBODY = "anybody"
    TEXT = "text"
    NOBODY = "nobody"


class Recordings(NamedTuple):
    """``directory``: what their names are relative to; ``named``: those that may be opened, None:
    all.
    """

    directory: Path
    named: frozenset[str] | None

    def allow(self, name: str) -> bool:
        """Return whether the file of that name may be opened."""
        return self.named is None or name in self.named


def recordings(whose: FilesOf, directory: Path, resource: Mapping[str, Any]) -> Recordings:
    """Return what may be opened; ``resource``: the scenario as its text has it, unchanged."""
    if whose is FilesOf.ANYBODY:
        return Recordings(directory, None)
    named = frozenset(_named(resource)) if whose is FilesOf.TEXT else frozenset[str]()
    return Recordings(directory, named)


def _named(part: Any) -> Iterator[str]:
    """Every text under a key ``file``, wherever: the model allows it for recordings alone."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "file" and isinstance(value, str):
                yield value
            yield from _named(value)
    elif isinstance(part, list):
        for value in part:
            yield from _named(value)
