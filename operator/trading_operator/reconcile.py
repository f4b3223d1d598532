"""One scenario: look, step, save, act. Everything that can wait or fail is here."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from trading_operator import actions as act
from trading_operator.cluster import Cluster, ClusterError, ours
from trading_operator.coordinator import Busy, Coordinator, Following, Refused, Unreachable
from trading_operator.metrics import Metrics
from trading_operator.observed import Observed, Seen
from trading_operator.policies import cuts
from trading_operator.preflight import conflicts
from trading_operator.resource import Scenario
from trading_operator.status import Status, merge_patch
from trading_operator.step import step

log = logging.getLogger("trading.operator")

#: Seconds between two looks where nothing is heard, and at most after tries that failed.
_LOOK, _LONGEST = 2.0, 30.0
#: How often an error that nobody has thought of is taken for a passing one.
_TRIES = 3
#: Characters of a reason that the coordinator takes.
_REASON = 200

#: ``(scenario, reason, message, warning)``: an event in the cluster.
Announce = Callable[[Scenario, str, str, bool], None]


class Reconciler:
    """Of one resource, for as long as this process looks after it."""

    def __init__(
        self, cluster: Cluster, coordinator: Coordinator, announce: Announce, metrics: Metrics
    ) -> None:
        self.changed = asyncio.Event()
        self._cluster = cluster
        self._coordinator = coordinator
        self._announce = announce
        self._metrics = metrics
        self._following: Following | None = None
        self._busy = self._refused = ""
        self._heard_at = time.time()
        self._saved: Status | None = None
        self._cut = False
        #: Tries in a row that the coordinator did not take, and looks that ended in an error.
        self._refusals = self._errors = 0
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        if self._following is not None:
            await self._following.stop()

    @property
    def pause(self) -> float:
        """Seconds to the next look, where nothing is heard before. What is cut is looked after."""
        if self._cut:
            return _LOOK
        return float(min(_LOOK * 2 ** min(self._refusals + self._errors, 10), _LONGEST))

    async def tick(self, scenario: Scenario, status: Status) -> bool:
        """``status``: as the cluster has it, where this process has not saved another since. True:
        nothing is left to do. Raises ClusterError; then nothing is lost, and it is tried again.
        Any other error, a few times in a row, ends the resource in Error.
        """
        async with self._lock:
            with self._metrics.reconciling():
                try:
                    done = await self._tick(scenario, self._saved or status)
                except ClusterError:
                    raise
                except Exception as error:
                    await self._stumbled(scenario, error)
                    return False
                self._errors = 0
                return done

    @property
    def stuck(self) -> bool:
        """Not even its end in Error can be told."""
        return self._errors > 2 * _TRIES

    async def let_go(self, scenario: Scenario) -> bool:
        """Return whether nothing of the scenario's is left in the cluster, after asking for the end
        of its run. Raises ClusterError.
        """
        await self._abort(scenario, scenario.unwanted)
        return not ours(await self._cluster.policies(), scenario)

    async def _stumbled(self, scenario: Scenario, error: Exception) -> None:
        log.exception("%s: the operator cannot handle it", scenario.name)
        self._metrics.failed(taking_back=bool(scenario.unwanted))
        self._errors += 1
        if self._errors == _TRIES:
            why = f"the operator cannot handle it: {type(error).__name__}: {error}"
            self._refused = self._refused or why
            await self._abort(scenario, why)
            self.changed.set()

    async def _tick(self, scenario: Scenario, status: Status) -> bool:
        observed = await self._look(scenario, status)
        after, actions, done = step(scenario, status, observed, time.time())
        self._cut = bool(observed.policies)
        self._metrics.policies(scenario.name, len(observed.policies))
        if after != status or self._saved is None:
            await self._cluster.save(scenario.name, merge_patch(after))
            self._saved = after
            if after.verdict and not status.verdict:
                self._metrics.ended(after.verdict)
        for action in actions:
            await self._act(scenario, action)
        if any(isinstance(action, act.Put | act.Drop) for action in actions):
            self.changed.set()
        return done

    async def _look(self, scenario: Scenario, status: Status) -> Observed:
        policies = await self._cluster.policies()
        mine = ours(policies, scenario)
        if status.verdict or self._refused:
            return Observed(policies=mine, refused=self._refused)
        waiting = status.phase in ("", "Pending")
        against: list[str] = []
        if waiting and scenario.partitions:
            release, namespace = self._cluster.release, self._cluster.namespace
            against = conflicts(cuts(scenario.partitions), policies, release, namespace)
        known, problem = await self._known(scenario)
        following = self._following
        events = following.events if following is not None else []
        if following is not None and following.problem:
            problem = problem or following.problem
        if not problem:
            self._heard_at = time.time()
        return Observed(
            known=known,
            phase=next((e["text"] for e in reversed(events) if e["kind"] == "phase"), ""),
            faults=_seen(events),
            started_at=events[0]["at"] if events else 0,
            verdict=following.verdict if following is not None else None,
            busy=self._busy,
            problem=problem,
            heard_at=self._heard_at,
            policies=mine,
            conflicts=tuple(against),
        )

    async def _known(self, scenario: Scenario) -> tuple[bool, str]:
        """Once a run is followed, its stream says whether the coordinator is there."""
        if self._following is not None and not self._following.problem:
            return True, ""
        try:
            known = await self._coordinator.known(scenario.run_id)
        except Unreachable as error:
            self._refusals += 1
            return self._following is not None, str(error)
        if known:
            self._refusals = 0
        if known and self._following is None:
            self._following = Following(self._coordinator, scenario.run_id, self.changed.set)
            self._following.start()
        elif known and self._following is not None:
            self._following.problem = ""
        return known, ""

    async def _act(self, scenario: Scenario, action: act.Action) -> None:
        match action:
            case act.Begin():
                await self._begin(scenario)
            case act.Abort(reason):
                await self._abort(scenario, reason)
            case act.Put(cut, until):
                await self._cluster.put(scenario, cut, until)
            case act.Drop(name):
                await self._cluster.drop(name)
            case act.Tell(reason, message, warning):
                log.info("%s: %s: %s", scenario.name, reason, message)
                self._announce(scenario, reason, message, warning)

    async def _begin(self, scenario: Scenario) -> None:
        self._busy = ""
        try:
            await self._coordinator.begin(scenario)
        except Busy as error:
            self._busy = str(error)
        except Refused as error:
            self._refused = str(error)
        except Unreachable as error:
            # The next look says whether it has begun all the same.
            self._refusals += 1
            self._busy = str(error)
            log.warning("%s: %s", scenario.name, error)
            return
        else:
            self.changed.set()
        self._refusals = 0

    async def _abort(self, scenario: Scenario, reason: str) -> None:
        try:
            await self._coordinator.abort(scenario.run_id, reason[:_REASON])
        except Unreachable as error:
            log.warning("%s: cannot be aborted yet: %s", scenario.name, error)


def _seen(events: list[dict[str, Any]]) -> dict[str, Seen]:
    """By fault, its newest step."""
    return {
        e["fault"]: Seen(e["step"], e["text"], e["at"])
        for e in events
        if e["kind"] == "fault" and e.get("fault") and e.get("step")
    }
