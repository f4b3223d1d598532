"""Decides which recorded prices a scenario may read.

A scenario has such prices in its text, or names a file, or an uploaded recording. One that came
over the network must not read files of the server, so the decision depends on where the name comes
from. No other module opens a file for a scenario.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from trading.scenario.faults import Recording
from trading.scenario.series import SeriesError, read_text

#: The most points of all recorded prices in a scenario that came over the network. Its plan goes
#: to every service, and is kept with the run: 50,000 points are about 1.5 MB of it.
MAX_POINTS = 50_000
#: The same for the path of one fault, which goes to the service that plays it in one message of at
#: most 1 MiB.
MAX_PATH_POINTS = 15_000


class FileAccess(Enum):
    """Who may name the files that a scenario opens.

    ANYBODY: the text and the overrides, for users who have a shell on this machine. TEXT: the text
    only, for shipped scenarios with overrides from the network. NOBODY: no file can be opened, for
    a text from the network.
    """

    ANYBODY = "anybody"
    TEXT = "text"
    NOBODY = "nobody"


class Uploads(NamedTuple):
    """The recordings that clients have uploaded to the test coordinator.

    ``text_of`` returns the text of the recording with a name, None if there is none. ``files`` maps
    the names of files in a scenario to the recordings that its sender has uploaded in their place.
    """

    text_of: Callable[[str], str | None]
    files: Mapping[str, str] = {}


class RecordedText(NamedTuple):
    """Recorded prices as text, and how messages name them and a line in them.

    ``is_file`` says that ``source`` is the name of a file.
    """

    source: str
    text: str
    is_file: bool = False

    def place(self, line: int) -> str:
        """Return the name of a line, which counts from 1; 0 stands for the whole."""
        if not line:
            return self.source
        return f"{self.source}:{line}" if self.is_file else f"line {line} of {self.source}"


class NotReadable(ValueError):
    """Raised for recorded prices that a scenario may not read, or that cannot be read.

    ``field`` is the field of the Recording that is wrong.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Recordings(NamedTuple):
    """The recorded prices that a scenario may read.

    Names of files are relative to ``directory``. ``named`` holds the names that are allowed; None
    allows all. ``uploads`` is None where no test coordinator keeps any. ``max_points`` limits all
    of them together, and ``max_path_points`` the path of one fault; None is no limit.
    """

    directory: Path
    named: frozenset[str] | None
    uploads: Uploads | None = None
    max_points: int | None = None
    max_path_points: int | None = None

    def read(self, recording: Recording) -> RecordedText:
        """Return the text of a recording that passed all checks. Raises NotReadable."""
        if recording.data is not None:
            return RecordedText("data", recording.data)
        if recording.recording is not None:
            return self._uploaded(recording.recording)
        return self._file(recording.file or "")

    def _file(self, name: str) -> RecordedText:
        if self.uploads is not None and name in self.uploads.files:
            text = self._uploaded(self.uploads.files[name]).text
            return RecordedText(name, text, is_file=True)
        if self.named is not None and name not in self.named:
            raise NotReadable(
                "file",
                "a scenario that came over the network cannot read files; send the file along with"
                " trading scenario run FILE, or write its content under data:, or upload it and"
                " write recording:",
            )
        path = self.directory / name
        try:
            return RecordedText(str(path), read_text(path), is_file=True)
        except SeriesError as error:
            raise NotReadable("file", f"{path}: {error}") from error

    def _uploaded(self, name: str) -> RecordedText:
        if self.uploads is None:
            raise NotReadable(
                "recording",
                f"recording '{name}' is kept by a test coordinator, which is not asked here; name"
                " the file instead, or run the scenario there: with trading scenario run FILE, or"
                " kubectl apply",
            )
        text = self.uploads.text_of(name)
        if text is None:
            raise NotReadable(
                "recording",
                f"no recording '{name}' was uploaded; GET /recordings lists them, and"
                f" PUT /recordings/{name} uploads one",
            )
        return RecordedText(f"recording {name}", text)


def recordings(
    access: FileAccess,
    directory: Path,
    resource: Mapping[str, Any],
    uploads: Uploads | None = None,
) -> Recordings:
    """Return the recorded prices that a scenario may read.

    ``resource`` is the scenario before overrides, so that TEXT allows only what the text names.
    """
    if access is FileAccess.ANYBODY:
        return Recordings(directory, None, uploads)
    named = frozenset(file_names(resource)) if access is FileAccess.TEXT else frozenset[str]()
    return Recordings(directory, named, uploads, MAX_POINTS, MAX_PATH_POINTS)


def file_names(part: Any) -> Iterator[str]:
    """Yield every text under a key ``file`` at any level.

    The model allows fields of this name for recordings only.
    """
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "file" and isinstance(value, str):
                yield value
            yield from file_names(value)
    elif isinstance(part, list):
        for value in part:
            yield from file_names(value)
