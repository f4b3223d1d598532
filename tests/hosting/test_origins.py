"""Requests are accepted under names and from pages of the service only."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from trading.hosting.origins import Origins, host_names

OURS = host_names("risk-monitor", ["127.0.0.1", "trading-risk-monitor"], ["risk.example.com"])


def make_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(Origins, hosts=OURS)

    @app.get("/")
    async def read() -> str:
        return "figures"

    @app.post("/act")
    async def act() -> str:
        return "done"

    @app.websocket("/ws")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    return app


def messages_for(kind: str, path: str, method: str = "GET", **headers: str) -> list[dict[str, Any]]:
    """Return what the app sends for a request with these headers."""
    messages: list[dict[str, Any]] = []
    first = {"http": {"type": "http.request"}, "websocket": {"type": "websocket.connect"}}

    async def receive() -> Any:
        return first[kind]

    async def send(message: Any) -> None:
        messages.append(message)

    scope: dict[str, Any] = {"type": kind, "path": path, "query_string": b"", "root_path": ""}
    scope |= {"headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
    if kind == "http":
        scope |= {"method": method, "scheme": "http"}
    else:
        scope |= {"scheme": "ws", "subprotocols": []}
        scope["extensions"] = {"websocket.http.response": {}}
    asyncio.run(make_app()(scope, receive, send))
    return messages


def status(method: str = "GET", **headers: str) -> int:
    path = "/" if method == "GET" else "/act"
    return int(messages_for("http", path, method, **headers)[0]["status"])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8084",
        "dashboard.localhost:8084",
        "127.0.0.1:8084",
        "[::1]:8084",
        "10.244.0.17:8084",
        "[fd00::17]",
        "risk-monitor:8084",
        "trading-risk-monitor:8084",
        "trading-risk-monitor.trading-dev.svc:8084",
        "trading-risk-monitor.trading-dev.svc.cluster.local.:8084",
        "risk.example.com",
        "Risk.Example.com:443",
    ],
)
def test_own_names_and_addresses_are_good(host: str) -> None:
    assert status(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "rebound.example:8084",
        "risk-monitor.example.com",
        "risk-monitor.com",
        "risk-monitor.trading-dev",
        "risk-monitor.svc.example.com",
        "x.risk-monitor.trading-dev.svc",
        "127.0.0.1.rebound.example",
        "localhost.rebound.example",
        "127.0.0.1@rebound.example",
        "rebound.example/127.0.0.1",
        "127.0.0.1:port",
        "",
        "[::1",
    ],
)
def test_names_of_others_are_refused(host: str) -> None:
    for method in ("GET", "POST"):
        assert status(method, host=host) == 421


def test_a_refusal_says_which_setting_helps() -> None:
    messages = messages_for("http", "/", host='odd".example')
    assert messages[0]["status"] == 421
    assert b"ALLOWED_HOSTS" in messages[1]["body"]
    assert b'odd\\".example' in messages[1]["body"]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8084", "http://127.0.0.1:8084"),
        ("[::1]:8084", "http://[::1]:8084"),
        ("localhost", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("risk.example.com", "https://risk.example.com"),
        ("risk.example.com:443", "https://risk.example.com"),
    ],
)
def test_a_page_of_the_service_may_act(host: str, origin: str) -> None:
    assert status("POST", host=host, origin=origin) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://rebound.example",
        "http://127.0.0.1:9999",
        "http://127.0.0.1",
        "http://localhost:8084",
        "https://127.0.0.1",
        "file://127.0.0.1:8084",
        "null",
        "",
        "http://127.0.0.1:port",
        "http://127.0.0.1:8084.rebound.example",
    ],
)
def test_a_page_of_others_may_look_and_neither_act_nor_open_a_websocket(origin: str) -> None:
    assert status(host="127.0.0.1:8084", origin=origin) == 200
    assert status("POST", host="127.0.0.1:8084", origin=origin) == 403
    messages = messages_for("websocket", "/ws", host="127.0.0.1:8084", origin=origin)
    assert messages[0] == {**messages[0], "type": "websocket.http.response.start", "status": 403}


def test_a_websocket_by_a_foreign_name_is_refused() -> None:
    messages = messages_for("websocket", "/ws", host="rebound.example")
    assert messages[0] == {**messages[0], "type": "websocket.http.response.start", "status": 421}


def test_clients_that_are_no_browser_go_on_as_before() -> None:
    assert status("POST") == 200
    assert status("POST", host="127.0.0.1:8084") == 200
    messages = messages_for("websocket", "/ws", host="127.0.0.1:8084")
    assert [m["type"] for m in messages] == ["websocket.accept", "websocket.close"]
