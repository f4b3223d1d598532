"""All seven services in one process, on their real ports."""

import asyncio
import contextlib
import json
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from trading.api.audit_correlator.app import audit_app
from trading.api.custodian.app import custodian_app
from trading.api.exchange import app as exchange
from trading.api.exchange.keys import Keys, credential
from trading.api.market_data.app import PROJECTIONS as MARKET_DATA_PROJECTIONS
from trading.api.market_data.app import market_data_app
from trading.api.risk_monitor import app as risk
from trading.api.test_coordinator import app as coordinator
from trading.api.trading_engine.app import trading_engine_app
from trading.embedded.ecosystem import components
from trading.hosting.host import Host
from trading.hosting.postgres import PostgresStore
from trading.hosting.session import Session
from trading.hosting.settings import Settings
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import JournalStore, MemoryStore
from trading.runtime.component import Component
from trading.scenario.plan import RunPlan
from trading.test_coordinator import Standby
from trading.topology import (
    AUDIT_CORRELATOR,
    CUSTODIAN,
    EXCHANGE,
    MARKET_DATA,
    RISK_MONITOR,
    SERVICES,
    TEST_COORDINATOR,
    TRADING_ENGINE,
)

log = logging.getLogger(__name__)

#: How long open requests may take once the end has been asked for, wall seconds.
GRACE = 1


class Credentials(NamedTuple):
    """What clients of this ecosystem need; kept in the data directory, for its owner only."""

    api_key: str
    api_secret: str
    chaos_token: str


class PortTaken(Exception):
    pass


def credentials(settings: Settings) -> Credentials:
    """From the settings; what they do not name is made once and kept."""
    path = settings.data_dir / "credentials.json"
    kept: dict[str, str] = {}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    given = {
        "api_key": settings.api_key,
        "api_secret": settings.api_secret,
        "chaos_token": settings.chaos_token,
    }
    found = {
        name: secret.get_secret_value() if secret else kept.get(name) or secrets.token_hex(32)
        for name, secret in given.items()
    }
    if found != kept and settings.journal != "memory":
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return Credentials(**found)


def chaos_allowed(settings: Settings) -> bool:
    """Unless the settings say so or not: only where nobody else can connect."""
    if settings.enable_chaos_scenarios is not None:
        return settings.enable_chaos_scenarios
    return settings.bind_host.is_loopback


def journal_store(settings: Settings) -> JournalStore:
    """The backend that the settings name. Raises StoreUnavailable."""
    if settings.journal == "sqlite":
        return SqliteStore(settings.data_dir / "journal.sqlite")
    if settings.database_url is not None and settings.journal == "postgres":
        url = settings.database_url.get_secret_value()
        return PostgresStore(url, settings.database_schema)
    return MemoryStore()


def make(session: Session) -> list[Component]:
    """The components of a session; between runs the coordinator stands by."""
    found = components(session.plan)
    if session.run_id:
        return found
    return [c if c.name != TEST_COORDINATOR else Standby() for c in found]


def idle(settings: Settings) -> Session:
    """The session between runs: today, nothing breaks."""
    now = datetime.now(UTC)
    plan = RunPlan(
        name="idle",
        seed=settings.sim_seed,
        speed=settings.sim_speed,
        start=int(now.timestamp()) * 1_000_000,
        faults=(),
        expectations=(),
    )
    return Session(plan=plan, opened=now.isoformat(timespec="seconds"))


class Ecosystem:
    """The host and its seven apps."""

    def __init__(self, settings: Settings, known: Credentials) -> None:
        self.host = host = Host(
            make,
            journal_store(settings),
            idle=lambda: idle(settings),
            projections={
                **exchange.PROJECTIONS,
                **risk.PROJECTIONS,
                **coordinator.PROJECTIONS,
                **MARKET_DATA_PROJECTIONS,
            },
            published=(*exchange.PUBLISHED, *coordinator.PUBLISHED),
            auditor=AUDIT_CORRELATOR if settings.enable_audit_logging else "",
        )
        keys = Keys([credential(known.api_key, known.api_secret, "firm-api")])
        chaos = SecretStr(known.chaos_token) if chaos_allowed(settings) else None
        self.apps: dict[str, FastAPI] = {
            MARKET_DATA: market_data_app(host),
            EXCHANGE: exchange.exchange_app(host, keys),
            CUSTODIAN: custodian_app(host),
            TRADING_ENGINE: trading_engine_app(host),
            RISK_MONITOR: risk.risk_app(host, risk_token=settings.risk_token),
            TEST_COORDINATOR: coordinator.coordinator_app(
                host, chaos_token=chaos, speed=settings.sim_speed
            ),
            AUDIT_CORRELATOR: audit_app(host),
        }


async def serve(
    settings: Settings, known: Credentials, ready: Callable[[dict[str, str]], None]
) -> None:
    """Until SIGINT or SIGTERM. ``ready`` gets name -> URL once everything answers. Raises
    PortTaken, StoreUnavailable, CannotRecover.
    """
    ports = {name: s.port + settings.port_offset for name, s in SERVICES.items()}
    sockets = {name: _listen(str(settings.bind_host), ports[name], name) for name in ports}
    ecosystem = Ecosystem(settings, known)
    servers: dict[str, _Server] = {}
    for name, app in ecosystem.apps.items():
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
            h11_max_incomplete_event_size=32 * 1024,
            ws_max_size=64 * 1024,
            ws_ping_interval=20,
            ws_ping_timeout=60,
            server_header=False,
        )
        servers[name] = _Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await ecosystem.host.start()
    running = [asyncio.create_task(s.serve([sockets[n]])) for n, s in servers.items()]
    try:
        await asyncio.gather(*(server.listening.wait() for server in servers.values()))
        ready({name: f"http://{settings.bind_host}:{ports[name]}" for name in servers})
        await stop.wait()
    finally:
        for app in ecosystem.apps.values():
            app.state.stopping.set()
            getattr(app.state, "closing", _nothing)()
        for server in servers.values():
            server.should_exit = True
        await asyncio.gather(*running, return_exceptions=True)
        await ecosystem.host.stop()


def _nothing() -> None:
    return


class _Server(uvicorn.Server):
    """Signals end the ecosystem as a whole, not one server."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int, service: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(256)
    except OSError as error:
        made.close()
        raise PortTaken(f"{host}:{port} ({service}): {error.strerror}") from error
    return made


def read_credentials(directory: Path) -> dict[str, Any]:
    """What a running ecosystem with this data directory takes; empty if there is none."""
    try:
        found: dict[str, Any] = json.loads(
            (directory / "credentials.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError):
        return {}
    return found
