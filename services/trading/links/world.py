"""One world for all services: the session and the clock that the coordinator sets.

A scenario run brings its own market: every service opens a session with the same prices, balances,
seed and clock. What a service is told of it says nothing of what will break. The coordinator
repeats what it wants until every service has it, so one that was away follows when it is back.

In a virtual run the coordinator keeps the time (:mod:`trading.lockstep`) until the run is over.
Then everybody's journal is as long as the verdict says, and time goes on by the wall clock.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, HTTPException, Request, Response

from trading.hosting.clock import Anchor
from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable
from trading.hosting.patience import stored
from trading.hosting.session import Session, decode_session, encode_session
from trading.hosting.store import StoreUnavailable
from trading.hosting.tokens import Token, require_token
from trading.hosting.world import CHANGES, DISMISSED, CannotOpen, Halted
from trading.links.board import Links
from trading.links.everybody import Answer, Everybody, problems
from trading.links.instances import INSTANCE, name_of
from trading.links.peers import Peers
from trading.links.platform import PlatformNetwork, RealChange
from trading.lockstep.conductor import Conductor
from trading.runtime.agenda import rank_of
from trading.scenario.plan import RunPlan
from trading.scenario.result import JournalHead
from trading.topology import TEST_COORDINATOR
from trading.units import SECOND

log = logging.getLogger(__name__)

PATH = "/chaos/session"
IDLE = "idle"
#: Kind of the documents that keep a run's journal heads.
HEADS = "heads"
#: Wall seconds from the opening of a session to its first moment: everybody has to be there.
LEAD = 1.5
_REPEAT = 1.0
#: Wall seconds between two questions for a journal's head.
_HEAD_AGAIN = 0.1
_NOTICE = 0.3
#: 2026-01-05T00:00:00Z: where simulated and wall time agree between runs.
_EPOCH = 1_767_571_200


def idle_anchor(speed: float) -> Anchor:
    """The clock between runs, the same for everybody who knows the speed."""
    return Anchor(_EPOCH * SECOND, _EPOCH * 1_000_000_000, speed)


def sim_now(anchor: Anchor) -> int:
    return anchor.sim + int((time.time_ns() - anchor.wall) * anchor.speed) // 1000


def without_secrets(plan: RunPlan) -> RunPlan:
    """What services may know of a plan: their world, and not what is going to happen in it."""
    return msgspec.structs.replace(
        plan,
        name="world",
        description="",
        faults=(),
        expectations=(),
        speed=None,
        overrides={},
        source="",
    )


def add_session_route(
    app: FastAPI, host: Host, chaos_token: Token, standing: Callable[[], str]
) -> None:
    """Where the coordinator says which session it is; only where chaos is enabled. ``standing``:
    why no other session may be opened; empty: one may.
    """

    @app.get(PATH, tags=["chaos"], summary="Which session it is in, and may another be opened?")
    async def get_session(request: Request, response: Response) -> dict[str, str]:
        require_token(request, chaos_token)
        if why := standing():
            raise HTTPException(409, why)
        response.headers[INSTANCE] = str(app.state.instance)
        return {"session": host.session.key}

    @app.put(PATH, tags=["chaos"], summary="Be in this session, by this clock")
    async def put_session(request: Request, response: Response) -> dict[str, str]:
        require_token(request, chaos_token)
        try:
            wanted = decode_session(await request.body())
        except (msgspec.DecodeError, RecursionError) as error:
            raise HTTPException(422, f"not a session: {error}") from error
        if not wanted.key or (wanted.anchor is None and not wanted.virtual):
            raise HTTPException(422, "a session needs a key, and an anchor or virtual time")
        if wanted.key != host.session.key:
            if why := standing():
                raise HTTPException(409, why)
            await host.open(wanted)
            log.info("session %s", wanted.key)
        if wanted.anchor is not None and (host.virtual or wanted.anchor != host.anchor):
            await host.follow(wanted.anchor, wanted.heads)
        response.headers[INSTANCE] = str(app.state.instance)
        return {"session": host.session.key}


class RemoteWorld:
    """The coordinator's hand on everybody's session and clock."""

    def __init__(
        self,
        host: Host,
        peers: Peers,
        links: Links,
        chaos_token: str,
        *,
        patience: float,
        network_patience: float,
    ) -> None:
        """``chaos_token``: empty where no chaos is allowed. ``patience``: wall seconds for which a
        virtual run waits for a service, and ``network_patience`` for the platform's network.
        """
        self._host = host
        self._links = links
        self._patience = patience
        self._network_patience = network_patience
        ruling = {"Authorization": f"Bearer {chaos_token}"}
        reading = {"Authorization": f"Bearer {peers.token}", "X-Service": TEST_COORDINATOR}
        self._ruled = Everybody(peers, TEST_COORDINATOR, ruling)
        self._read = Everybody(peers, TEST_COORDINATOR, reading)
        self._enabled = bool(chaos_token)
        self._keeper: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._problems: dict[str, str] = {}
        self.failed: Callable[[str], None] = lambda why: None
        self.conductor: Conductor | None = None
        self._platform: PlatformNetwork | None = None
        self._waited: dict[str, float] = {}
        self._gave_up = False
        #: What the platform's network did in this run.
        self.changes: list[RealChange] = []
        links.began = self._begun

    def problems(self) -> dict[str, str]:
        """By service: why it is not in the session; empty: it is."""
        return {f"session of {name}": why for name, why in self._problems.items()}

    async def start(self, host: Host) -> None:
        if self._enabled:
            self._keeper = host.tasks.start("the keeper of the session", self._keep(), vital=True)

    async def stop(self) -> None:
        await self._stop_conductor()
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def open(self, session: Session) -> None:
        """Everybody into the session: all instances of all services that are there now take part
        in a virtual run. Raises CannotOpen if one is not there, and Halted if one must not leave
        its session; then the session is opened nowhere: a run needs all of them.
        """
        wall = time.time_ns() + int(LEAD * 1e9)
        anchor = Anchor(session.plan.start, wall, session.plan.speed or 1.0)
        key = hashlib.sha256(session.run_id.encode()).hexdigest()[:16]
        async with self._lock:
            answers = await self._ruled.ask("GET", PATH)
            for answer in answers:
                if answer.status == 409:
                    raise Halted(msgspec.json.decode(answer.body)["detail"])
            if wrong := problems(answers):
                text = "; ".join(f"{name}: {why}" for name, why in wrong.items())
                raise CannotOpen(f"not every service is there: {text}")
            wanted = msgspec.structs.replace(
                session,
                key=key,
                anchor=None if session.virtual else anchor,
                participants=_participants(answers) if session.virtual else (),
            )
            await self._host.open(wanted)
            self._problems = await self._tell(wanted)

    async def pace(self, speed: float) -> None:
        """From now on time goes on at ``speed`` for everybody."""
        if self._host.session.key == IDLE:
            return
        await self._stop_conductor()
        if self._host.virtual:
            heads = {name: head.events for name, head in (await self.heads()).items()}
            anchor = Anchor(self._host.now, time.time_ns(), speed)
            await self._host.follow(anchor, heads)
        else:
            # Nobody's clock may have to go back: it is set a little ahead of everybody's.
            ahead = self._host.clock.now() + int(self._host.clock.speed * _NOTICE * 1e6)
            await self._host.follow(Anchor(ahead, time.time_ns() + int(_NOTICE * 1e9), speed))
        async with self._lock:
            self._problems = await self._tell(self._host.session)

    def waited(self) -> dict[str, float]:
        return {name: round(seconds, 3) for name, seconds in self._waited.items()}

    def _everybody_is_there(self) -> bool:
        """In virtual time, is every service linked in this session? Then nobody has to be told."""
        return self.conductor is not None and self.conductor.everybody_is_there

    async def heads(self) -> dict[str, JournalHead]:
        """Asked of each service, and kept with the first answer: of a run that has ended they do
        not change any more. A service that does not answer has none.
        """
        if kept := await self._kept_heads():
            return kept
        end = self._host.now + 1
        with contextlib.suppress(Unavailable):
            await self._host.durable()
        found = {
            name: JournalHead(journal.length, journal.head.hex())
            for name, journal in self._host.kernel.journals.items()
        }
        # Whoever comes back has to catch up first; who has been waited for in vain has no head.
        waits = self._host.virtual and not self._gave_up
        until = time.monotonic() + (self._patience if waits else 0)
        while True:
            # An instance that was dismissed has no part in the end of the run.
            wanted = set(self._host.session.instances)
            wanted -= (await asyncio.to_thread(self._dismissed)).keys()
            found |= {n: h for n, h in (await self._heads_now(end)).items() if n in wanted}
            missing = wanted - found.keys()
            if not missing or time.monotonic() > until:
                break
            await asyncio.sleep(_HEAD_AGAIN)
        for name in sorted(missing):
            log.warning("no head of the journal of %s", name)
        body = msgspec.json.encode(found)
        number = str(self._host.live.number)
        await asyncio.to_thread(self._host.store.put, HEADS, number, body)
        return found

    async def _heads_now(self, end: int) -> dict[str, JournalHead]:
        """By name, what each instance of a service has from before the simulated time ``end``;
        without those that do not say yet.
        """
        params = {"before": end} if self._host.virtual else {}
        found = {}
        for answer in await self._read.ask("GET", "/journal/head", params=params):
            if answer.problem:
                continue
            told = msgspec.json.decode(answer.body, type=_Head)
            if told.session == self._host.session.key:
                name = name_of(answer.service, told.instance)
                found[name] = JournalHead(told.length, told.hash)
        return found

    def _dismissed(self) -> dict[str, int]:
        """Return the instances that the run of this session goes on without, with the simulated
        time, in microseconds, since which it does.
        """
        kept = self._host.store.document(DISMISSED, self._host.session.run_id)
        return msgspec.json.decode(kept or b"{}", type=dict[str, int])

    async def _record_dismissed(self, name: str, at: int) -> None:
        """Keep it beside the run, and for a coordinator that comes back. While the store cannot be
        written time waits.
        """
        kept = await stored(self._dismissed)
        body = msgspec.json.encode({**kept, name: at})
        await stored(self._host.store.put, DISMISSED, self._host.session.run_id, body)

    def waiting_for(self) -> list[str]:
        return self.conductor.waiting_for if self.conductor is not None else []

    def _begun(self) -> None:
        """A session has begun, or has been gone on with: in virtual time it needs a conductor."""
        virtual = self._links.virtual
        self.changes = []
        self._gave_up = False
        self._start(_stopped(self.conductor, self._platform))
        self.conductor = self._platform = None
        if virtual is not None:
            dismissed = self._dismissed()
            self.conductor = Conductor(
                self._host,
                self._host.session.instances,
                virtual.say_to,
                virtual.follower,
                self._patience,
                self._give_up,
                dismissed,
            )
            self.conductor.record = self._record_dismissed
            self.conductor.on_dismissed = virtual.dismiss
            for name in dismissed:
                virtual.dismiss(name)
            if self._host.session.platform_cuts:
                kept = self._host.store.document(CHANGES, self._host.session.run_id)
                self.changes = msgspec.json.decode(kept or b"[]", type=list[RealChange])
                self._platform = PlatformNetwork(
                    self._host,
                    self.conductor,
                    virtual.say_to,
                    self._record,
                    self._network_patience,
                )
                virtual.on_real = self._platform.hear
            self._waited = self.conductor.waited
            virtual.conduct(self.conductor)

    def _give_up(self, why: str) -> None:
        self._gave_up = True
        self.failed(why)

    def _record(self, change: RealChange) -> None:
        """Keep what the platform's network did, and when, beside the run."""
        self.changes.append(change)
        body = msgspec.json.encode(self.changes)
        keeping = stored(self._host.store.put, CHANGES, self._host.session.run_id, body)
        self._start(keeping)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._host.tasks.start("a note of what happened in a run", work)

    async def _stop_conductor(self) -> None:
        conductor, platform = self.conductor, self._platform
        self.conductor = self._platform = None
        await _stopped(conductor, platform)

    async def _keep(self) -> None:
        while True:
            if self._host.session.key != IDLE and not self._everybody_is_there():
                async with self._lock:
                    try:
                        self._problems = await self._tell(self._host.session)
                    except StoreUnavailable as error:
                        # It goes on when the database is back.
                        log.warning("nobody is told of the session: %s", error)
            await asyncio.sleep(_REPEAT)

    async def _tell(self, session: Session) -> dict[str, str]:
        heads = await self._kept_heads() if self._host.anchor is not None else {}
        told = Session(
            plan=without_secrets(session.plan),
            opened=session.opened,
            run_id=session.key,
            key=session.key,
            anchor=self._host.anchor,
            journal=session.journal_id,
            platform_cuts=session.platform_cuts,
            heads={name: head.events for name, head in heads.items()},
            participants=session.participants,
        )
        return problems(await self._ruled.ask("PUT", PATH, encode_session(told)))

    async def _kept_heads(self) -> dict[str, JournalHead]:
        """The heads that :meth:`heads` has kept for this session; none before."""
        number = str(self._host.live.number)
        kept = await asyncio.to_thread(self._host.store.document, HEADS, number)
        return msgspec.json.decode(kept or b"{}", type=dict[str, JournalHead])


class _Head(msgspec.Struct):
    """What ``GET /journal/head`` answers."""

    session: str
    instance: str
    length: int
    hash: str


def _participants(answers: Sequence[Answer]) -> tuple[str, ...]:
    """Return the names of all instances, in the order in which they act within one instant."""
    found = {TEST_COORDINATOR: TEST_COORDINATOR, **{a.name: a.service for a in answers}}
    return tuple(sorted(found, key=lambda name: rank_of(found[name], name)))


async def _stopped(conductor: Conductor | None, platform: PlatformNetwork | None) -> None:
    if platform is not None:
        await platform.stop()
    if conductor is not None:
        await conductor.stop()
