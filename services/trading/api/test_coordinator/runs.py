"""Runs against the living ecosystem: one at a time, each a session of its own."""

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trading.api.test_coordinator.index import VERDICT, Run, RunIndex
from trading.api.test_coordinator.timeline import Timeline
from trading.embedded.run import detected_until, signals_without_faults
from trading.hosting.host import Host
from trading.hosting.live import Published
from trading.hosting.session import Session
from trading.hosting.store import StoreUnavailable
from trading.hosting.world import World
from trading.messages.chaos import AbortRun, PhaseChanged
from trading.scenario.plan import RunPlan
from trading.scenario.result import PASS, Verdict
from trading.scenario.signing import PlanRecord, SignedStatement, encode_statement, signed
from trading.scenario.verdict import judge
from trading.test_coordinator import TestCoordinator
from trading.topology import TEST_COORDINATOR

log = logging.getLogger(__name__)

TIMELINE = "coordinator/timeline"
SIGNED = "signed-verdict"
#: Wall seconds until the next attempt to keep a verdict.
_AGAIN = 1.0
_ENDED = ("Completed", "Aborted", "Error")


class RunActive(Exception):
    """Another run has not ended yet; ``run_id`` names it."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has not ended yet; wait for it, or abort it")
        self.run_id = run_id


class Runs:
    """Verdicts are kept in the store; the newest run goes on after a restart. ``speed``: of time
    when no run is on; ``key``: signs the verdicts, None: nothing does.
    """

    def __init__(
        self, host: Host, world: World, speed: float, key: Ed25519PrivateKey | None = None
    ) -> None:
        self._host = host
        self._key = key
        self._world = world
        self._speed = speed
        self._index = RunIndex(host.store)
        self._opening = asyncio.Lock()
        self._judging: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        #: The newest verdict that this process knows.
        self.newest: Verdict | None = None
        host.listen(self._hear)
        host.on_session(self._resume)
        world.failed = self._halt
        #: Why the run of this session cannot go on; empty: it can.
        self._halted = ""

    @property
    def timeline(self) -> Timeline:
        timeline: Timeline = self._host.projection(TIMELINE)
        return timeline

    @property
    def current(self) -> str:
        """The run that has no verdict yet; empty if there is none."""
        run_id = self._host.session.run_id
        return "" if self._index.is_judged(run_id) else run_id

    @property
    def outcomes(self) -> Counter[str]:
        """How many verdicts of each outcome are kept."""
        return Counter(run.outcome for run in self._index.all() if run.outcome)

    def is_judged(self, run_id: str) -> bool:
        """Has the run a verdict?"""
        return self._index.is_judged(run_id)

    def verdict(self, run_id: str) -> Verdict | None:
        """Read a verdict from the store, which may take a while; None: there is none. Raises
        StoreUnavailable.
        """
        body = self._host.store.document(VERDICT, run_id)
        return msgspec.json.decode(body, type=Verdict) if body is not None else None

    def signed(self, run_id: str) -> SignedStatement | None:
        """Return the signed verdict of a run; None where there is none."""
        body = self._host.store.document(SIGNED, run_id)
        return msgspec.json.decode(body, type=SignedStatement) if body is not None else None

    def all(self) -> list[Run]:
        """Newest first."""
        return [self._as_of_now(run) for run in self._index.all()]

    def get(self, run_id: str) -> Run | None:
        """A run as it is now; None for an unknown one."""
        run = self._index.get(run_id)
        return self._as_of_now(run) if run is not None else None

    async def begin(self, plan: RunPlan, run_id: str = "", *, platform_cuts: bool = False) -> str:
        """Open a session with the plan; its run id, made up where none is given. A run of that id
        that is there already stays as it is. Raises RunActive, CannotOpen.
        """
        async with self._opening:
            if run_id and self._index.get(run_id) is not None:
                return run_id
            if self.current:
                raise RunActive(self.current)
            run_id = run_id or f"{plan.name}-{secrets.token_hex(4)}"
            opened = datetime.now(UTC).isoformat(timespec="seconds")
            session = Session(
                plan=plan,
                run_id=run_id,
                opened=opened,
                journal=plan.journal_id,
                platform_cuts=platform_cuts,
            )
            await self._world.open(session)
        log.info("run %s begins", run_id, extra={"run_id": run_id})
        return run_id

    async def abort(self, reason: str) -> None:
        """Ask the coordinator to take everything back; the run's events say when it has. Raises
        Unavailable.
        """
        await self._host.settled(self._host.command(TEST_COORDINATOR, AbortRun(reason)))

    async def changed(self, seconds: float) -> None:
        """Wait until something has happened, or for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def _as_of_now(self, run: Run) -> Run:
        if run.outcome or run.session != self._host.live.number:
            return run
        return msgspec.structs.replace(run, phase=self.timeline.phase, at=self._host.kernel.now)

    def _hear(self, published: Sequence[Published]) -> None:
        for message, _ in published:
            if isinstance(message, PhaseChanged) and message.phase in _ENDED:
                self._begin_judging()
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _halt(self, reason: str) -> None:
        """A run cannot go on: it is judged as it stands, and every fault is taken back."""
        log.error("run %s cannot go on: %s", self._host.session.run_id, reason)
        self._halted = reason
        self._begin_judging()

    def _resume(self) -> None:
        """After a restart: a run that had ended without a verdict gets one."""
        self._halted = ""
        self._index.load()
        self._index.add(self._host.live.number, self._host.session)
        if not self.current:
            if self.newest is None:
                self.newest = self.verdict(self._host.session.run_id)
            self._host.tasks.start("the pace of time", self._world.pace(self._speed), vital=True)
        coordinator = self._host.component(TEST_COORDINATOR)
        if isinstance(coordinator, TestCoordinator) and coordinator.done and self.current:
            self._begin_judging()

    def _begin_judging(self) -> None:
        if self._judging is None or self._judging.done():
            self._judging = self._host.tasks.start("judging a run", self._judge(), vital=True)

    async def _judge(self) -> None:
        """Until the verdict is kept: the store may be away for a while."""
        run_id = self.current
        while run_id and self.current == run_id:
            try:
                await self._judge_once(run_id)
            except StoreUnavailable as error:
                log.warning("the verdict on %s has to wait: %s", run_id, error)
                await asyncio.sleep(_AGAIN)

    async def _judge_once(self, run_id: str) -> None:
        """As the embedded runtime does: before a Pass, the same market without the faults."""
        host = self._host
        coordinator: Any = host.component(TEST_COORDINATOR)
        plan, seen = host.session.plan, coordinator.observation
        seen.halted = self._halted
        seen.platform_cuts = host.session.platform_cuts
        heads = await self._world.heads()
        waited = self._world.waited()
        verdict = judge(plan, seen, journals=heads)
        await self._world.pace(self._speed)
        if self._halted:
            host.send(TEST_COORDINATOR, AbortRun(self._halted))
        until = detected_until(verdict)
        if verdict.outcome == PASS and until:
            signals = await _in_another_process(plan, until)
            verdict = judge(plan, seen, also_without=signals, until=until, journals=heads)
        clock = msgspec.structs.replace(verdict.clock, waited=waited)
        verdict = msgspec.structs.replace(verdict, clock=clock)
        await asyncio.to_thread(self._keep, host.session, verdict)
        self._index.judge(run_id, verdict)
        self.newest = verdict
        log.info("run %s: %s", run_id, verdict.outcome, extra={"run_id": run_id})
        self._notify()

    def _keep(self, session: Session, verdict: Verdict) -> None:
        """With the signature first: a run that has a verdict is not judged again."""
        store = self._host.store
        if self._key is not None:
            plan = PlanRecord(plan=session.plan, control=True)
            statement = signed(self._key, encode_statement(plan, verdict))
            store.put(SIGNED, session.run_id, msgspec.json.encode(statement))
        store.put(VERDICT, session.run_id, msgspec.json.encode(verdict))


async def _in_another_process(plan: RunPlan, until: int) -> set[tuple[str, str]]:
    """Computing for seconds would stop the ecosystem's clock."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, signals_without_faults, plan, until)
