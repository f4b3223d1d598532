"""Serve the exchange over the whole ecosystem, without the limits that a benchmark would reach."""

import asyncio
import socket
import sys
import time
from pathlib import Path

import msgspec
import uvicorn

from trading.api.exchange import app as exchange
from trading.api.exchange.keys import Keys, credential
from trading.api.exchange.limits import Limits
from trading.hosting.host import Host
from trading.hosting.loop import run
from trading.hosting.service_app import AppContext
from trading.hosting.session import Session
from trading.hosting.settings import load_settings
from trading.hosting.sqlite import SqliteStore
from trading.risk_monitor import RULES
from trading.server.service_specs import build_components, idle_session
from trading.topology import AUDIT_CORRELATOR, EXCHANGE
from trading.units import SECOND


async def serve(directory: Path, key: str, secret: str) -> None:
    """Serve on a free port of 127.0.0.1, and print the port; a journal is kept in the directory."""

    def session() -> Session:
        session_setup = idle_session(load_settings({}), int(time.time()) * SECOND)
        plan = msgspec.structs.replace(session_setup.plan, disabled_rules=tuple(RULES))
        return msgspec.structs.replace(session_setup, plan=plan)

    host = Host(
        build_components,
        SqliteStore(directory / "journal.sqlite"),
        idle=session,
        projections=exchange.PROJECTIONS,
        published=exchange.PUBLISHED,
        auditor=AUDIT_CORRELATOR,
    )
    limits = Limits(weight_per_minute=10**9, orders_per_10_seconds=10**9)
    app = exchange.exchange_app(
        AppContext(EXCHANGE, host), Keys([credential(key, secret, "firm-api")]), limits
    )

    @app.post("/noop")
    async def noop() -> dict[str, str]:
        return {}

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    await host.start()
    await asyncio.sleep(1.5)
    print(listener.getsockname()[1], flush=True)
    await server.serve([listener])
    await host.stop()


if __name__ == "__main__":
    run(serve(Path(sys.argv[1]), *sys.argv[2:4]))
