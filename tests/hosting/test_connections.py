"""Connections are limited for each client and in total, and an operator still gets access."""

import asyncio
import logging
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import ClassVar

import pytest
import uvicorn
import websockets.sync.client as ws
from fastapi import FastAPI, WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from trading.hosting.connections import Connections, is_urgent, max_connections
from trading.hosting.guard import RequestGuard
from trading.hosting.http_protocols import CountedWebSocketProtocol, HeaderTimeoutProtocol

LIMITS = Connections(total=20, reserved=4)


class CountedHttp(HeaderTimeoutProtocol):
    connection_limits: ClassVar[Connections] = LIMITS  # type: ignore[misc]


class CountedWebSocket(CountedWebSocketProtocol):
    connection_limits: ClassVar[Connections] = LIMITS  # type: ignore[misc]


def make_app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(RequestGuard, service="tested")

    @app.get("/look")
    @app.post("/api/breaker/trip")
    async def respond() -> str:
        return "done"

    @app.websocket("/ws")
    @app.websocket("/link")
    async def idle(connection: WebSocket) -> None:
        await connection.accept()
        await connection.receive_text()

    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    listener = socket.create_server(("0.0.0.0", 0))  # noqa: S104
    config = uvicorn.Config(make_app(), log_config=None, http=CountedHttp, ws=CountedWebSocket)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def opened(port: int) -> Iterator[ExitStack]:
    """A stack of connections; after the test the server must have counted all as closed."""
    with ExitStack() as stack:
        yield stack
    for _ in range(200):
        if not len(LIMITS):
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"{len(LIMITS)} connections are counted that are closed")


def dial(port: int, source: str = "127.0.0.1", path: str = "/ws") -> ClientConnection:
    raw = socket.create_connection(("127.0.0.1", port), 5, (source, 0))
    return ws.connect(f"ws://127.0.0.1:{port}{path}", sock=raw)


def head_of_response(port: int, method: str, path: str) -> str:
    """Return the response once the server has closed the connection; empty if there was none."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        response = b""
        while chunk := connection.recv(4096):
            response += chunk
        return response.decode().lower()


def test_one_client_gets_its_share_and_urgent_requests_are_answered(
    port: int, opened: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "trading.http"):
        for _ in range(LIMITS.share):
            opened.enter_context(dial(port))
        for _ in range(10):
            with pytest.raises(InvalidStatus) as refused, dial(port):
                pass
            assert refused.value.response.status_code == 503
        assert head_of_response(port, "GET", "/look").startswith("http/1.1 503")
        response = head_of_response(port, "POST", "/api/breaker/trip")
        assert response.startswith("http/1.1 200")
        assert "connection: close" in response
        # Links between services are urgent, too; and another address has a share of its own.
        opened.enter_context(dial(port, path="/link"))
        opened.enter_context(dial(port, "127.0.0.2"))
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert f"{LIMITS.share} of {LIMITS.share} from 127.0.0.1" in warning


def test_an_operator_gets_in_though_all_are_taken_and_kept_back_ones_too(
    port: int, opened: ExitStack
) -> None:
    for number in range(LIMITS.total):
        opened.enter_context(dial(port, "127.0.0.2" if number < LIMITS.share else "127.0.0.3"))
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(50)]
    for connection in idle:
        opened.enter_context(connection)
    for _ in range(5):
        assert head_of_response(port, "POST", "/api/breaker/trip").startswith("http/1.1 200")
    # A connection without a request is closed soon, to make room.
    for connection in idle:
        connection.settimeout(10)
        try:
            assert connection.recv(100)[:12] in (b"", b"HTTP/1.1 408")
        except ConnectionResetError:
            continue


def test_what_is_closed_makes_room(port: int, opened: ExitStack) -> None:
    for _ in range(3 * LIMITS.total):
        with dial(port):
            pass
    for _ in range(LIMITS.share):
        opened.enter_context(dial(port))


def test_the_limit_follows_the_descriptors_that_the_process_may_have() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        for soft, expected in ((1024, 832), (256, 64), (64, 16)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
            assert max_connections() == expected
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_warnings_are_counted_and_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

    clock = Clock()
    limits = Connections(1, 1, clock)
    with caplog.at_level(logging.WARNING, "trading.http"):
        for _ in range(100):
            limits.enter(asyncio.BaseTransport(), "10.0.0.7")
        assert [r.getMessage().split()[0] for r in caplog.records] == ["1"]
        clock.now = 11
        limits.enter(asyncio.BaseTransport(), "10.0.0.7")
    assert [r.getMessage().split()[0] for r in caplog.records] == ["1", "99"]


@pytest.mark.parametrize(
    ("path", "urgent"),
    [
        ("/health", True),
        ("/api/breaker", True),
        ("/api/breaker/reset", True),
        ("/api/alerts/drawdown/portfolio/1/acknowledge", True),
        ("/runs/market-crash-1/abort", True),
        ("/api/breakers", False),
        ("/runs/x/events", False),
        ("/events", False),
        ("/", False),
    ],
)
def test_what_is_urgent(path: str, urgent: bool) -> None:
    assert is_urgent(path) == urgent
