"""Functions that change the report of a run, for tests that such changes are noticed."""

import json
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from trading.messages.audit import JournalEntry
from trading.runtime.journal import GENESIS, from_ndjson, to_ndjson
from trading.runtime.journal import verify as verify_chain


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value in JSON that is not a container, and of every empty one."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path


def other(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return ["more"]
    if isinstance(value, dict):
        return {"more": "1"}
    if value is None:
        return 1
    return "0" * len(value) if value and value != "0" * len(value) else f"{value}x"


def changed(value: Any, path: str, change: Callable[[Any], Any]) -> Any:
    """Return JSON ``value`` with that at ``path`` changed."""
    copy = json.loads(json.dumps(value))
    key, *rest = _steps(copy, path)
    container: Any = copy
    for step in rest:
        container, key = container[key], step
    container[key] = change(container[key])
    return copy


def _steps(value: Any, path: str) -> list[Any]:
    """Return the keys and indexes of ``path``.

    Keys may contain dots, like those of overrides; the longest existing key is taken.
    """
    steps: list[Any] = []
    while path:
        if path[0] == "[":
            index, _, path = path[1:].partition("]")
            steps.append(int(index))
        else:
            path = path.removeprefix(".")
            names = [n for n in value if path == n or path.startswith((f"{n}.", f"{n}["))]
            steps.append(max(names, key=len))
            path = path[len(steps[-1]) :]
        value = value[steps[-1]]
    return steps


def read(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write(path: Path, value: Any) -> None:
    """Write JSON in the same format as ``trading run`` writes verdict.json."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def bodies(path: Path) -> list[list[Any]]:
    """Return the entries of a journal: [sequence number, time, type, payload]."""
    lines = path.read_bytes().splitlines()
    return [json.loads(from_ndjson(line).body) for line in lines]


def seal(path: Path, entries: Iterable[list[Any]]) -> None:
    """Write ``entries`` as a journal with new sequence numbers and a valid hash chain."""
    head, sealed = GENESIS, []
    for seq, (_, *rest) in enumerate(entries, start=1):
        body = msgspec.json.encode([seq, *rest])
        head = sha256(head + body).digest()
        sealed.append(JournalEntry(body, head))
    verify_chain(sealed)
    path.write_bytes(b"".join(to_ndjson(entry) + b"\n" for entry in sealed))


def adjust_heads(directory: Path) -> None:
    """Write the present lengths and heads of the journals into verdict.json."""
    verdict = read(directory / "verdict.json")
    for name in verdict["audit"]["journals"]:
        path = directory / "journals" / f"{name}.ndjson"
        lines = path.read_bytes().splitlines()
        head = from_ndjson(lines[-1]).hash if lines else GENESIS
        verdict["audit"]["journals"][name] = {"events": len(lines), "head": head.hex()}
    write(directory / "verdict.json", verdict)
