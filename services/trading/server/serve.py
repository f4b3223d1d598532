"""Runs one service in a process of its own (``trading serve``).

The process hosts the component of that service alone, with its own journal store, and exchanges
messages with the other services over links.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from fastapi import Request

from trading.api.market_data.live import OPENING_PRICE_TIMEOUT, make_poller
from trading.api.risk_monitor.halts import standing_halt
from trading.hosting.access import Access
from trading.hosting.guard import MAX_LINK_MESSAGE
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.session_control import LocalSessionControl, SessionControl
from trading.hosting.settings import Settings, SettingsError
from trading.links.frames import newest_addressed
from trading.links.handler import LinkHandler
from trading.links.journal_reader import JournalReader
from trading.links.peers import Peers
from trading.links.service_links import ServiceLinks
from trading.links.session_control import (
    IDLE,
    RemoteSessionControl,
    add_session_route,
    idle_anchor,
    simulated_now,
)
from trading.messages.chaos import FaultApplied, FaultEnded
from trading.runtime.component import Component
from trading.runtime.network import Network
from trading.runtime.relay import NetworkRelay
from trading.server.credentials import Credentials, save_credentials, snapshot_key
from trading.server.engines import EngineSharing
from trading.server.listening import (
    JournalIncomplete,
    Server,
    install_signal_handlers,
    listen,
    wait_for_shutdown,
)
from trading.server.service_specs import (
    SERVICE_SPECS,
    ServiceContext,
    build_components,
    chaos_allowed,
    chaos_token,
    idle_session,
    make_app,
)
from trading.server.stores import OpenStore, wait_for_store
from trading.server.tracing import tracing_of
from trading.topology import (
    AUDIT_CORRELATOR,
    EXCHANGE,
    MARKET_DATA,
    RISK_MONITOR,
    SERVICES,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)

#: The services that may read journals without READ_TOKEN: the audit correlator reads all entries,
#: the test coordinator the lengths.
_JOURNAL_READERS = (AUDIT_CORRELATOR, TEST_COORDINATOR)


class _Extension(Protocol):
    """Something that a service's process does besides hosting its component."""

    def problems(self) -> dict[str, str]: ...
    async def start(self, host: Host) -> None: ...
    async def stop(self) -> None: ...


class Service:
    """The service ``name`` with its host, links and HTTP API.

    Creating it connects all parts; nothing runs before :meth:`start`.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        credentials: Credentials,
        peers: Peers,
        open_store: OpenStore,
    ) -> None:
        self.name = name
        instance = open_store.instance
        allow_chaos = chaos_allowed(settings)
        self.links = links = ServiceLinks(
            name,
            peers,
            chaos=allow_chaos,
            instance=instance,
            patience=settings.run_patience,
            speed=settings.sim_speed,
        )
        spec = SERVICE_SPECS[name]
        self._poller = poller = make_poller(settings) if name == MARKET_DATA else None
        self._engines = EngineSharing(links, settings, instance) if name == TRADING_ENGINE else None

        def own_component(session: Session) -> list[Component]:
            return [c for c in build_components(session) if c.name == name]

        def initial_session() -> Session:
            anchor = idle_anchor(settings.sim_speed)
            session = idle_session(settings, simulated_now(anchor), poller)
            return Session(plan=session.plan, opened=session.opened, key=IDLE, anchor=anchor)

        self.host = host = Host(
            own_component,
            open_store.store,
            idle=initial_session,
            projections=spec.projections,
            published=(*spec.published, FaultApplied, FaultEnded),
            auditor=AUDIT_CORRELATOR if name == AUDIT_CORRELATOR else "",
            sender=self._engines.send if self._engines is not None else links.send,
            network=_network_factory(name),
            retention=settings.retention,
            addressed=newest_addressed,
            snapshot_key=snapshot_key(settings, peers.token),
            heads=open_store.heads,
            accept_loss=settings.accept_loss,
            clock_problem=lambda: links.clocks.problem,
        )
        self._handler: LinkHandler = self._engines or LinkHandler()
        session_control: SessionControl = LocalSessionControl(host)
        self._extensions: list[_Extension] = []
        context = ServiceContext(host, settings, credentials, session_control, poller)
        if name == TEST_COORDINATOR:
            remote_control = RemoteSessionControl(
                host,
                peers,
                links,
                credentials.chaos_token if allow_chaos else "",
                patience=settings.run_patience,
                network_patience=settings.network_patience,
            )
            self._handler = remote_control
            self._extensions.append(remote_control)
            context = context._replace(session_control=remote_control)
        if name == AUDIT_CORRELATOR and settings.enable_audit_logging:
            journals = JournalReader(peers, links)
            self._handler = journals
            self._extensions.append(journals)
        if self._engines is not None:
            self._extensions.append(self._engines)
        self.app = make_app(
            name, context, instance=instance, may_read_journal=_journal_access(peers)
        )
        self._extensions += tracing_of(name, self.app, host, settings)
        if allow_chaos and name != TEST_COORDINATOR:
            is_monitor = name == RISK_MONITOR
            active_halt = (lambda: standing_halt(host)) if is_monitor else (lambda: "")
            add_session_route(self.app, chaos_token(context), active_halt)
        links.add_to(self.app)
        host.add_dependencies(self._problems)

    async def start(self) -> None:
        """Recover the session from the journal, then open the links and start all tasks.

        Raises StoreUnavailable and CannotRecover.
        """
        if self._poller is not None:
            await self._poller.prepare(OPENING_PRICE_TIMEOUT)
        await self.host.start()
        await self.links.start(self.host, self._handler)
        for extension in self._extensions:
            await extension.start(self.host)

    async def stop(self) -> None:
        """Stop everything in reverse order, and write the journal."""
        for extension in reversed(self._extensions):
            await extension.stop()
        await self.links.stop()
        await self.host.stop()

    def _problems(self) -> Mapping[str, str]:
        problems = self.links.problems()
        for extension in self._extensions:
            problems |= extension.problems()
        return problems


def _network_factory(name: str) -> Callable[[Session], Network]:
    """Return what creates the network of a session, which plays partitions.

    In virtual time every process has the same network, and all of them change it at the same
    instant. By the wall clock, the network of the test coordinator sends each side its part.
    """

    def network(session: Session) -> Network:
        is_relay = name == TEST_COORDINATOR and not session.virtual
        return NetworkRelay() if is_relay else Network()

    return network


def check_settings(name: str, settings: Settings) -> None:
    """Check that no secret is missing that clients on other machines would have to know.

    Secrets are only generated if no other machine can connect. Raises SettingsError.
    """
    if settings.loopback_only:
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


def _journal_access(peers: Peers) -> Callable[[Access, Request], None]:
    """Return the check of requests for the journal, which raises an HTTP error if it fails."""

    def may_read(access: Access, request: Request) -> None:
        service = request.headers.get("x-service", "")
        authorization = request.headers.get("authorization", "")
        if service not in _JOURNAL_READERS or not peers.who(service, authorization):
            access.require_token(request, *access.reading)

    return may_read


async def serve(
    name: str,
    settings: Settings,
    credentials: Credentials,
    peers: Peers,
    ready: Callable[[str], None],
    *,
    port: int = 0,
) -> None:
    """Run the service ``name`` until SIGINT or SIGTERM.

    ``ready`` is called with the URL as soon as the service answers. ``port`` replaces the port from
    the topology, unless it is 0. Raises PortTaken, StoreUnavailable or CannotRecover if the service
    cannot start, and JournalIncomplete after it has stopped if not everything was saved.
    """
    port = port or SERVICES[name].port + settings.port_offset
    sockets = listen(settings.bind_hosts, port, name)
    stop = install_signal_handlers()
    open_store = await wait_for_store(settings, name, stop)
    if open_store is None:
        return
    service = Service(name, settings, credentials, peers, open_store)
    server = Server(service.app, MAX_LINK_MESSAGE)
    await service.start()
    save_credentials(settings, credentials)
    running = asyncio.create_task(server.serve(sockets))
    try:
        await server.listening.wait()
        ready(f"http://{settings.bind_hosts[0]}:{port}")
        await wait_for_shutdown(stop, service.host.tasks.failed)
    finally:
        server.begin_shutdown()
        await service.links.stop()
        await asyncio.gather(running, return_exceptions=True)
        await service.stop()
    if service.host.lost:
        raise JournalIncomplete(service.host.lost)
