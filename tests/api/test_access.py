"""Who may use which operations of the services of `trading up`."""

import json
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import websockets.sync.client as ws
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.api.running import Up, UpFromNothing
from tests.forked import command
from trading.topology import SERVICES

pytestmark = pytest.mark.timeout(300)

OPERATIONS = (
    "breaker/trip",
    "breaker/reset",
    "silences",
    "silences/drawdown/*/end",
    "alerts/drawdown/portfolio/1/acknowledge",
)
#: By service, the paths that show journals, balances and positions.
READABLE = {
    "risk-monitor": ("/api/portfolio", "/api/exposures", "/api/curves", "/events"),
    "custodian": ("/api/v1/balances", "/api/v1/settlements/overdue"),
    "trading-engine": ("/api/v1/strategies",),
    "audit-correlator": (
        *(f"/api/v1/{name}" for name in ("findings", "report", "timeline", "ledger")),
        "/api/v1/evidence/exchange/1",
        "/events",
    ),
}
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FOREIGN = "http://rebound.example:8084"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_refuses_names_and_pages_of_others(up: Up, service: str) -> None:
    url = up.url[service]
    for path in ("/health", "/metrics", "/journal", "/"):
        refused = httpx.get(url + path, headers={"Host": "rebound.example"})
        assert refused.status_code == 421
        assert refused.headers["x-request-id"]
    refused = httpx.post(url + "/anything", headers={"Origin": FOREIGN})
    assert refused.status_code == 403
    assert "origin" in refused.json()["detail"]
    assert httpx.get(url + "/health", headers={"Host": "localhost"}).status_code == 200


@pytest.mark.parametrize("path", ["/ws/btcusdt@trade", "/ws-api/v3"])
def test_a_page_of_others_opens_no_websocket(up: Up, path: str) -> None:
    url = up.url["exchange"].replace("http", "ws") + path
    with pytest.raises(InvalidStatus) as refused, ws.connect(url, origin=Origin(FOREIGN)):
        pass
    assert refused.value.response.status_code == 403
    for origin in (Origin(up.url["exchange"]), None):
        with ws.connect(url, origin=origin):
            pass


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Up]:
    """An ecosystem for one test, which may use up its attempts with wrong tokens."""
    up = Up(tmp_path / "data")
    yield up
    up.stop()


def test_what_changes_something_needs_the_risk_token(alone: Up) -> None:
    url = alone.url["risk-monitor"] + "/api/"
    credentials = alone.credentials
    for path in OPERATIONS:
        assert httpx.post(url + path, json={}).status_code == 401
        assert httpx.post(url + path, json={}, headers=alone.operator).status_code == 422
        for other in ("chaos_token", "read_token"):
            assert (
                httpx.post(url + path, json={}, headers=bearer(credentials[other])).status_code
                == 401
            )
    # Those were ten wrong tokens. For a while no token of this address is checked, not even the
    # right one, since otherwise tokens could be guessed.
    refused = httpx.post(url + "breaker/trip", json={}, headers=alone.operator)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    # A request without a token still gets 401, and other addresses are not locked out.
    assert httpx.post(url + "breaker/trip", json={}).status_code == 401
    elsewhere = httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"))
    with elsewhere:
        answer = elsewhere.post(url + "breaker/trip", json={}, headers=alone.operator)
    assert answer.status_code == 422


def test_where_only_this_machine_connects_everybody_may_look(up: Up) -> None:
    for service, paths in READABLE.items():
        for path in (*paths, "/journal/head"):
            with httpx.stream("GET", up.url[service] + path) as answer:
                assert answer.status_code in (200, 404), path


def test_where_others_connect_looking_needs_a_token(tmp_path: Path) -> None:
    up = Up(
        tmp_path / "data",
        BIND_HOST="0.0.0.0",  # noqa: S104
        RISK_TOKEN="a-token-of-the-operators",  # noqa: S106
    )
    try:
        for service, url in ((name, up.url[name]) for name in SERVICES):
            for path in (*READABLE.get(service, ()), "/journal", "/journal/head"):
                assert httpx.get(url + path).status_code == 401, path
                headers = bearer(up.credentials["read_token"])
                with httpx.stream("GET", url + path, headers=headers) as answer:
                    assert answer.status_code in (200, 404), path
            for path in ("/health", "/ready", "/metrics"):
                assert httpx.get(url + path).status_code == 200
        portfolio = up.url["risk-monitor"] + "/api/portfolio"
        assert httpx.get(portfolio, headers=up.operator).status_code == 200
        assert httpx.get(up.url["custodian"] + "/journal", headers=up.operator).status_code == 401
    finally:
        up.stop()


def test_the_command_prints_a_link_and_says_what_is_missing(up: Up, tmp_path: Path) -> None:
    url = up.url["risk-monitor"]

    def login(data: Path, target: str = url) -> subprocess.CompletedProcess[str]:
        return command(
            "login", "--data", str(data), "--target", target, cwd=tmp_path, env={"PATH": ""}
        )

    done = login(up.data)
    assert (done.returncode, done.stderr) == (0, "")
    with httpx.Client() as browser:
        link = done.stdout.strip()
        assert browser.get(link).headers["location"] == "/"
        operation = f"{url}/api/breaker/trip"
        assert browser.post(operation, json={}).status_code == 422
        ((name, cookie),) = browser.cookies.items()
        for forged in (
            f"{cookie[:-1]}x",
            cookie.replace("act", "read"),
            f"9{cookie}",
            "",
            "..",
            ".",
        ):
            browser.cookies.clear()
            browser.cookies.set(name, forged)
            assert browser.post(operation, json={}).status_code == 401, forged
    assert login(tmp_path).returncode == 2
    assert "set RISK_TOKEN" in login(tmp_path).stderr
    assert "no risk monitor at http://127.0.0.1:9" in login(up.data, "http://127.0.0.1:9").stderr


def test_no_token_is_in_the_logs(alone: Up) -> None:
    link = alone.url["act there, once"]
    httpx.get(link)
    credentials = json.loads((alone.data / "credentials.json").read_text())
    alone.stop()
    written = alone.log.read_text()
    for secret in (
        credentials["risk_token"],
        credentials["read_token"],
        link.partition("code=")[2],
    ):
        assert secret not in written


@pytest.mark.parametrize("setting", ["RISK_TOKEN", "CHAOS_TOKEN", "READ_TOKEN", "API_SECRET"])
@pytest.mark.parametrize(
    "secret", ["", "§", "fifteen-letters", "sixteen letters-", "höchst-geheim-es"]
)
def test_a_weak_secret_stops_the_start(tmp_path: Path, setting: str, secret: str) -> None:
    environment = {"API_KEY": "a-key-of-the-exchange", setting: secret}
    done = command("up", cwd=tmp_path, env=environment)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith(f"{setting}: ")
    assert "16 characters" in line or "visible ASCII" in line
    assert not secret or secret not in line


def test_a_thousand_idle_websockets_lock_no_operator_out(tmp_path: Path) -> None:
    """The process runs under the usual limit of 1,024 file descriptors."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        up = UpFromNothing(tmp_path / "data")
    finally:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (min(max(before[0], 4096), before[1]), before[1])
        )
    refused = 0
    with ExitStack() as held:
        held.callback(up.stop)
        port = int(up.url["exchange"].rpartition(":")[2])
        for _ in range(1000):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            connection.sendall(UPGRADE)
            try:
                refused += not connection.recv(12).endswith(b"101")
            except ConnectionResetError:
                refused += 1
        assert 0 < refused < 1000
        for service in SERVICES:
            assert httpx.get(up.url[service] + "/health").status_code == 200
        trip = {"by": "desk-1", "reason": "a flood", "state": "HALTED"}
        url = up.url["risk-monitor"] + "/api/breaker/trip"
        assert httpx.post(url, json=trip, headers=up.operator).json()["state"] == "HALTED"
        assert httpx.get(up.url["custodian"] + "/api/v1/balances").status_code == 503
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    written = up.log.read_text()
    assert "over the limit" in written
    assert written.count("over the limit") < 10
