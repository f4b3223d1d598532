"""Runs against the living ecosystem: one at a time, each a session of its own."""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

import msgspec

from trading.api.test_coordinator.timeline import Timeline
from trading.embedded.run import signals_without_faults
from trading.hosting.host import Host
from trading.hosting.live import Published
from trading.hosting.session import Session, decode_session
from trading.hosting.world import World
from trading.messages.chaos import AbortRun, NetworkPartition, PhaseChanged
from trading.scenario.plan import RunPlan
from trading.scenario.result import PASS, JournalHead, Verdict
from trading.scenario.verdict import judge
from trading.test_coordinator import TestCoordinator
from trading.topology import TEST_COORDINATOR

log = logging.getLogger(__name__)

TIMELINE = "coordinator/timeline"
VERDICT = "verdict"
_ENDED = ("Completed", "Aborted", "Error")


class RunActive(Exception):
    """Another run has not ended yet; ``run_id`` names it."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has not ended yet; wait for it, or abort it")
        self.run_id = run_id


class Run(msgspec.Struct, frozen=True):
    """``outcome``: empty while there is no verdict; ``at``: simulated time, microseconds.
    ``partitions``: by fault, the pairs of services that it cuts off from each other.
    """

    id: str
    scenario: str
    seed: int
    description: str
    opened: str
    phase: str
    outcome: str
    session: int
    at: int = 0
    partitions: dict[str, tuple[tuple[str, str], ...]] = {}


class Runs:
    """Verdicts are kept in the store; the newest run goes on after a restart. ``speed``: of time
    when no run is on.
    """

    def __init__(self, host: Host, world: World, speed: float) -> None:
        self._host = host
        self._world = world
        self._speed = speed
        self._judging: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        #: How many verdicts of each outcome are kept, and the newest that this process knows.
        self.outcomes: Counter[str] = Counter()
        self.newest: Verdict | None = None
        self._counted = False
        host.listen(self._hear)
        host.on_session(self._resume)

    @property
    def timeline(self) -> Timeline:
        timeline: Timeline = self._host.projection(TIMELINE)
        return timeline

    @property
    def current(self) -> str:
        """The run that has no verdict yet; empty if there is none."""
        run_id = self._host.session.run_id
        return run_id if run_id and run_id not in self.verdicts() else ""

    def verdicts(self) -> dict[str, bytes]:
        return self._host.store.documents(VERDICT)

    def verdict(self, run_id: str) -> Verdict | None:
        body = self.verdicts().get(run_id)
        return msgspec.json.decode(body, type=Verdict) if body is not None else None

    def all(self) -> list[Run]:
        """Newest first."""
        verdicts = self.verdicts()
        found = []
        for number, spec in reversed(self._host.store.sessions()):
            session = decode_session(spec)
            if session.run_id:
                found.append(self._run(number, session, verdicts.get(session.run_id)))
        return found

    def get(self, run_id: str) -> Run | None:
        return next((r for r in self.all() if r.id == run_id), None)

    async def begin(self, plan: RunPlan, run_id: str = "", *, platform_cuts: bool = False) -> str:
        """Open a session with the plan; its run id, made up where none is given. Raises RunActive,
        CannotOpen.
        """
        if self.current:
            raise RunActive(self.current)
        run_id = run_id or f"{plan.name}-{secrets.token_hex(4)}"
        opened = datetime.now(UTC).isoformat(timespec="seconds")
        session = Session(plan=plan, run_id=run_id, opened=opened, platform_cuts=platform_cuts)
        await self._world.open(session)
        log.info("run %s begins", run_id, extra={"run_id": run_id})
        return run_id

    async def abort(self, reason: str) -> None:
        """Ask the coordinator to take everything back; the run's events say when it has."""
        at = self._host.send(TEST_COORDINATOR, AbortRun(reason))
        await self._host.settled(at)

    async def changed(self, seconds: float) -> None:
        """Wait until something has happened, or for so long."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait(), seconds)
            except TimeoutError:
                return

    def _run(self, number: int, session: Session, verdict: bytes | None) -> Run:
        phase, outcome, at = "Error", "", 0
        if number == self._host.live.number:
            phase, at = self.timeline.phase, self._host.kernel.now
        if verdict is not None:
            known = msgspec.json.decode(verdict, type=Verdict)
            outcome, at = known.outcome, known.ended_at
            phase = known.phases[-1].phase if known.phases else phase
        plan = session.plan
        return Run(
            session.run_id,
            plan.name,
            plan.seed,
            plan.description,
            session.opened,
            phase,
            outcome,
            number,
            at,
            {
                planned.name: planned.fault.pairs
                for planned in plan.faults
                if isinstance(planned.fault, NetworkPartition)
            },
        )

    def _hear(self, published: Sequence[Published]) -> None:
        for message, _ in published:
            if isinstance(message, PhaseChanged) and message.phase in _ENDED:
                self._begin_judging()
        asyncio.get_running_loop().create_task(self._notify()).add_done_callback(_forget)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _resume(self) -> None:
        """After a restart: a run that had ended without a verdict gets one."""
        if not self._counted:
            self._counted = True
            kept = {n: msgspec.json.decode(b, type=Verdict) for n, b in self.verdicts().items()}
            self.outcomes = Counter(verdict.outcome for verdict in kept.values())
            self.newest = kept.get(self._host.session.run_id)
        if not self.current:
            loop = asyncio.get_running_loop()
            loop.create_task(self._world.pace(self._speed)).add_done_callback(_forget)
        coordinator = self._host.component(TEST_COORDINATOR)
        if isinstance(coordinator, TestCoordinator) and coordinator.done and self.current:
            self._begin_judging()

    def _begin_judging(self) -> None:
        if self._judging is None or self._judging.done():
            self._judging = asyncio.get_running_loop().create_task(self._judge())

    async def _judge(self) -> None:
        """As the embedded runtime does: before a Pass, the same market without the faults."""
        host = self._host
        session = host.session
        coordinator: Any = host.component(TEST_COORDINATOR)
        plan, seen = session.plan, coordinator.observation
        heads = {n: JournalHead(j.length, j.head.hex()) for n, j in host.kernel.journals.items()}
        verdict = judge(plan, seen, journals=heads)
        until = max((e.detected_at for e in verdict.expectations), default=0)
        if verdict.outcome == PASS and until:
            signals = await _in_another_process(plan, until)
            verdict = judge(plan, seen, also_without=signals, journals=heads)
        body = msgspec.json.encode(verdict)
        await asyncio.to_thread(host.store.put, VERDICT, session.run_id, body)
        self.newest = verdict
        self.outcomes[verdict.outcome] += 1
        if host.session.run_id == session.run_id:
            await self._world.pace(self._speed)
        log.info("run %s: %s", session.run_id, verdict.outcome, extra={"run_id": session.run_id})
        await self._notify()


async def _in_another_process(plan: RunPlan, until: int) -> set[tuple[str, str]]:
    """Computing for seconds would stop the ecosystem's clock."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, signals_without_faults, plan, until)


def _forget(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a task of the coordinator failed", exc_info=task.exception())
