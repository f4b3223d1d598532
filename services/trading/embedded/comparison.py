"""Name where two JSON values differ: the path of each field, and what both sides say."""

from collections.abc import Iterator
from typing import Any

import msgspec

_LONGEST = 120


def differences(found: Any, computed: Any, path: str = "") -> Iterator[str]:
    """Yield one line for each field of JSON value ``found`` that is not as in ``computed``, e.g.
    ``audit.root: the file says "ab", computed "cd"``. Types differ, too: 1 is not 1.0 or true.
    """
    if isinstance(found, dict) and isinstance(computed, dict):
        for name in {**computed, **found}:
            yield from _member(found, computed, name, f"{path}.{name}" if path else name)
    elif isinstance(found, list) and isinstance(computed, list):
        if len(found) != len(computed):
            yield f"{path}: the file has {len(found)} items, computed {len(computed)}"
        for index, (one, other) in enumerate(zip(found, computed, strict=False)):
            yield from differences(one, other, f"{path}[{index}]")
    elif type(found) is not type(computed) or found != computed:
        yield f"{path}: the file says {_shown(found)}, computed {_shown(computed)}"


def _member(found: dict[str, Any], computed: dict[str, Any], name: str, path: str) -> Iterator[str]:
    if name not in found:
        yield f"{path}: not in the file, computed {_shown(computed[name])}"
    elif name not in computed:
        yield f"{path}: the file says {_shown(found[name])}, there is no such field"
    else:
        yield from differences(found[name], computed[name], path)


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
