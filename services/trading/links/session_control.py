"""Puts all services into the session, and on the clock, that the coordinator decides on.

A scenario run has its own market: every service opens a session with the same prices, balances,
seed and clock. The session that a service receives contains nothing about the faults to come. The
coordinator repeats the request until every service is in the session, so a service that was away
follows when it is back.

In a virtual run the coordinator keeps the time (:mod:`trading.lockstep`) until the run is over.
From then on no journal of the run grows, and time follows the wall clock.
"""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Sequence

import msgspec
from fastapi import HTTPException, Request, Response

from trading.hosting.clock import ClockAnchor
from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable
from trading.hosting.service_app import ServiceApp
from trading.hosting.session import Session, decode_session, encode_session
from trading.hosting.session_control import CannotOpen, TradingHalted
from trading.hosting.store import StoreUnavailable
from trading.hosting.tokens import Token
from trading.links.all_services import AllServices, ServiceResponse, problems
from trading.links.conducted_run import ConductedRun
from trading.links.handler import LinkHandler
from trading.links.instances import INSTANCE_HEADER, instance_name
from trading.links.peers import Peers
from trading.links.service_links import ServiceLinks
from trading.links.session_store import SessionStore
from trading.lockstep.packets import Tried
from trading.runtime.agenda import rank_of
from trading.scenario.plan import RunPlan
from trading.scenario.result import JournalHead
from trading.topology import TEST_COORDINATOR
from trading.units import SECOND

log = logging.getLogger(__name__)

#: Path of the requests by which the coordinator opens sessions.
PATH = "/chaos/session"
#: Key of the session between runs.
IDLE = "idle"
#: Wall seconds from the request for a session to its first instant: all services must be in it.
LEAD = 1.5
#: Wall seconds between two repetitions of the request for a session.
_REPEAT_INTERVAL = 1.0
#: Wall seconds between two requests for a journal's head.
_HEAD_RETRY_DELAY = 0.1
#: Wall seconds by which a change of the clock is announced in advance.
_NOTICE = 0.3
#: 2026-01-05T00:00:00Z, the Unix time at which simulated and wall time agree between runs.
_EPOCH = 1_767_571_200


def idle_anchor(speed: float) -> ClockAnchor:
    """Return the clock between runs, which is the same for all services with the same speed."""
    return ClockAnchor(_EPOCH * SECOND, _EPOCH * 1_000_000_000, speed)


def simulated_now(anchor: ClockAnchor) -> int:
    """Return the simulated time in microseconds by a clock and this machine's wall time."""
    return anchor.sim + int((time.time_ns() - anchor.wall) * anchor.speed) // 1000


def without_faults(plan: RunPlan) -> RunPlan:
    """Return what services may know of a plan: its market, without the faults, the expectations and
    everything else that reveals what is going to happen.
    """
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


def add_session_route(app: ServiceApp, chaos_token: Token, standing: Callable[[], str]) -> None:
    """Add the routes by which the coordinator opens sessions, for a service with chaos enabled.
    ``standing`` returns why no other session may be opened, an empty text if one may.
    """
    host, access, instance = app.context.host, app.context.access, app.context.instance
    # No docstrings here: FastAPI publishes those of routes as a part of the API.

    @app.get(PATH, tags=["chaos"], summary="Which session it is in, and may another be opened?")
    async def get_session(request: Request, response: Response) -> dict[str, str]:
        access.require_token(request, chaos_token)
        if why := standing():
            raise HTTPException(409, why)
        response.headers[INSTANCE_HEADER] = instance
        return {"session": host.session.key}

    @app.put(PATH, tags=["chaos"], summary="Be in this session, by this clock")
    async def put_session(request: Request, response: Response) -> dict[str, str]:
        access.require_token(request, chaos_token)
        try:
            session = decode_session(await request.body())
        except (msgspec.DecodeError, RecursionError) as error:
            raise HTTPException(422, f"not a session: {error}") from error
        if not session.key or (session.anchor is None and not session.virtual):
            raise HTTPException(422, "a session needs a key, and an anchor or virtual time")
        if session.key != host.session.key:
            if why := standing():
                raise HTTPException(409, why)
            await host.open(session)
            log.info("session %s opened", session.key)
        if session.anchor is not None and (host.virtual or session.anchor != host.anchor):
            await host.follow(session.anchor, session.heads)
        response.headers[INSTANCE_HEADER] = instance
        return {"session": host.session.key}


class RemoteSessionControl(LinkHandler):
    """Opens sessions and sets the clock of all services, from the coordinator's process."""

    def __init__(
        self,
        host: Host,
        peers: Peers,
        links: ServiceLinks,
        chaos_token: str,
        *,
        patience: float,
        network_patience: float,
    ) -> None:
        """``chaos_token`` authenticates the requests to the services, and is empty where no chaos
        is allowed. A virtual run waits ``patience`` wall seconds for a service that is away, and
        ``network_patience`` for a change of the platform's network.
        """
        self._host = host
        self._links = links
        self._patience = patience
        self._network_patience = network_patience
        chaos = {"Authorization": f"Bearer {chaos_token}"}
        read = {"Authorization": f"Bearer {peers.token}", "X-Service": TEST_COORDINATOR}
        self._session_requests = AllServices(peers, TEST_COORDINATOR, chaos)
        self._head_requests = AllServices(peers, TEST_COORDINATOR, read)
        self._store = SessionStore(host)
        self._enabled = bool(chaos_token)
        self._repeating: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._problems: dict[str, str] = {}
        self._failure_hooks: list[Callable[[str], None]] = []
        #: The present run in virtual time; None in other sessions, and when it is over.
        self._run: ConductedRun | None = None
        self._waited: dict[str, float] = {}
        self._gave_up = False

    def on_failure(self, hook: Callable[[str], None]) -> None:
        """Call ``hook`` with the reason whenever a run cannot go on."""
        self._failure_hooks.append(hook)

    def problems(self) -> dict[str, str]:
        """Return for each service why it is not in the session, an empty text if it is."""
        return {f"session of {name}": why for name, why in self._problems.items()}

    async def start(self, host: Host) -> None:
        """Begin to repeat the request for the present session."""
        if self._enabled:
            work = self._repeat_session()
            self._repeating = host.tasks.start("the keeper of the session", work, vital=True)

    async def stop(self) -> None:
        """Grant no more time and send no more requests."""
        await self._stop_run()
        if self._repeating is not None:
            self._repeating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._repeating

    async def open(self, session: Session) -> None:
        """Put all services into the session. In a virtual run all instances that run now take part.
        Raises CannotOpen if a service does not respond, and TradingHalted if one must not leave its
        session; then no service opens the session, since a run needs all of them.
        """
        wall = time.time_ns() + int(LEAD * 1e9)
        anchor = ClockAnchor(session.plan.start, wall, session.plan.speed or 1.0)
        key = hashlib.sha256(session.run_id.encode()).hexdigest()[:16]
        async with self._lock:
            responses = await self._session_requests.request("GET", PATH)
            for response in responses:
                if response.status == 409:
                    raise TradingHalted(msgspec.json.decode(response.body)["detail"])
            if failures := problems(responses):
                text = "; ".join(f"{name}: {why}" for name, why in failures.items())
                raise CannotOpen(f"not every service is there: {text}")
            session = msgspec.structs.replace(
                session,
                key=key,
                anchor=None if session.virtual else anchor,
                participants=_participants(responses) if session.virtual else (),
            )
            await self._host.open(session)
            self._problems = await self._send_session(session)

    async def set_speed(self, speed: float) -> None:
        """Let the time of all services follow the wall clock at ``speed`` from now on."""
        if self._host.session.key == IDLE:
            return
        await self._stop_run()
        if self._host.virtual:
            heads = {name: head.events for name, head in (await self.heads()).items()}
            anchor = ClockAnchor(self._host.now, time.time_ns(), speed)
            await self._host.follow(anchor, heads)
        else:
            # No clock may go back, so the new clock begins a little ahead of all present ones.
            ahead = self._host.clock.now() + int(self._host.clock.speed * _NOTICE * 1e6)
            await self._host.follow(ClockAnchor(ahead, time.time_ns() + int(_NOTICE * 1e9), speed))
        async with self._lock:
            self._problems = await self._send_session(self._host.session)

    def waited(self) -> dict[str, float]:
        """Return how many wall seconds the newest virtual run has waited for each instance."""
        return {name: round(seconds, 3) for name, seconds in self._waited.items()}

    def _all_connected(self) -> bool:
        """Return whether all instances have a link in this session of virtual time: then they are
        in the session, and no request has to be repeated.
        """
        return self._run is not None and self._run.all_present

    async def heads(self) -> dict[str, JournalHead]:
        """Return the journal heads of all instances at the end of the run. The first call requests
        and stores them, since they do not change after the run. A service that does not respond is
        missing.
        """
        if stored_heads := await self._store.heads():
            return stored_heads
        end = self._host.now + 1
        with contextlib.suppress(Unavailable):
            await self._host.durable()
        heads = {
            name: JournalHead(journal.length, journal.head.hex())
            for name, journal in self._host.journals.items()
        }
        # A service that has restarted must catch up first. A run that was given up waits for none.
        waits = self._host.virtual and not self._gave_up
        until = time.monotonic() + (self._patience if waits else 0)
        while True:
            # An instance that was dismissed has no part in the end of the run.
            expected = set(self._host.session.instances)
            expected -= (await asyncio.to_thread(self._store.dismissed)).keys()
            heads |= {n: h for n, h in (await self._request_heads(end)).items() if n in expected}
            missing = expected - heads.keys()
            if not missing or time.monotonic() > until:
                break
            await asyncio.sleep(_HEAD_RETRY_DELAY)
        for name in sorted(missing):
            log.warning("no response about the head of the journal of %s", name)
        await self._store.put_heads(heads)
        return heads

    async def _request_heads(self, end: int) -> dict[str, JournalHead]:
        """Return the journal head of each instance of a service before the simulated time ``end``,
        without those that do not respond or are not yet as far.
        """
        params = {"before": end} if self._host.virtual else {}
        heads = {}
        for response in await self._head_requests.request("GET", "/journal/head", params=params):
            if response.problem:
                continue
            head = msgspec.json.decode(response.body, type=_Head)
            if head.session == self._host.session.key:
                name = instance_name(response.service, head.instance)
                heads[name] = JournalHead(head.length, head.hash)
        return heads

    def waiting_for(self) -> list[str]:
        """Return the instances that simulated time waits for now."""
        return self._run.waiting_for if self._run is not None else []

    def on_session_started(self) -> None:
        """Conduct the run where a session of virtual time has begun or continues."""
        virtual = self._links.virtual
        self._gave_up = False
        ended, self._run = self._run, None
        if ended is not None:
            self._host.tasks.start("the end of a run", ended.stop())
        if virtual is not None:
            self._run = ConductedRun(
                self._host,
                virtual,
                self._store,
                patience=self._patience,
                network_patience=self._network_patience,
                failed=self._give_up,
            )
            self._waited = self._run.waited

    def on_connection_tried(self, name: str, response: Tried) -> None:
        """Hand the run how an attempt to connect ended."""
        if self._run is not None:
            self._run.on_connection_tried(name, response)

    def _give_up(self, why: str) -> None:
        self._gave_up = True
        for hook in self._failure_hooks:
            hook(why)

    async def _stop_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            await run.stop()

    async def _repeat_session(self) -> None:
        while True:
            if self._host.session.key != IDLE and not self._all_connected():
                async with self._lock:
                    try:
                        self._problems = await self._send_session(self._host.session)
                    except StoreUnavailable as error:
                        # The next repetition succeeds when the database is back.
                        log.warning("the session is not sent to the services: %s", error)
            await asyncio.sleep(_REPEAT_INTERVAL)

    async def _send_session(self, session: Session) -> dict[str, str]:
        """Put all services into the session, and return why some are not in it, by instance."""
        heads = await self._store.heads() if self._host.anchor is not None else {}
        request = Session(
            plan=without_faults(session.plan),
            opened=session.opened,
            run_id=session.key,
            key=session.key,
            anchor=self._host.anchor,
            journal=session.journal_id,
            platform_cuts=session.platform_cuts,
            heads={name: head.events for name, head in heads.items()},
            participants=session.participants,
        )
        body = encode_session(request)
        return problems(await self._session_requests.request("PUT", PATH, body))


class _Head(msgspec.Struct):
    """The response of ``GET /journal/head``."""

    session: str
    instance: str
    length: int
    hash: str


def _participants(responses: Sequence[ServiceResponse]) -> tuple[str, ...]:
    """Return the names of all instances, in the order in which they act within one instant."""
    services = {TEST_COORDINATOR: TEST_COORDINATOR, **{r.name: r.service for r in responses}}
    return tuple(sorted(services, key=lambda name: rank_of(services[name], name)))
