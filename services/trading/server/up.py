"""Runs all seven services in one process (``trading up``): one host, and one port for each."""

import asyncio
import time
from collections.abc import Callable

from trading.api.market_data.live import OPENING_PRICE_TIMEOUT, make_poller
from trading.api.risk_monitor.halts import standing_halt
from trading.hosting.host import Host
from trading.hosting.session_control import LocalSessionControl
from trading.hosting.settings import Settings
from trading.server.credentials import Credentials, save_credentials, snapshot_key
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
    idle_session,
    make_app,
)
from trading.server.stores import open_shared_store
from trading.server.tracing import tracing_of
from trading.topology import AUDIT_CORRELATOR, RISK_MONITOR, SERVICES
from trading.units import SECOND


class Ecosystem:
    """The host with all components, and the HTTP APIs of the seven services.

    Creating it opens the journal store; it raises StoreUnavailable if that fails.
    """

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        specs = SERVICE_SPECS.values()
        self._poller = poller = make_poller(settings)
        open_store = open_shared_store(settings)
        self.host = host = Host(
            build_components,
            open_store.store,
            idle=lambda: idle_session(settings, int(time.time()) * SECOND, poller),
            projections={
                name: factory for spec in specs for name, factory in spec.projections.items()
            },
            published={kind for spec in specs for kind in spec.published},
            auditor=AUDIT_CORRELATOR if settings.enable_audit_logging else "",
            retention=settings.retention,
            snapshot_key=snapshot_key(settings, credentials.api_secret),
            heads=open_store.heads,
            accept_loss=settings.accept_loss,
        )
        session_control = LocalSessionControl(host, lambda: standing_halt(host))
        context = ServiceContext(host, settings, credentials, session_control, poller)
        self.apps = {name: make_app(name, context) for name in SERVICE_SPECS}
        self.tracings = [
            tracing
            for name, app in self.apps.items()
            for tracing in tracing_of(name, app, host, settings)
        ]

    async def start(self) -> None:
        """Recover the session from the journals and start the host.

        Raises StoreUnavailable and CannotRecover.
        """
        if self._poller is not None:
            await self._poller.prepare(OPENING_PRICE_TIMEOUT)
        await self.host.start()


async def serve(
    settings: Settings, credentials: Credentials, ready: Callable[[dict[str, str], str], None]
) -> None:
    """Run the ecosystem until SIGINT or SIGTERM.

    ``ready`` is called as soon as all services answer, with their URLs by name, and with the path
    of a link that logs a browser in at the risk monitor, which works once. Raises PortTaken,
    StoreUnavailable or CannotRecover if the ecosystem cannot start, and JournalIncomplete after it
    has stopped if not everything was saved.
    """
    ports = {name: s.port + settings.port_offset for name, s in SERVICES.items()}
    sockets = {n: listen(settings.bind_hosts, port, n) for n, port in ports.items()}
    ecosystem = Ecosystem(settings, credentials)
    servers = {name: Server(app) for name, app in ecosystem.apps.items()}
    stop = install_signal_handlers()
    await ecosystem.start()
    save_credentials(settings, credentials)
    running = [asyncio.create_task(s.serve(sockets[n])) for n, s in servers.items()]
    try:
        await asyncio.gather(*(server.listening.wait() for server in servers.values()))
        urls = {name: f"http://{settings.bind_hosts[0]}:{ports[name]}" for name in servers}
        ready(urls, ecosystem.apps[RISK_MONITOR].context.access.logins.link())
        await wait_for_shutdown(stop, ecosystem.host.tasks.failed)
    finally:
        for server in servers.values():
            server.begin_shutdown()
        await asyncio.gather(*running, return_exceptions=True)
        await ecosystem.host.stop()
        for tracing in ecosystem.tracings:
            await tracing.stop()
    if ecosystem.host.lost:
        raise JournalIncomplete(ecosystem.host.lost)
