"""Scenarios that came over the network, or are asked for over it: read beside the event loop.

Whatever is sent, it costs one thread at most: the services in this process go on meanwhile.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from trading.embedded.api import load_sent, load_shipped
from trading.embedded.library import shipped
from trading.hosting.store import JournalStore
from trading.scenario.errors import ScenarioError
from trading.scenario.plan import RunPlan

SCENARIO = "scenario"
#: So many scenarios of one's own are kept: each may have 200 kB, and is read at the first listing.
MOST = 200

T = TypeVar("T")


class NoSuchScenario(LookupError):
    """Neither shipped, nor kept here; the text says which."""


class NotKept(ValueError):
    """A scenario of one's own cannot be kept here; the text says why."""


class Scenarios:
    """Those that are shipped, and those that are kept in ``store``: by name, or by text."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        # One: others would only take each other's turns, and those of the event loop.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="scenarios")
        self._shipped: list[dict[str, Any]] = []
        #: Of scenarios of one's own, by their text; only of those that are kept.
        self._own: dict[bytes, dict[str, Any]] = {}

    async def listed(self) -> list[dict[str, Any]]:
        """Return what there is, shipped ones first. Each is compiled once; one that this version
        refuses says why under ``problem``.
        """
        kept = await asyncio.to_thread(self._store.documents, SCENARIO)
        return await self._beside(lambda: self._list(kept))

    async def keep(self, text: str) -> dict[str, Any]:
        """Keep one of one's own, and return it as it is listed. Raises ScenarioError, NotKept."""
        plan = await self._beside(lambda: _sent(text, None, {}))
        if plan.name in shipped():
            raise NotKept(f"'{plan.name}' is a shipped scenario; choose another name")
        kept = await asyncio.to_thread(self._store.documents, SCENARIO)
        if len(kept) >= MOST and plan.name not in kept:
            raise NotKept(
                f"{MOST} scenarios of your own are kept already; replace one by using its name, or"
                " send the text with POST /runs"
            )
        await asyncio.to_thread(self._store.put, SCENARIO, plan.name, text.encode())
        return _listed(plan, "own")

    async def named(self, name: str, seed: int | None, overrides: Mapping[str, str]) -> RunPlan:
        """Return the plan of the one that is kept or shipped under ``name``. Raises ScenarioError,
        NoSuchScenario.
        """
        kept = await asyncio.to_thread(self._store.document, SCENARIO, name)
        if kept is not None:
            return await self.sent(kept.decode(), seed, overrides)
        if name not in shipped():
            raise NoSuchScenario(name)
        return await self._beside(lambda: _shipped(name, seed, overrides))

    async def sent(self, text: str, seed: int | None, overrides: Mapping[str, str]) -> RunPlan:
        """Return the plan of a text. Raises ScenarioError."""
        return await self._beside(lambda: _sent(text, seed, overrides))

    async def _beside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, work)

    def _list(self, kept: Mapping[str, bytes]) -> list[dict[str, Any]]:
        if not self._shipped:
            self._shipped = [_listed(load_shipped(name).plan, "shipped") for name in shipped()]
        self._own = {
            text: self._own.get(text) or _listed_own(name, text) for name, text in kept.items()
        }
        return [*self._shipped, *self._own.values()]


def _shipped(name: str, seed: int | None, overrides: Mapping[str, str]) -> RunPlan:
    return load_shipped(name, seed=seed, overrides=overrides).plan


def _sent(text: str, seed: int | None, overrides: Mapping[str, str]) -> RunPlan:
    return load_sent(text, seed=seed, overrides=overrides).plan


def _listed_own(name: str, text: bytes) -> dict[str, Any]:
    try:
        return _listed(_sent(text.decode(), None, {}), "own")
    except ScenarioError as error:
        return {"name": name, "source": "own", "problem": str(error)}


def _listed(plan: RunPlan, source: str) -> dict[str, Any]:
    return {
        "name": plan.name,
        "description": plan.description,
        "source": source,
        "seed": plan.seed,
        "faults": [{"name": f.name, "kind": f.kind} for f in plan.faults],
        "expectations": [e.label for e in plan.expectations],
    }
