"""One service in a process of its own, linked to the others."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from fastapi import HTTPException, Request

from trading.api.market_data.live import OPENING_PATIENCE, make_poller
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.settings import Settings, SettingsError
from trading.hosting.store import JournalStore
from trading.hosting.world import LocalWorld, World
from trading.links.board import Links
from trading.links.journals import Journals
from trading.links.peers import Peers
from trading.links.world import IDLE, RemoteWorld, add_session_route, idle_anchor, sim_now
from trading.messages.audit import AuditQuery
from trading.messages.chaos import FaultApplied, FaultEnded
from trading.runtime.component import Component
from trading.runtime.network import Network
from trading.runtime.relay import NetworkRelay
from trading.server.credentials import Credentials
from trading.server.engines import Engines
from trading.server.listening import Server, listen, until_signal
from trading.server.parts import PARTS, Surroundings, chaos_allowed, chaos_token, idle, make
from trading.server.stores import opened_store
from trading.server.tracing import traced
from trading.topology import (
    AUDIT_CORRELATOR,
    EXCHANGE,
    MARKET_DATA,
    SERVICES,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)

#: Bytes of a WebSocket message: what a caller sends over a link at once.
LARGEST = 1024 * 1024
#: Who may read journals: the auditor everything, the coordinator how long they are.
_READERS = (AUDIT_CORRELATOR, TEST_COORDINATOR)


class _Extra(Protocol):
    """What a service's process does beside hosting its component."""

    def problems(self) -> dict[str, str]: ...
    async def start(self, host: Host) -> None: ...
    async def stop(self) -> None: ...


class Service:
    """``name`` with its component alone on a host. ``instance``: as of ``stores.own_store``."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        known: Credentials,
        peers: Peers,
        store: JournalStore,
        instance: str,
    ) -> None:
        self.name = name
        chaos = chaos_allowed(settings)
        self.links = links = Links(name, peers, chaos=chaos, instance=instance)
        part = PARTS[name]
        self._poller = poller = make_poller(settings) if name == MARKET_DATA else None
        self._engines = Engines(links, settings, instance) if name == TRADING_ENGINE else None

        def alone(session: Session) -> list[Component]:
            return [c for c in make(session) if c.name == name]

        def first() -> Session:
            anchor = idle_anchor(settings.sim_speed)
            session = idle(settings, sim_now(anchor), poller)
            return Session(plan=session.plan, opened=session.opened, key=IDLE, anchor=anchor)

        self.host = host = Host(
            alone,
            store,
            idle=first,
            projections=part.projections,
            published=(*part.published, FaultApplied, FaultEnded),
            auditor=AUDIT_CORRELATOR if name == AUDIT_CORRELATOR else "",
            sender=self._engines.send if self._engines is not None else links.send,
            network=NetworkRelay if name == TEST_COORDINATOR else Network,
        )
        world: World = LocalWorld(host)
        self._extras: list[_Extra] = []
        known_to = Surroundings(host, settings, known, world, poller)
        if name == TEST_COORDINATOR:
            limit = settings.sim_speed_limit
            remote = RemoteWorld(host, peers, chaos_token(known_to), limit)
            self._extras.append(remote)
            known_to = known_to._replace(world=remote)
        if name == AUDIT_CORRELATOR and settings.enable_audit_logging:
            journals = Journals(peers, links)
            self._extras.append(journals)

            async def queried(query: AuditQuery) -> None:
                host.send(AUDIT_CORRELATOR, await journals.complete(query))

            links.queried = queried
        if self._engines is not None:
            self._extras.append(self._engines)
        self.app = part.app(known_to)
        self._extras += traced(name, self.app, host, settings)
        if chaos and name != TEST_COORDINATOR:
            add_session_route(self.app, host, chaos_token(known_to))
        self.app.state.instance = instance
        self.app.state.may_read = _readers(peers)
        links.add_to(self.app)
        host.dependencies = self._dependencies

    async def start(self) -> None:
        """Raises StoreUnavailable, CannotRecover."""
        if self._poller is not None:
            await self._poller.prepare(OPENING_PATIENCE)
        await self.host.start()
        await self.links.start(self.host)
        for extra in self._extras:
            await extra.start(self.host)

    async def stop(self) -> None:
        for extra in reversed(self._extras):
            await extra.stop()
        await self.links.stop()
        await self.host.stop()

    def _dependencies(self) -> Mapping[str, str]:
        found = self.links.problems()
        for extra in self._extras:
            found |= extra.problems()
        return found


def check(name: str, settings: Settings) -> None:
    """Where others can connect, nothing is made up that they would have to know. Raises
    SettingsError.
    """
    if settings.alone:
        return
    missing = []
    if chaos_allowed(settings) and settings.chaos_token is None:
        missing.append("CHAOS_TOKEN: must be set where ENABLE_CHAOS_SCENARIOS is true")
    if name == EXCHANGE and settings.api_key is None:
        missing.append("API_KEY, API_SECRET: must be set for the exchange")
    if missing:
        raise SettingsError("\n".join(missing))


def _readers(peers: Peers) -> Callable[[Request], None]:
    def may_read(request: Request) -> None:
        service = request.headers.get("x-service", "")
        shown = request.headers.get("authorization", "")
        if service not in _READERS or not peers.who(service, shown):
            raise HTTPException(401, "journals are for the auditor: X-Service and its token")

    return may_read


async def serve(
    name: str,
    settings: Settings,
    known: Credentials,
    peers: Peers,
    ready: Callable[[str], None],
    *,
    port: int = 0,
) -> None:
    """Until SIGINT or SIGTERM. ``ready`` gets the URL once the service answers. ``port``: another
    than the topology's. Raises PortTaken, StoreUnavailable, CannotRecover.
    """
    port = port or SERVICES[name].port + settings.port_offset
    opened = listen(settings.bind_hosts, port, name)
    stop = until_signal()
    kept = await opened_store(settings, name, stop)
    if kept is None:
        return
    service = Service(name, settings, known, peers, *kept)
    server = Server(service.app, LARGEST)
    await service.start()
    running = asyncio.create_task(server.serve(opened))
    try:
        await server.listening.wait()
        ready(f"http://{settings.bind_hosts[0]}:{port}")
        await stop.wait()
    finally:
        server.end()
        await service.links.stop()
        await asyncio.gather(running, return_exceptions=True)
        await service.stop()
