"""Memory does not grow with time: the objects that components and projections keep are bounded.

The bounds, which a market takes days to reach, are made small; whatever is not bounded grows.
"""

from collections import Counter, deque
from random import Random
from typing import Any

import msgspec
import pytest

from trading.api.exchange import history
from trading.api.market_data import ticks
from trading.api.risk_monitor import view
from trading.audit_correlator import correlation, ledger, published, trades
from trading.hosting.live_session import LiveSession
from trading.hosting.settings import Settings
from trading.hosting.store import MemoryStore
from trading.risk_monitor import positions
from trading.server.service_specs import SERVICE_SPECS, build_components, idle_session
from trading.topology import AUDIT_CORRELATOR
from trading.units import MINUTE, SECOND

BOUNDS: tuple[tuple[Any, dict[str, int]], ...] = (
    (history, {"MAX_ORDERS": 50, "MAX_FILLS": 20, "MAX_TRADES": 20, "MAX_KLINES": 3}),
    (ticks, {"KEPT": 60, "KEPT_OF_ALL": 360}),
    (view, {"MAX_ALERTS": 5, "MAX_POINTS": 10}),
    (published, {"HOUR": MINUTE, "LATEST": 3 * MINUTE, "MAX_HOURS": 10}),
    (trades, {"FORGET_EVERY": 10}),
    (correlation, {"MAX_ALERTS": 5}),
    (ledger, {"MAX_LINES": 5}),
    (positions, {"HISTORY": 16}),
)


def held(root: Any) -> Counter[str]:
    """Count the items of all containers that ``root`` refers to, by their paths."""
    sizes: Counter[str] = Counter()
    visited: set[int] = set()
    pending: list[tuple[Any, str]] = [(root, "")]
    while pending:
        item, where = pending.pop()
        if isinstance(item, int | str | float | None | type | Random) or id(item) in visited:
            continue
        visited.add(id(item))
        if isinstance(item, bytes):
            sizes[where] += len(item)
        elif isinstance(item, dict):
            sizes[where] += len(item)
            pending += [(value, f"{where}[{key}]") for key, value in item.items()]
            pending += [(key, f"{where} key") for key in item]
        elif isinstance(item, list | tuple | set | frozenset | deque):
            sizes[where] += len(item) if not isinstance(item, tuple) else 0
            pending += [(value, f"{where}[]") for value in item]
        elif isinstance(item, msgspec.Struct):
            pending += [(getattr(item, name), f"{where}.{name}") for name in item.__struct_fields__]
        elif type(item).__module__.startswith("trading."):
            names = [n for kind in type(item).__mro__ for n in getattr(kind, "__slots__", ())]
            names += getattr(item, "__dict__", {})
            pending += [(getattr(item, n), f"{where}.{n}") for n in names if hasattr(item, n)]
    return sizes


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> LiveSession:
    for module, bounds in BOUNDS:
        for name, bound in bounds.items():
            monkeypatch.setattr(module, name, bound)
    session = idle_session(Settings(), 1_700_000_000 * SECOND)
    session_live = LiveSession(
        session,
        1,
        MemoryStore(),
        build_components(session),
        {
            name: build_components(session)
            for p in SERVICE_SPECS.values()
            for name, build_components in p.projections.items()
        },
        frozenset(kind for part in SERVICE_SPECS.values() for kind in part.published),
        snapshot_key=b"key",
        auditor=AUDIT_CORRELATOR,
    )
    session_live.begin()
    return session_live


def after(live: LiveSession, minutes: int) -> dict[str, int]:
    """Return the largest sizes in the last two of ``minutes`` of a market, by component."""
    most: Counter[str] = Counter()
    until = live.session.plan.start + minutes * MINUTE
    for at in range(until - 2 * MINUTE, until, 10 * SECOND):
        live.kernel.run(at)
        live.drain()
        roots = {c.name: c for c in live.kernel.hosted} | live.projections
        most |= Counter({name: held(root).total() for name, root in roots.items()})
    return dict(most)


def test_an_idle_market_needs_no_more_memory_with_time(live: LiveSession) -> None:
    early, late = after(live, 20), after(live, 60)
    assert min(early.values()) >= 0 and early[AUDIT_CORRELATOR] > 100
    grown = {
        name: (size, late[name]) for name, size in early.items() if late[name] > 1.25 * size + 50
    }
    assert grown == {}


def test_what_grows_is_found() -> None:
    class Part:
        __module__ = "trading.test"

        def __init__(self) -> None:
            self.items: dict[str, list[int]] = {"a": [1, 2], "b": []}

    part = Part()
    assert held({"part": part}).total() == 5
    part.items["b"].append(3)
    assert held({"part": part}).total() == 6
