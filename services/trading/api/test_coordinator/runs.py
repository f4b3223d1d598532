"""Starts, watches and judges runs of scenarios on the ecosystem, one at a time. Each run is a
session of its own: it begins with fresh components and fresh journals.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trading.api.test_coordinator.index import VERDICT, Run, RunIndex
from trading.api.test_coordinator.timeline import Timeline
from trading.embedded.run import detected_until, signals_without_faults
from trading.hosting.host import Host
from trading.hosting.live_session import PublishedMessage
from trading.hosting.session import Session
from trading.hosting.session_control import SessionControl
from trading.hosting.store import StoreUnavailable
from trading.messages.chaos import AbortRun, PhaseChanged
from trading.scenario.plan import RunPlan
from trading.scenario.result import Outcome, Verdict
from trading.scenario.signing import PlanRecord, SignedStatement, encode_statement, sign_statement
from trading.scenario.verdict import judge
from trading.test_coordinator import TestCoordinator
from trading.topology import TEST_COORDINATOR

log = logging.getLogger(__name__)

#: Name of the projection that records what happens in a run.
TIMELINE = "coordinator/timeline"
#: Kind of the documents in the store that hold signed verdicts; their key is the run's id.
SIGNED = "signed-verdict"
#: Wall seconds until the next attempt to store a verdict.
_RETRY_DELAY = 1.0


class RunActive(Exception):
    """Another run has not ended yet; ``run_id`` names it."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has not ended yet; wait for it, or abort it")
        self.run_id = run_id


class Runs:
    """Manages the runs. Verdicts are kept in the store, and after a restart the newest run is
    resumed.

    `world` opens sessions and sets the clock on all services. `speed` is the speed of simulated
    time between runs, in simulated seconds per wall second. `key` signs the verdicts; None leaves
    them unsigned.
    """

    def __init__(
        self, host: Host, world: SessionControl, speed: float, key: Ed25519PrivateKey | None = None
    ) -> None:
        self._host = host
        self._key = key
        self._world = world
        self._speed = speed
        self._index = RunIndex(host.store)
        self._opening = asyncio.Lock()
        self._judging: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        #: The newest verdict that this process has made or read.
        self.newest: Verdict | None = None
        host.listen(self._on_published)
        host.on_session(self._on_session)
        world.on_failure(self._on_failure)
        #: Why the run of this session cannot go on; empty while it can.
        self._failure = ""

    @property
    def timeline(self) -> Timeline:
        """What has happened in the run of the current session."""
        return self._host.projection(Timeline)

    @property
    def current(self) -> str:
        """The id of the run that has no verdict yet; empty if there is none."""
        run_id = self._host.session.run_id
        return "" if self._index.is_judged(run_id) else run_id

    @property
    def outcomes(self) -> Counter[str]:
        """The number of stored verdicts by outcome."""
        return Counter(run.outcome for run in self._index.all() if run.outcome)

    def is_judged(self, run_id: str) -> bool:
        """Return whether the run has a verdict."""
        return self._index.is_judged(run_id)

    def verdict(self, run_id: str) -> Verdict | None:
        """Read a verdict from the store, which may take a while; return None if there is none.
        Raises StoreUnavailable.
        """
        body = self._host.store.document(VERDICT, run_id)
        return msgspec.json.decode(body, type=Verdict) if body is not None else None

    def signed(self, run_id: str) -> SignedStatement | None:
        """Read a signed verdict from the store; return None if there is none. Raises
        StoreUnavailable.
        """
        body = self._host.store.document(SIGNED, run_id)
        return msgspec.json.decode(body, type=SignedStatement) if body is not None else None

    def all(self) -> list[Run]:
        """Return all runs, newest first."""
        return [self._with_present_state(run) for run in self._index.all()]

    def get(self, run_id: str) -> Run | None:
        """Return a run in its present state; None if its id is unknown."""
        run = self._index.get(run_id)
        return self._with_present_state(run) if run is not None else None

    async def begin(self, plan: RunPlan, run_id: str = "", *, platform_cuts: bool = False) -> str:
        """Open a session with `plan` and return the id of its run, which is generated if `run_id`
        is empty. If there is a run with this id already, nothing is started and its id is returned.
        With `platform_cuts` a partition counts only when a real connection fails. Raises RunActive
        while another run has not ended, and CannotOpen if a service did not take the session.
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
        """Ask the coordinator to end all faults, and wait until the request is durable. The run's
        events tell when it has ended. Raises Unavailable.
        """
        await self._host.committed(self._host.command(TEST_COORDINATOR, AbortRun(reason)))

    async def wait_for_change(self, max_wait: float) -> None:
        """Wait until something has happened in a run, at most `max_wait` wall seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), max_wait)

    def _with_present_state(self, run: Run) -> Run:
        if run.outcome or run.session != self._host.session_number:
            return run
        return msgspec.structs.replace(
            run, phase=self.timeline.phase, at=self._host.processed_until
        )

    def _on_published(self, published: Sequence[PublishedMessage]) -> None:
        for message, _ in published:
            if isinstance(message, PhaseChanged) and message.phase.terminal:
                self._begin_judging()
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _on_failure(self, reason: str) -> None:
        """Judge the run as it stands and end all faults: it cannot go on for the given reason."""
        log.error("run %s has failed: %s", self._host.session.run_id, reason)
        self._failure = reason
        self._begin_judging()

    def _on_session(self) -> None:
        """Take over a session that was opened or resumed; a run that had ended without a verdict is
        judged.
        """
        self._failure = ""
        self._index.load()
        self._index.add(self._host.session_number, self._host.session)
        if not self.current:
            if self.newest is None:
                self.newest = self.verdict(self._host.session.run_id)
            self._host.tasks.start(
                "the pace of time", self._world.set_speed(self._speed), vital=True
            )
        if self._host.run_over and self.current:
            self._begin_judging()

    def _begin_judging(self) -> None:
        if self._judging is None or self._judging.done():
            self._judging = self._host.tasks.start("judging a run", self._judge(), vital=True)

    async def _judge(self) -> None:
        """Judge the current run, and retry until the verdict is stored: the store may be
        unavailable.
        """
        run_id = self.current
        while run_id and self.current == run_id:
            try:
                await self._judge_once(run_id)
            except StoreUnavailable as error:
                log.warning("cannot store the verdict on run %s yet: %s", run_id, error)
                await asyncio.sleep(_RETRY_DELAY)

    async def _judge_once(self, run_id: str) -> None:
        """Judge the run and store the verdict. Before a Pass, the same market is computed without
        the faults, as the embedded runtime does: what fires there, too, is no detection.
        """
        host = self._host
        plan, observation = host.session.plan, host.component(TestCoordinator).observation
        observation.halted = self._failure
        observation.platform_cuts = host.session.platform_cuts
        heads = await self._world.heads()
        waited = self._world.waited()
        verdict = judge(plan, observation, journals=heads)
        await self._world.set_speed(self._speed)
        if self._failure:
            host.send(TEST_COORDINATOR, AbortRun(self._failure))
        until = detected_until(verdict)
        if verdict.outcome is Outcome.PASS and until:
            signals = await _signals_in_subprocess(plan, until)
            verdict = judge(plan, observation, also_without=signals, until=until, journals=heads)
        clock = msgspec.structs.replace(verdict.clock, waited=waited)
        verdict = msgspec.structs.replace(verdict, clock=clock)
        await asyncio.to_thread(self._store_verdict, host.session, verdict)
        self._index.judge(run_id, verdict)
        self.newest = verdict
        log.info("run %s: %s", run_id, verdict.outcome, extra={"run_id": run_id})
        self._notify()

    def _store_verdict(self, session: Session, verdict: Verdict) -> None:
        """Store the verdict; its signature first, since a run that has a verdict is not judged
        again.
        """
        store = self._host.store
        if self._key is not None:
            plan = PlanRecord(plan=session.plan, control=True)
            statement = sign_statement(self._key, encode_statement(plan, verdict))
            store.put(SIGNED, session.run_id, msgspec.json.encode(statement))
        store.put(VERDICT, session.run_id, msgspec.json.encode(verdict))


async def _signals_in_subprocess(plan: RunPlan, until: int) -> set[tuple[str, str]]:
    """Return the signals of the same market without faults. They are computed in another process,
    since seconds of computing would stop the ecosystem's clock.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, signals_without_faults, plan, until)
