"""Reads scenarios that clients send or name.

Reading happens in one thread beside the event loop. Whatever is sent, it occupies no more than that
thread, and the services in this process go on meanwhile.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, TypeVar

from trading.embedded.api import load_shipped, load_submitted
from trading.embedded.library import shipped
from trading.hosting.store import JournalStore
from trading.scenario.errors import Problem, ScenarioError
from trading.scenario.plan import RunPlan
from trading.scenario.recordings import Uploads
from trading.topology import RISK_MONITOR

#: Kind of the documents in the store that hold scenarios; their key is the scenario's name.
SCENARIO = "scenario"
#: Most scenarios that are saved: each may have 200 kB, and is compiled for the first listing.
MAX_SAVED = 200

T = TypeVar("T")


class NoSuchScenario(LookupError):
    """There is neither a shipped nor a saved scenario with this name, which is the error's text."""


class NotSaved(ValueError):
    """A scenario cannot be saved; the text says why."""


class Scenarios:
    """The shipped scenarios, and those that clients have saved in `store`.

    `recorded_text` returns the text of an uploaded recording by its name, None if there is none. It
    may block.
    """

    def __init__(
        self, store: JournalStore, recorded_text: Callable[[str], str | None] = lambda name: None
    ) -> None:
        self._store = store
        self._recorded_text = recorded_text
        # One thread: more would only compete with each other and with the event loop for the GIL.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="scenarios")
        self._shipped: list[dict[str, Any]] = []
        #: Listed fields of the saved scenarios, by their text.
        self._own: dict[bytes, dict[str, Any]] = {}

    async def list_all(self) -> list[dict[str, Any]]:
        """Return all scenarios, shipped ones first. Each is compiled once. A saved one that this
        version refuses has the reason under `problem`.
        """
        saved = await asyncio.to_thread(self._store.documents, SCENARIO)
        return await self._in_reader_thread(lambda: self._list(saved))

    async def save(self, text: str) -> dict[str, Any]:
        """Save a scenario under its name, which may replace one, and return it as it is listed.
        Raises ScenarioError if it is invalid, and NotSaved.
        """
        plan = await self._in_reader_thread(lambda: self._plan_of_text(text, None, {}, {}))
        if plan.name in shipped():
            raise NotSaved(f"'{plan.name}' is a shipped scenario; choose another name")
        saved = await asyncio.to_thread(self._store.documents, SCENARIO)
        if len(saved) >= MAX_SAVED and plan.name not in saved:
            raise NotSaved(
                f"{MAX_SAVED} scenarios of your own are kept already; replace one by using its"
                " name, or send the text with POST /runs"
            )
        await asyncio.to_thread(self._store.put, SCENARIO, plan.name, text.encode())
        return _summary(plan, "own")

    async def plan_by_name(
        self, name: str, seed: int | None, overrides: Mapping[str, str]
    ) -> RunPlan:
        """Return the plan of a saved or shipped scenario. Raises ScenarioError, NoSuchScenario."""
        saved = await asyncio.to_thread(self._store.document, SCENARIO, name)
        if saved is not None:
            return await self.plan_of_text(saved.decode(), seed, overrides)
        if name not in shipped():
            raise NoSuchScenario(name)
        return await self._in_reader_thread(lambda: _plan_of_shipped(name, seed, overrides))

    async def plan_of_text(
        self,
        text: str,
        seed: int | None,
        overrides: Mapping[str, str],
        files: Mapping[str, str] = MappingProxyType({}),
    ) -> RunPlan:
        """Return the plan of a scenario's text, which is YAML. Raises ScenarioError.

        `files` maps names of files in the text to the recordings uploaded in their place.
        """
        return await self._in_reader_thread(
            lambda: self._plan_of_text(text, seed, overrides, files)
        )

    def forget_compiled(self) -> None:
        """Compile the saved scenarios again for the next listing: the recordings have changed."""
        self._own = {}

    def _plan_of_text(
        self,
        text: str,
        seed: int | None,
        overrides: Mapping[str, str],
        files: Mapping[str, str],
    ) -> RunPlan:
        uploads = Uploads(self._recorded_text, files)
        loaded = load_submitted(text, seed=seed, overrides=overrides, uploads=uploads)
        return _without_own_monitors(loaded.plan)

    def _summary_of_saved(self, name: str, text: bytes) -> dict[str, Any]:
        try:
            return _summary(self._plan_of_text(text.decode(), None, {}, {}), "own")
        except ScenarioError as error:
            return {"name": name, "source": "own", "problem": str(error)}

    async def _in_reader_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, work)

    def _list(self, saved: Mapping[str, bytes]) -> list[dict[str, Any]]:
        if not self._shipped:
            self._shipped = [_summary(load_shipped(name).plan, "shipped") for name in shipped()]
        self._own = {
            text: self._own.get(text) or self._summary_of_saved(name, text)
            for name, text in saved.items()
        }
        return [*self._shipped, *self._own.values()]


def _plan_of_shipped(name: str, seed: int | None, overrides: Mapping[str, str]) -> RunPlan:
    return _without_own_monitors(load_shipped(name, seed=seed, overrides=overrides).plan)


def _without_own_monitors(plan: RunPlan) -> RunPlan:
    """Return ``plan``, which a running ecosystem can run only if it judges the built-in monitor
    alone. Raises ScenarioError.
    """
    problems = [
        Problem(
            plan.source,
            0,
            0,
            f"spec.monitors[{plan.monitors.index(name)}]",
            f"a running ecosystem judges {RISK_MONITOR} only; judge '{name}' with trading run"
            f" --monitor {name}=exec:COMMAND",
        )
        for name in plan.own_monitors
    ]
    if problems:
        raise ScenarioError(problems)
    return plan


def _summary(plan: RunPlan, source: str) -> dict[str, Any]:
    return {
        "name": plan.name,
        "description": plan.description,
        "source": source,
        "seed": plan.seed,
        "faults": [{"name": f.name, "kind": f.kind} for f in plan.faults],
        "expectations": [e.label for e in plan.expectations],
    }
