"""Changes to a scenario from the command line: dotted paths in ``spec`` and values as YAML.

A resource that was changed says so in ``spec.overrides``, since whoever gets it sees only what it
has become.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import yaml

from trading.scenario.document import MAX_DEPTH, Document
from trading.scenario.errors import Path, dotted, suggestion
from trading.scenario.model import MAX_KEY, MAX_VALUE, MOST_OVERRIDES
from trading.scenario.quantities import shown
from trading.scenario.schema import fields_at

#: Where a resource has them.
RECORD: Path = ("spec", "overrides")


def canonical(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return overrides by their path in ``spec``, so that one has one name."""
    return {key.strip().removeprefix("spec."): value for key, value in overrides.items()}


def as_record(overrides: Mapping[str, str]) -> list[str]:
    """Return what ``spec.overrides`` has. In a list they stay in their order, on which a later one
    may depend; Kubernetes sorts the keys of a mapping.
    """
    return [f"{key}={value}" for key, value in overrides.items()]


def recorded(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the overrides that a resource was made with. What is no text is the model's to
    refuse.
    """
    pairs = [text.partition("=") for text in _record(resource).values()]
    return canonical({key: value for key, _, value in pairs})


def untrue(resource: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Where a resource says that it was changed to what it is not, and why."""
    record = _record(resource)
    if not record:
        return
    spec = {key: value for key, value in resource["spec"].items() if key != RECORD[-1]}
    found = {**resource, "spec": spec}
    changed = deepcopy(found)
    wrong = []
    for index, text in record.items():
        place = (*RECORD, index)
        key, equals, value = text.partition("=")
        if not equals:
            yield place, f"expected KEY=VALUE, got {shown(text)}"
        elif not _is_elsewhere(key):
            try:
                path = apply_override(changed, key, value)
            except ValueError as error:
                yield place, str(error)
            else:
                if _at(found, path) != _at(changed, path):
                    wrong.append((place, f"spec has something else there than {shown(value)}"))
    # What one has set a later one may have changed.
    if _without_nulls(changed) != _without_nulls(found):
        yield from wrong


def _record(resource: Mapping[str, Any]) -> dict[int, str]:
    """The texts in ``spec.overrides`` by their index, as many as the model allows."""
    spec = resource.get("spec")
    found = spec.get(RECORD[-1]) if isinstance(spec, dict) else None
    if not isinstance(found, list):
        return {}
    return {i: one for i, one in enumerate(found[:MOST_OVERRIDES]) if isinstance(one, str)}


def _at(value: Any, path: Path) -> Any:
    """What is there, without nulls; None where nothing is."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return _without_nulls(value)


def _is_elsewhere(key: str) -> bool:
    """Is it of what no run goes by, and the operator keeps from the test coordinator?"""
    (path,) = canonical({key: ""})
    return path == "abort" or (path.startswith("metadata.") and path != "metadata.name")


def _without_nulls(value: Any) -> Any:
    """Leave out nulls: Kubernetes does."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def apply_override(resource: dict[str, Any], key: str, text: str) -> Path:
    """Set one field in place and return its path. ``key``: as ``faults.crash.at`` (a fault by its
    name), ``expect.0.within``, or from the top with ``spec.`` or ``metadata.``. Raises ValueError.
    """
    if len(key) > MAX_KEY or key.count(".") > MAX_DEPTH:
        raise ValueError(f"expected a key of at most {MAX_KEY} characters, {MAX_DEPTH} levels deep")
    parts = key.strip().split(".")
    if parts[0] not in ("spec", "metadata"):
        parts.insert(0, "spec")
    if parts[:2] == list(RECORD):
        raise ValueError("overrides say what was changed, and change nothing")
    value = _value(text)
    path: Path = ()
    at: Any = resource
    for part in parts[:-1]:
        path, at = _step(at, path, part)
    last = parts[-1]
    if isinstance(at, list):
        index = _index(at, path, last)
        at[index] = value
        return (*path, index)
    if not isinstance(at, dict):
        raise ValueError(f"{dotted(path)} has no fields")
    known = fields_at(path)
    if known and last not in known:
        raise ValueError(f"unknown field '{last}' in {dotted(path)}{suggestion(last, known)}")
    at[last] = value
    return (*path, last)


def _value(text: str) -> Any:
    """What a text means as YAML. Raises ValueError."""
    if len(text) > MAX_VALUE:
        raise ValueError(f"expected a value of at most {MAX_VALUE} characters, got {len(text)}")
    try:
        document = Document(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{shown(text)} is not a YAML value") from error
    for _, _, _, message in document.complaints:
        raise ValueError(message)
    return document.data


def _step(at: Any, path: Path, part: str) -> tuple[Path, Any]:
    if isinstance(at, list):
        index = _index(at, path, part)
        return (*path, index), at[index]
    known = fields_at(path)
    if isinstance(at, dict):
        if part not in at and (part in known or (not known and path)):
            at[part] = {}
        if part in at:
            return (*path, part), at[part]
    raise ValueError(
        f"unknown field '{part}' in {dotted(path) or 'the file'}{suggestion(part, known)}"
    )


def _index(items: list[Any], path: Path, part: str) -> int:
    """By number, or by the ``name`` of the item."""
    if part.isdecimal() and int(part) < len(items):
        return int(part)
    by_name = {
        str(item["name"]): i
        for i, item in enumerate(items)
        if isinstance(item, dict) and "name" in item
    }
    if part in by_name:
        return by_name[part]
    hint = suggestion(part, by_name) if by_name else ""
    raise ValueError(f"{dotted(path)} has {len(items)} items and none is '{part}'{hint}")
