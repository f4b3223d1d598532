"""Who may ask a service: names that are its own, and pages that are its own."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from trading.hosting.origins import Origins, names

OURS = names("risk-monitor", ["127.0.0.1", "trading-risk-monitor"], ["risk.example.com"])


def make() -> FastAPI:
    app = FastAPI()
    app.state.hosts = OURS
    app.add_middleware(Origins)

    @app.get("/")
    async def look() -> str:
        return "figures"

    @app.post("/act")
    async def act() -> str:
        return "done"

    @app.websocket("/ws")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    return app


def asked(kind: str, path: str, method: str = "GET", **headers: str) -> list[dict[str, Any]]:
    """What the app sends for a request with these headers."""
    said: list[dict[str, Any]] = []
    begun = {"http": {"type": "http.request"}, "websocket": {"type": "websocket.connect"}}

    async def receive() -> Any:
        return begun[kind]

    async def send(message: Any) -> None:
        said.append(message)

    scope: dict[str, Any] = {"type": kind, "path": path, "query_string": b"", "root_path": ""}
    scope |= {"headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
    if kind == "http":
        scope |= {"method": method, "scheme": "http"}
    else:
        scope |= {"scheme": "ws", "subprotocols": []}
        scope["extensions"] = {"websocket.http.response": {}}
    asyncio.run(make()(scope, receive, send))
    return said


def status(method: str = "GET", **headers: str) -> int:
    path = "/" if method == "GET" else "/act"
    return int(asked("http", path, method, **headers)[0]["status"])


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
    said = asked("http", "/", host='odd".example')
    assert said[0]["status"] == 421
    assert b"ALLOWED_HOSTS" in said[1]["body"]
    assert b'odd\\".example' in said[1]["body"]


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
    said = asked("websocket", "/ws", host="127.0.0.1:8084", origin=origin)
    assert said[0] == {**said[0], "type": "websocket.http.response.start", "status": 403}


def test_a_websocket_by_a_foreign_name_is_refused() -> None:
    said = asked("websocket", "/ws", host="rebound.example")
    assert said[0] == {**said[0], "type": "websocket.http.response.start", "status": 421}


def test_clients_that_are_no_browser_go_on_as_before() -> None:
    assert status("POST") == 200
    assert status("POST", host="127.0.0.1:8084") == 200
    said = asked("websocket", "/ws", host="127.0.0.1:8084")
    assert [m["type"] for m in said] == ["websocket.accept", "websocket.close"]
