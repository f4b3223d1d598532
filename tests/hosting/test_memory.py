"""Memory does not grow with time: what every component and projection holds of an idle market.

The bounds themselves, which take days to be reached, are made small; what is not bounded grows.
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
from trading.hosting.live import LiveSession
from trading.hosting.settings import Settings
from trading.hosting.store import MemoryStore
from trading.risk_monitor import positions
from trading.server.parts import PARTS, idle, make
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
    """How many items the containers hold that ``root`` leads to, by where they are."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    left: list[tuple[Any, str]] = [(root, "")]
    while left:
        one, where = left.pop()
        if isinstance(one, int | str | float | None | type | Random) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, bytes):
            found[where] += len(one)
        elif isinstance(one, dict):
            found[where] += len(one)
            left += [(value, f"{where}[{key}]") for key, value in one.items()]
            left += [(key, f"{where} key") for key in one]
        elif isinstance(one, list | tuple | set | frozenset | deque):
            found[where] += len(one) if not isinstance(one, tuple) else 0
            left += [(value, f"{where}[]") for value in one]
        elif isinstance(one, msgspec.Struct):
            left += [(getattr(one, name), f"{where}.{name}") for name in one.__struct_fields__]
        elif type(one).__module__.startswith("trading."):
            names = [n for kind in type(one).__mro__ for n in getattr(kind, "__slots__", ())]
            names += getattr(one, "__dict__", {})
            left += [(getattr(one, n), f"{where}.{n}") for n in names if hasattr(one, n)]
    return found


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> LiveSession:
    for module, bounds in BOUNDS:
        for name, bound in bounds.items():
            monkeypatch.setattr(module, name, bound)
    session = idle(Settings(), 1_700_000_000 * SECOND)
    made = LiveSession(
        session,
        1,
        MemoryStore(),
        make(session),
        {name: make(session) for p in PARTS.values() for name, make in p.projections.items()},
        frozenset(kind for part in PARTS.values() for kind in part.published),
        snapshot_key=b"key",
        auditor=AUDIT_CORRELATOR,
    )
    made.begin()
    return made


def after(live: LiveSession, minutes: int) -> dict[str, int]:
    """What is held, at the most, in the last two of so many minutes of a market, by component."""
    most: Counter[str] = Counter()
    until = live.session.plan.start + minutes * MINUTE
    for at in range(until - 2 * MINUTE, until, 10 * SECOND):
        live.kernel.run(at)
        live.take()
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
