"""Snapshots: the state of a process's components as bytes.

A snapshot only shortens the replay: its heads are compared with those of the journals, and one
that cannot be used is ignored in favour of a replay from the start. Snapshots are pickled, so
unpickling is restricted to the classes that make up state. They are also authenticated with a key
that is not in the database, so that write access to the database is not enough to forge one.
"""

import builtins
import hashlib
import hmac
import io
import pickle
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import msgspec

from trading.hosting.records import Head
from trading.topology import SERVICES

#: Length of the authentication code in front of a snapshot, bytes.
_CODE_BYTES = 32
_BUILTINS = frozenset({"set", "frozenset", "bytearray", "complex", "range", "slice"})
_STANDARD = frozenset(
    {
        ("collections", "deque"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("functools", "partial"),
        ("random", "Random"),
        ("decimal", "Decimal"),
    }
)
#: Packages whose functions a snapshot may contain: components do no I/O.
_COMPONENTS = (
    *(f"trading.{name.replace('-', '_')}" for name in SERVICES),
    "trading.runtime.faults",
    "trading.runtime.network",
)
#: Packages whose objects are state: components, their parts, and the projections of APIs.
_STATE = (
    *_COMPONENTS,
    "trading.api.exchange.history",
    "trading.api.market_data.ticks",
    "trading.api.risk_monitor.view",
    "trading.api.test_coordinator.timeline",
    "trading.hosting.streams",
    "trading.messages",
    "trading.runtime.agenda",
    "trading.runtime.curve",
    "trading.scenario.observation",
    "trading.scenario.plan",
    "trading.scenario.settlement",
    "trading.universe",
)


class SnapshotUnusable(ValueError):
    """The snapshot is damaged, was made by another version, or has a wrong authentication code."""


@cache
def _made_by() -> str:
    """Return the version of this package and a hash of the code whose objects are state.

    A pickle holds the attributes of objects by their names. With other code of the same version it
    may load, and fail later.
    """
    digest = hashlib.sha256()
    for name in _STATE:
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None  # noqa: S101
        path = Path(spec.origin)
        for file in sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]:
            digest.update(file.read_bytes())
    return f"{version('trading-ecosystem')} {digest.hexdigest()}"


def dump(state: dict[str, Any]) -> bytes:
    """Return ``state`` as bytes, together with the version of the code that made it."""
    return pickle.dumps({"version": _made_by(), "state": state}, protocol=5)


def load(blob: bytes) -> dict[str, Any]:
    """Return the state that :func:`dump` was given.

    Only classes that make up state are instantiated. Raises SnapshotUnusable.
    """
    try:
        content = _Unpickler(io.BytesIO(blob)).load()
    except Exception as error:
        raise SnapshotUnusable(f"{type(error).__name__}: {error}") from error
    if not isinstance(content, dict) or content.get("version") != _made_by():
        raise SnapshotUnusable("made by another version")
    state: dict[str, Any] = content["state"]
    return state


def authenticate(blob: bytes, key: bytes, session: int, heads: Mapping[str, Head]) -> bytes:
    """Return ``blob`` behind a code that proves that it belongs to ``session`` and ``heads``."""
    return _code(blob, key, session, heads) + blob


def verified(authenticated: bytes, key: bytes, session: int, heads: Mapping[str, Head]) -> bytes:
    """Return the snapshot that :func:`authenticate` was given.

    Raises SnapshotUnusable where it was made with another key, session or heads.
    """
    code, blob = authenticated[:_CODE_BYTES], authenticated[_CODE_BYTES:]
    if not hmac.compare_digest(code, _code(blob, key, session, heads)):
        raise SnapshotUnusable("made with another SNAPSHOT_KEY, or changed")
    return blob


def _code(blob: bytes, key: bytes, session: int, heads: Mapping[str, Head]) -> bytes:
    encoded_heads = {name: [head.length, head.hash.hex()] for name, head in heads.items()}
    context = msgspec.json.encode([session, encoded_heads], order="deterministic")
    code = hmac.new(key, len(context).to_bytes(8, "big") + context, hashlib.sha256)
    code.update(blob)
    return code.digest()


def _method(owner: Any, name: str) -> Any:
    """Return the method ``name`` of ``owner``, as pickle does; refuse all other attributes."""
    attribute = None if name.startswith("__") else getattr(owner, name)
    if (
        not isinstance(attribute, MethodType)
        or attribute.__self__ is not owner
        or isinstance(owner, type)
    ):
        raise pickle.UnpicklingError(f"{name} is no method of a part of a snapshot")
    return attribute


def _struct(kind: Any, values: dict[str, Any]) -> Any:
    """Build a struct from its fields, as msgspec does; refuse all other classes."""
    if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
        raise pickle.UnpicklingError(f"{kind} is no struct")
    return kind(**values)


class _Unpickler(pickle.Unpickler):
    """Accepts classes of state, functions of components, and plain containers.

    They are only accepted under the module that defines them, not where they are imported.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _REBUILT:
            return _REBUILT[module, name]
        plain = module == "builtins" and name in _BUILTINS and hasattr(builtins, name)
        if plain or (module, name) in _STANDARD:
            return super().find_class(module, name)
        if "." not in name and _is_in(module, _STATE):
            value = super().find_class(module, name)
            kind = (type, FunctionType) if _is_in(module, _COMPONENTS) else type
            if isinstance(value, kind) and value.__module__ == module:
                return value
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a snapshot")


def _is_in(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


#: What a pickle may name that is no class of state: how methods and structs are rebuilt, and the
#: mark of a field that has no value.
_REBUILT = {
    ("builtins", "getattr"): _method,
    ("msgspec._utils", "rebuild"): _struct,
    ("msgspec._core", "UNSET"): msgspec.UNSET,
}
