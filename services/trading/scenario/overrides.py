"""Applies overrides to a scenario: dotted paths in ``spec`` with values in YAML, as in ``--set``.

A resource that was changed lists its overrides in ``spec.overrides``. Otherwise a reader of the
resource could not tell that it differs from the scenario file of the same name.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import yaml

from trading.scenario.document import MAX_DEPTH, Document
from trading.scenario.errors import Path, dotted, suggestion
from trading.scenario.model import MAX_KEY, MAX_OVERRIDES, MAX_VALUE
from trading.scenario.quantities import quoted
from trading.scenario.schema import fields_at

#: The path of the list of overrides in a resource.
RECORD: Path = ("spec", "overrides")


def canonical(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return overrides by their path in ``spec``, so that each field has only one spelling."""
    return {key.strip().removeprefix("spec."): value for key, value in overrides.items()}


def record_entries(overrides: Mapping[str, str]) -> list[str]:
    """Return the entries of ``spec.overrides``.

    They form a list because their order matters: a later override may depend on an earlier one, and
    Kubernetes sorts the keys of a mapping.
    """
    return [f"{key}={value}" for key, value in overrides.items()]


def overrides_in(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the overrides that a resource lists in ``spec.overrides``.

    Entries that are not text are skipped here, since the model rejects them.
    """
    pairs = [text.partition("=") for text in _recorded_entries(resource).values()]
    return canonical({key: value for key, _, value in pairs})


def false_records(resource: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield the entries of ``spec.overrides`` that the resource contradicts: (path, message).

    An entry is false if applying it would change the resource.
    """
    entries = _recorded_entries(resource)
    if not entries:
        return
    spec = {key: value for key, value in resource["spec"].items() if key != RECORD[-1]}
    actual = {**resource, "spec": spec}
    with_overrides = deepcopy(actual)
    mismatches = []
    for index, text in entries.items():
        place = (*RECORD, index)
        key, equals, value = text.partition("=")
        if not equals:
            yield place, f"expected KEY=VALUE, got {quoted(text)}"
        elif not _has_no_effect(key):
            try:
                path = apply_override(with_overrides, key, value)
            except ValueError as error:
                yield place, str(error)
            else:
                if _value_at(actual, path) != _value_at(with_overrides, path):
                    mismatches.append(
                        (place, f"spec has something else there than {quoted(value)}")
                    )
    # A later override may have changed the field again, so only a difference in the end counts.
    if _without_nulls(with_overrides) != _without_nulls(actual):
        yield from mismatches


def _recorded_entries(resource: Mapping[str, Any]) -> dict[int, str]:
    """Return the texts in ``spec.overrides`` by their index, at most MOST_OVERRIDES."""
    spec = resource.get("spec")
    entries = spec.get(RECORD[-1]) if isinstance(spec, dict) else None
    if not isinstance(entries, list):
        return {}
    return {
        index: entry
        for index, entry in enumerate(entries[:MAX_OVERRIDES])
        if isinstance(entry, str)
    }


def _value_at(value: Any, path: Path) -> Any:
    """Return the value at ``path`` without nulls, or None if there is no value."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return _without_nulls(value)


def _has_no_effect(key: str) -> bool:
    """Return whether ``key`` names a field that does not change a run.

    The operator does not pass these fields to the test coordinator.
    """
    (path,) = canonical({key: ""})
    return path == "abort" or (path.startswith("metadata.") and path != "metadata.name")


def _without_nulls(value: Any) -> Any:
    """Return ``value`` without nulls, as Kubernetes stores it."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def apply_override(resource: dict[str, Any], key: str, text: str) -> Path:
    """Set one field of ``resource`` in place and return its path.

    ``key`` is a dotted path in ``spec``, such as ``expect.0.within`` or ``faults.crash.at``, where
    ``crash`` is the name of a fault; or a full path that begins with ``spec.`` or ``metadata.``.
    ``text`` is the value in YAML. Raises ValueError for a field that does not exist and for text
    that is no value.
    """
    if len(key) > MAX_KEY or key.count(".") > MAX_DEPTH:
        raise ValueError(f"expected a key of at most {MAX_KEY} characters, {MAX_DEPTH} levels deep")
    parts = key.strip().split(".")
    if parts[0] not in ("spec", "metadata"):
        parts.insert(0, "spec")
    if parts[:2] == list(RECORD):
        raise ValueError("overrides say what was changed, and change nothing")
    value = _parse_value(text)
    path: Path = ()
    parent: Any = resource
    for part in parts[:-1]:
        path, parent = _descend(parent, path, part)
    field = parts[-1]
    if isinstance(parent, list):
        index = _item_index(parent, path, field)
        parent[index] = value
        return (*path, index)
    if not isinstance(parent, dict):
        raise ValueError(f"{dotted(path)} has no fields")
    valid_names = fields_at(path)
    if valid_names and field not in valid_names:
        raise ValueError(
            f"unknown field '{field}' in {dotted(path)}{suggestion(field, valid_names)}"
        )
    parent[field] = value
    return (*path, field)


def _parse_value(text: str) -> Any:
    """Parse a value from YAML. Raises ValueError."""
    if len(text) > MAX_VALUE:
        raise ValueError(f"expected a value of at most {MAX_VALUE} characters, got {len(text)}")
    try:
        document = Document(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{quoted(text)} is not a YAML value") from error
    for _, _, _, message in document.errors:
        raise ValueError(message)
    return document.data


def _descend(parent: Any, path: Path, part: str) -> tuple[Path, Any]:
    if isinstance(parent, list):
        index = _item_index(parent, path, part)
        return (*path, index), parent[index]
    valid_names = fields_at(path)
    if isinstance(parent, dict):
        if part not in parent and (part in valid_names or (not valid_names and path)):
            parent[part] = {}
        if part in parent:
            return (*path, part), parent[part]
    raise ValueError(
        f"unknown field '{part}' in {dotted(path) or 'the file'}{suggestion(part, valid_names)}"
    )


def _item_index(items: list[Any], path: Path, part: str) -> int:
    """Return the index of the item that ``part`` names: by its number, or by its ``name``."""
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
