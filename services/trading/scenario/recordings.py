"""Decides which files with recorded prices a scenario may open.

A scenario names such files. One that came over the network must not read arbitrary files of the
server, so the decision depends on where the name comes from.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple


class FileAccess(Enum):
    """Who may name the files that a scenario opens.

    ANYBODY: the text and the overrides, for users who have a shell on this machine. TEXT: the text
    only, for shipped scenarios with overrides from the network. NOBODY: no file can be opened, for
    a text from the network.
    """

    ANYBODY = "anybody"
    TEXT = "text"
    NOBODY = "nobody"


class Recordings(NamedTuple):
    """The files that a scenario may open.

    Their names are relative to ``directory``. ``named`` holds the names that are allowed; None
    allows all.
    """

    directory: Path
    named: frozenset[str] | None

    def allow(self, name: str) -> bool:
        """Return whether the file of that name may be opened."""
        return self.named is None or name in self.named


def recordings(access: FileAccess, directory: Path, resource: Mapping[str, Any]) -> Recordings:
    """Return the files that a scenario may open.

    ``resource`` is the scenario before overrides, so that TEXT allows only what the text names.
    """
    if access is FileAccess.ANYBODY:
        return Recordings(directory, None)
    named = frozenset(_file_names(resource)) if access is FileAccess.TEXT else frozenset[str]()
    return Recordings(directory, named)


def _file_names(part: Any) -> Iterator[str]:
    """Yield every text under a key ``file`` at any level.

    The model allows fields of this name for recordings only.
    """
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "file" and isinstance(value, str):
                yield value
            yield from _file_names(value)
    elif isinstance(part, list):
        for value in part:
            yield from _file_names(value)
