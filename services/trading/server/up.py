"""All seven services in one process, on their real ports."""

import asyncio
import time
from collections.abc import Callable

from trading.api.market_data.live import OPENING_PATIENCE, make_poller
from trading.api.risk_monitor.halts import standing_halt
from trading.hosting.host import Host
from trading.hosting.settings import Settings
from trading.hosting.world import LocalWorld
from trading.server.credentials import Credentials, keep_credentials, snapshot_key
from trading.server.listening import NotKept, Server, listen, until_end, until_signal
from trading.server.parts import PARTS, Surroundings, idle, make, make_app
from trading.server.stores import shared_store
from trading.server.tracing import traced
from trading.topology import AUDIT_CORRELATOR, RISK_MONITOR, SERVICES
from trading.units import SECOND


class Ecosystem:
    """The host and its seven apps. Raises StoreUnavailable."""

    def __init__(self, settings: Settings, known: Credentials) -> None:
        parts = PARTS.values()
        self._poller = poller = make_poller(settings)
        opened = shared_store(settings)
        self.host = host = Host(
            make,
            opened.store,
            idle=lambda: idle(settings, int(time.time()) * SECOND, poller),
            projections={name: made for part in parts for name, made in part.projections.items()},
            published={kind for part in parts for kind in part.published},
            auditor=AUDIT_CORRELATOR if settings.enable_audit_logging else "",
            retention=settings.retention,
            snapshot_key=snapshot_key(settings, known.api_secret),
            heads=opened.heads,
            accept_loss=settings.accept_loss,
        )
        world = LocalWorld(host, lambda: standing_halt(host))
        around = Surroundings(host, settings, known, world, poller)
        self.apps = {name: make_app(name, around) for name in PARTS}
        self.tracings = [
            tracing
            for name, app in self.apps.items()
            for tracing in traced(name, app, host, settings)
        ]

    async def start(self) -> None:
        """Raises StoreUnavailable, CannotRecover."""
        if self._poller is not None:
            await self._poller.prepare(OPENING_PATIENCE)
        await self.host.start()


async def serve(
    settings: Settings, known: Credentials, ready: Callable[[dict[str, str], str], None]
) -> None:
    """Until SIGINT or SIGTERM. ``ready`` gets name -> URL once everything answers, and the path of
    a link that logs in at the risk monitor, once. Raises PortTaken, StoreUnavailable,
    CannotRecover; NotKept at the end.
    """
    ports = {name: s.port + settings.port_offset for name, s in SERVICES.items()}
    sockets = {n: listen(settings.bind_hosts, port, n) for n, port in ports.items()}
    ecosystem = Ecosystem(settings, known)
    servers = {name: Server(app) for name, app in ecosystem.apps.items()}
    stop = until_signal()
    await ecosystem.start()
    keep_credentials(settings, known)
    running = [asyncio.create_task(s.serve(sockets[n])) for n, s in servers.items()]
    try:
        await asyncio.gather(*(server.listening.wait() for server in servers.values()))
        urls = {name: f"http://{settings.bind_hosts[0]}:{ports[name]}" for name in servers}
        ready(urls, ecosystem.apps[RISK_MONITOR].state.access.logins.link())
        await until_end(stop, ecosystem.host.tasks.failed)
    finally:
        for server in servers.values():
            server.end()
        await asyncio.gather(*running, return_exceptions=True)
        await ecosystem.host.stop()
        for tracing in ecosystem.tracings:
            await tracing.stop()
    if ecosystem.host.lost:
        raise NotKept(ecosystem.host.lost)
