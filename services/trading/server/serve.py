"""One service in a process of its own, linked to the others."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from fastapi import Request

from trading.api.market_data.live import OPENING_PATIENCE, make_poller
from trading.api.risk_monitor.halts import standing_halt
from trading.hosting.access import Access
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.settings import Settings, SettingsError
from trading.hosting.tokens import require_token
from trading.hosting.world import LocalWorld, World
from trading.links.board import Links
from trading.links.frames import addressed
from trading.links.journals import Journals
from trading.links.peers import Peers
from trading.links.world import IDLE, RemoteWorld, add_session_route, idle_anchor, sim_now
from trading.messages.audit import AuditQuery
from trading.messages.chaos import FaultApplied, FaultEnded
from trading.runtime.component import Component
from trading.runtime.network import Network
from trading.runtime.relay import NetworkRelay
from trading.server.credentials import Credentials, keep_credentials, snapshot_key
from trading.server.engines import Engines
from trading.server.listening import NotKept, Server, listen, until_end, until_signal
from trading.server.parts import (
    PARTS,
    Surroundings,
    chaos_allowed,
    chaos_token,
    idle,
    make,
    make_app,
)
from trading.server.stores import Opened, opened_store
from trading.server.tracing import traced
from trading.topology import (
    AUDIT_CORRELATOR,
    EXCHANGE,
    MARKET_DATA,
    RISK_MONITOR,
    SERVICES,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)

#: Bytes of a WebSocket message: what a caller sends over a link at once.
LARGEST = 1024 * 1024
#: Services that read journals: the auditor everything, the coordinator how long they are.
_READERS = (AUDIT_CORRELATOR, TEST_COORDINATOR)


class _Extra(Protocol):
    """What a service's process does beside hosting its component."""

    def problems(self) -> dict[str, str]: ...
    async def start(self, host: Host) -> None: ...
    async def stop(self) -> None: ...


class Service:
    """``name`` with its component alone on a host, and with its own store."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        known: Credentials,
        peers: Peers,
        opened: Opened,
    ) -> None:
        self.name = name
        instance = opened.instance
        chaos = chaos_allowed(settings)
        self.links = links = Links(
            name,
            peers,
            chaos=chaos,
            instance=instance,
            patience=settings.run_patience,
            speed=settings.sim_speed,
        )
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
            opened.store,
            idle=first,
            projections=part.projections,
            published=(*part.published, FaultApplied, FaultEnded),
            auditor=AUDIT_CORRELATOR if name == AUDIT_CORRELATOR else "",
            sender=self._engines.send if self._engines is not None else links.send,
            network=_network_of(name),
            retention=settings.retention,
            addressed=addressed,
            snapshot_key=snapshot_key(settings, peers.token),
            heads=opened.heads,
            accept_loss=settings.accept_loss,
        )
        world: World = LocalWorld(host)
        self._extras: list[_Extra] = []
        known_to = Surroundings(host, settings, known, world, poller)
        if name == TEST_COORDINATOR:
            remote = RemoteWorld(
                host,
                peers,
                links,
                known.chaos_token if chaos else "",
                patience=settings.run_patience,
                network_patience=settings.network_patience,
            )
            self._extras.append(remote)
            known_to = known_to._replace(world=remote)
        if name == AUDIT_CORRELATOR and settings.enable_audit_logging:
            journals = Journals(peers, links)
            self._extras.append(journals)

            async def queried(query: AuditQuery) -> None:
                host.send(AUDIT_CORRELATOR, await journals.complete(query))

            links.queried = queried
            links.prepare = journals.prepare
        if self._engines is not None:
            self._extras.append(self._engines)
        self.app = make_app(name, known_to)
        self._extras += traced(name, self.app, host, settings)
        if chaos and name != TEST_COORDINATOR:
            watches = name == RISK_MONITOR
            standing = (lambda: standing_halt(host)) if watches else (lambda: "")
            add_session_route(self.app, host, chaos_token(known_to), standing)
        self.app.state.instance = instance
        self.app.state.may_read = _readers(peers, self.app.state.access)
        links.add_to(self.app)
        host.dependencies = self._dependencies
        host.clock_problem = lambda: links.clocks.problem

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


def _network_of(name: str) -> Callable[[Session], Network]:
    """In virtual time every process has the same network, and all of them change it at the same
    moment. By the wall clock the coordinator's hands each side its part.
    """

    def network(session: Session) -> Network:
        relays = name == TEST_COORDINATOR and not session.virtual
        return NetworkRelay() if relays else Network()

    return network


def check(name: str, settings: Settings) -> None:
    """Where others can connect, nothing is made up that they would have to know. Raises
    SettingsError.
    """
    if settings.alone:
        return
    missing = []
    if chaos_allowed(settings) and settings.chaos_token is None:
        if name == TEST_COORDINATOR:
            missing.append("CHAOS_TOKEN: must be set where ENABLE_CHAOS_SCENARIOS is true")
        elif settings.chaos_token_sha256 is None:
            missing.append("CHAOS_TOKEN_SHA256: must be set where ENABLE_CHAOS_SCENARIOS is true")
    if name == EXCHANGE and settings.api_key is None:
        missing.append("API_KEY, API_SECRET: must be set for the exchange")
    if missing:
        raise SettingsError("\n".join(missing))


def _readers(peers: Peers, access: Access) -> Callable[[Request], None]:
    def may_read(request: Request) -> None:
        service = request.headers.get("x-service", "")
        shown = request.headers.get("authorization", "")
        if service not in _READERS or not peers.who(service, shown):
            require_token(request, *access.reading)

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
    than the topology's. Raises PortTaken, StoreUnavailable, CannotRecover; NotKept at the end.
    """
    port = port or SERVICES[name].port + settings.port_offset
    opened = listen(settings.bind_hosts, port, name)
    stop = until_signal()
    kept = await opened_store(settings, name, stop)
    if kept is None:
        return
    service = Service(name, settings, known, peers, kept)
    server = Server(service.app, LARGEST)
    await service.start()
    keep_credentials(settings, known)
    running = asyncio.create_task(server.serve(opened))
    try:
        await server.listening.wait()
        ready(f"http://{settings.bind_hosts[0]}:{port}")
        await until_end(stop, service.host.tasks.failed)
    finally:
        server.end()
        await service.links.stop()
        await asyncio.gather(running, return_exceptions=True)
        await service.stop()
    if service.host.lost:
        raise NotKept(service.host.lost)
