"""Sends along the files with recorded prices that a scenario file names.

The test coordinator opens no file for a scenario that came over the network. Such files are
uploaded before a run begins and deleted when it has begun, because the plan of a run has all
prices. A resource for Kubernetes gets their content.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from trading.cli.coordinator import Coordinator
from trading.cli.output import say
from trading.cli.wrong_input import WrongInput


@contextmanager
def uploaded_files(
    coordinator: Coordinator, path: Path, text: str, overrides: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Upload the files that the scenario ``text`` with ``overrides`` names, until the context ends.

    The names are relative to ``path``, the scenario file. Yields the name of the recording of each
    file. Raises WrongInput for a file that cannot be read, or that the coordinator refuses.
    """
    recordings: dict[str, str] = {}
    try:
        for name in _named_files(text, overrides):
            content = _content(path, name)
            recording = _recording_name(name)
            coordinator.put(f"/recordings/{recording}", content)
            recordings[name] = recording
        yield recordings
    finally:
        for recording in recordings.values():
            try:
                coordinator.delete(f"/recordings/{recording}")
            except WrongInput as error:
                # The run has begun nevertheless, or could not begin for a reason that matters more.
                say(f"recording {recording} is still stored: {error}", err=True)


def with_content(resource: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return a resource in which ``data`` has the content of the files that it names.

    The names are relative to ``path``, the scenario file. Raises WrongInput for a file that cannot
    be read, that is too large, or that an override names.
    """
    from trading.scenario.faults import MAX_DATA
    from trading.scenario.overrides import false_records

    changed = deepcopy(dict(resource))
    for recording in _recordings_in(changed):
        name = recording.pop("file")
        text = _content(path, name).decode("utf-8-sig", "replace")
        if len(text) > MAX_DATA:
            raise WrongInput(
                f"{path.parent / name}: more than {MAX_DATA} characters do not fit into a resource;"
                " upload it with PUT /recordings/NAME, write recording: NAME, and apply the"
                " scenario with kubectl"
            )
        recording["data"] = text
    for _, message in false_records(changed):
        raise WrongInput(f"{path}: {message}; name the file in the scenario, not with --set")
    return changed


def _named_files(text: str, overrides: Mapping[str, str]) -> list[str]:
    """Return the names of files in a scenario.

    There are none if it is wrong: the coordinator reports every mistake.
    """
    import yaml

    from trading.scenario.document import Document
    from trading.scenario.overrides import apply_override

    try:
        document = Document(text)
        for key, value in overrides.items():
            apply_override(document.data, key, value)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError):
        return []
    return list(dict.fromkeys(recording["file"] for recording in _recordings_in(document.data)))


def _recordings_in(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping with a text under the key ``file``, which only recordings have."""
    if isinstance(part, dict):
        if isinstance(part.get("file"), str):
            yield part
        for value in part.values():
            yield from _recordings_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from _recordings_in(value)


def _content(path: Path, name: str) -> bytes:
    file = path.parent / name
    try:
        return file.read_bytes()
    except OSError as error:
        raise WrongInput(f"{path}: {file}: {error.strerror}") from error


def _recording_name(name: str) -> str:
    """Return a name for an upload that no other upload has."""
    stem = re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-")[:40].strip("-")
    return f"{stem or 'recording'}-{secrets.token_hex(4)}"
