"""List the differences between two JSON values: the path of each field, and both values."""

from collections.abc import Iterator
from typing import Any

import msgspec

#: Longer values are truncated to this many characters.
_MAX_LENGTH = 120


def differences(written: Any, computed: Any, path: str = "") -> Iterator[str]:
    """Yield one line for each field of the JSON value ``written`` that differs from ``computed``,
    e.g. ``audit.root: the file says "ab", computed "cd"``. Different types are a difference, too: 1
    is neither 1.0 nor true.
    """
    if isinstance(written, dict) and isinstance(computed, dict):
        for name in {**computed, **written}:
            yield from _field_differences(
                written, computed, name, f"{path}.{name}" if path else name
            )
    elif isinstance(written, list) and isinstance(computed, list):
        if len(written) != len(computed):
            yield f"{path}: the file has {len(written)} items, computed {len(computed)}"
        for index, (item, expected) in enumerate(zip(written, computed, strict=False)):
            yield from differences(item, expected, f"{path}[{index}]")
    elif type(written) is not type(computed) or written != computed:
        yield f"{path}: the file says {_abbreviated(written)}, computed {_abbreviated(computed)}"


def _field_differences(
    written: dict[str, Any], computed: dict[str, Any], name: str, path: str
) -> Iterator[str]:
    if name not in written:
        yield f"{path}: not in the file, computed {_abbreviated(computed[name])}"
    elif name not in computed:
        yield f"{path}: the file says {_abbreviated(written[name])}, there is no such field"
    else:
        yield from differences(written[name], computed[name], path)


def _abbreviated(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."
