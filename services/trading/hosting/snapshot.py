"""Snapshots: the whole state of a process's components as bytes, and back.

A snapshot only shortens the replay: whoever reads it compares its heads with the journals', and
one that cannot be used is left aside for a replay from the start. Nobody who can only write to the
database can make one: it is authenticated by a key that is kept elsewhere.
"""

import builtins
import hashlib
import hmac
import io
import pickle
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from types import FunctionType, MethodType
from typing import Any

import msgspec

from trading.hosting.records import Head
from trading.topology import SERVICES

#: Bytes of the code in front of an authenticated snapshot.
_CODE = 32
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
#: Components do no I/O, whichever of their functions is called.
_COMPONENTS = (
    *(f"trading.{name.replace('-', '_')}" for name in SERVICES),
    "trading.runtime.faults",
    "trading.runtime.network",
)
#: Whose objects are state: components, what they are made of, and what APIs keep of messages.
_STATE = (
    *_COMPONENTS,
    "trading.api.exchange.history",
    "trading.api.market_data.ticks",
    "trading.api.risk_monitor.view",
    "trading.api.test_coordinator.timeline",
    "trading.hosting.streams",
    "trading.messages",
    "trading.runtime.agenda",
    "trading.scenario.observation",
    "trading.scenario.plan",
    "trading.scenario.settlement",
    "trading.universe",
)


class SnapshotUnusable(ValueError):
    """Made by another version, or damaged."""


def dump(state: dict[str, Any]) -> bytes:
    return pickle.dumps({"version": version("trading-ecosystem"), "state": state}, protocol=5)


def load(blob: bytes) -> dict[str, Any]:
    """The reverse of :func:`dump`; makes nothing but what state consists of. Raises
    SnapshotUnusable.
    """
    try:
        found = _Unpickler(io.BytesIO(blob)).load()
    except Exception as error:
        raise SnapshotUnusable(f"{type(error).__name__}: {error}") from error
    if not isinstance(found, dict) or found.get("version") != version("trading-ecosystem"):
        raise SnapshotUnusable("made by another version")
    state: dict[str, Any] = found["state"]
    return state


def authenticate(blob: bytes, key: bytes, session: int, heads: Mapping[str, Head]) -> bytes:
    """Put in front of a snapshot what proves that it belongs to the ``session`` and ``heads``."""
    return _code(blob, key, session, heads) + blob


def verified(authenticated: bytes, key: bytes, session: int, heads: Mapping[str, Head]) -> bytes:
    """Return the snapshot that :func:`authenticate` was given. Raises SnapshotUnusable where
    another key, session or heads made it.
    """
    code, blob = authenticated[:_CODE], authenticated[_CODE:]
    if not hmac.compare_digest(code, _code(blob, key, session, heads)):
        raise SnapshotUnusable("made with another SNAPSHOT_KEY, or changed")
    return blob


def _code(blob: bytes, key: bytes, session: int, heads: Mapping[str, Head]) -> bytes:
    of = {name: [head.length, head.hash.hex()] for name, head in heads.items()}
    context = msgspec.json.encode([session, of], order="deterministic")
    code = hmac.new(key, len(context).to_bytes(8, "big") + context, hashlib.sha256)
    code.update(blob)
    return code.digest()


def _method(owner: Any, name: str) -> Any:
    """What pickle rebuilds bound methods with: nothing else can be dug out of an object."""
    found = None if name.startswith("__") else getattr(owner, name)
    if not isinstance(found, MethodType) or found.__self__ is not owner or isinstance(owner, type):
        raise pickle.UnpicklingError(f"{name} is no method of a part of a snapshot")
    return found


def _struct(kind: Any, values: dict[str, Any]) -> Any:
    """What msgspec rebuilds structs with."""
    if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
        raise pickle.UnpicklingError(f"{kind} is no struct")
    return kind(**values)


class _Unpickler(pickle.Unpickler):
    """Knows classes of state, functions of components, and plain containers by their names; what
    a module has merely imported is not its own.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _REBUILT:
            return _REBUILT[module, name]
        plain = module == "builtins" and name in _BUILTINS and hasattr(builtins, name)
        if plain or (module, name) in _STANDARD:
            return super().find_class(module, name)
        if "." not in name and _is_in(module, _STATE):
            found = super().find_class(module, name)
            kind = (type, FunctionType) if _is_in(module, _COMPONENTS) else type
            if isinstance(found, kind) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a snapshot")


def _is_in(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


_REBUILT = {("builtins", "getattr"): _method, ("msgspec._utils", "rebuild"): _struct}
