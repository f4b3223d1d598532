"""One world for all services: the session and the clock that the coordinator sets.

A scenario run brings its own market: every service opens a session with the same prices, balances,
seed and clock. What a service is told of it says nothing of what will break. The coordinator
repeats what it wants until every service has it, so one that was away follows when it is back.
"""

import asyncio
import contextlib
import hashlib
import logging
import time

import httpx
import msgspec
from fastapi import FastAPI, HTTPException, Request
from pydantic import SecretStr

from trading.hosting.clock import Anchor
from trading.hosting.guard import require_token
from trading.hosting.host import Host
from trading.hosting.session import Session, decode_session, encode_session
from trading.hosting.world import CannotOpen
from trading.links.instances import addresses
from trading.links.peers import Peers
from trading.scenario.plan import RunPlan
from trading.topology import SERVICES, TEST_COORDINATOR
from trading.units import SECOND

log = logging.getLogger(__name__)

PATH = "/chaos/session"
IDLE = "idle"
#: Wall seconds from the opening of a session to its first moment: everybody has to be there.
LEAD = 1.5
_REPEAT = 1.0
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
        plan, name="world", description="", faults=(), expectations=(), speed=1
    )


def add_session_route(app: FastAPI, host: Host, chaos_token: SecretStr | None) -> None:
    """Where the coordinator says which session it is; only where chaos is enabled."""

    @app.put(PATH, tags=["chaos"], summary="Be in this session, by this clock")
    async def put_session(request: Request) -> dict[str, str]:
        require_token(request, chaos_token, "CHAOS_TOKEN")
        try:
            wanted = decode_session(await request.body())
        except msgspec.DecodeError as error:
            raise HTTPException(422, f"not a session: {error}") from error
        if wanted.anchor is None or not wanted.key:
            raise HTTPException(422, "a session needs a key and an anchor")
        if wanted.key != host.session.key:
            await host.open(wanted)
            log.info("session %s", wanted.key)
        elif wanted.anchor != host.anchor:
            await host.follow(wanted.anchor)
        return {"session": host.session.key}


class RemoteWorld:
    """The coordinator's hand on everybody's session and clock."""

    def __init__(
        self, host: Host, peers: Peers, chaos_token: SecretStr | None, speed_limit: float
    ) -> None:
        self._host = host
        self._speed_limit = speed_limit
        token = chaos_token.get_secret_value() if chaos_token is not None else ""
        self._headers = {"Authorization": f"Bearer {token}"}
        self._peers = peers
        self._enabled = chaos_token is not None
        self._keeper: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._problems: dict[str, str] = {}

    def problems(self) -> dict[str, str]:
        """By service: why it is not in the session; empty: it is."""
        return {f"session of {name}": why for name, why in self._problems.items()}

    async def start(self, host: Host) -> None:
        if self._enabled:
            self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def open(self, session: Session) -> None:
        """Everybody into the session. Raises CannotOpen if one does not take it; then the session
        is opened nowhere that matters: a run needs all of them.
        """
        wall = time.time_ns() + int(LEAD * 1e9)
        speed = min(session.plan.speed, self._speed_limit)
        anchor = Anchor(session.plan.start, wall, speed)
        key = hashlib.sha256(session.run_id.encode()).hexdigest()[:16]
        wanted = msgspec.structs.replace(session, key=key, anchor=anchor)
        async with self._lock:
            problems = await self._check()
            if problems:
                text = "; ".join(f"{name}: {why}" for name, why in problems.items())
                raise CannotOpen(f"not every service is there: {text}")
            await self._host.open(wanted)
            self._problems = await self._tell(wanted)

    async def pace(self, speed: float) -> None:
        """From now on time goes on at ``speed`` for everybody."""
        if self._host.session.key == IDLE:
            return
        # Nobody's clock may have to go back: it is set a little ahead of everybody's.
        ahead = self._host.clock.now() + int(self._host.clock.speed * _NOTICE * 1e6)
        await self._host.follow(Anchor(ahead, time.time_ns() + int(_NOTICE * 1e9), speed))
        async with self._lock:
            self._problems = await self._tell(self._host.session)

    async def _keep(self) -> None:
        while True:
            if self._host.session.key != IDLE:
                async with self._lock:
                    self._problems = await self._tell(self._host.session)
            await asyncio.sleep(_REPEAT)

    async def _check(self) -> dict[str, str]:
        return await self._ask("GET", "/health", None)

    async def _tell(self, session: Session) -> dict[str, str]:
        told = Session(
            plan=without_secrets(session.plan),
            opened=session.opened,
            run_id=session.key,
            key=session.key,
            anchor=self._host.anchor,
            platform_cuts=session.platform_cuts,
        )
        return await self._ask("PUT", PATH, encode_session(told))

    async def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, str]:
        async with httpx.AsyncClient(trust_env=False, timeout=5, headers=self._headers) as client:

            async def one(name: str, url: str) -> tuple[str, str]:
                try:
                    answer = await client.request(method, url + path, content=body)
                except httpx.HTTPError as error:
                    return name, f"{url}: {error or type(error).__name__}"
                return (
                    name,
                    "" if answer.is_success else f"{answer.status_code} {answer.text[:200]}",
                )

            others = [name for name in SERVICES if name != TEST_COORDINATOR]
            known = [(name, await addresses(self._peers, name)) for name in others]
            found = await asyncio.gather(*(one(n, url) for n, urls in known for url in urls))
        missing = {name: "no address is known for it" for name, urls in known if not urls}
        return missing | {name: why for name, why in found if why}
