"""Changes to a scenario from the command line: dotted paths in ``spec`` and values as YAML."""

from typing import Any

import yaml

from trading.scenario.errors import Path, dotted, suggestion
from trading.scenario.schema import fields_at


def apply_override(resource: dict[str, Any], key: str, text: str) -> Path:
    """Set one field in place and return its path. ``key``: as ``faults.crash.at`` (a fault by its
    name), ``expect.0.within``, or from the top with ``spec.`` or ``metadata.``. Raises ValueError.
    """
    parts = key.strip().split(".")
    if parts[0] not in ("spec", "metadata"):
        parts.insert(0, "spec")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{text!r} is not a YAML value") from error
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
    at[last] = value if not _wants_text(value) else text
    return (*path, last)


def _wants_text(value: Any) -> bool:
    """What YAML reads as a date was meant as it stands."""
    return not isinstance(value, str | int | float | bool | list | dict | None)


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
