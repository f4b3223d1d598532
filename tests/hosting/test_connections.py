"""Connections are limited, for a client and in all, and an operator gets in all the same."""

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

from trading.hosting.connections import Connections, is_urgent, most
from trading.hosting.guard import Guard
from trading.hosting.wire import CountedSocket, Wire

LIMITS = Connections(total=20, kept_back=4)


class Counted(Wire):
    open_now: ClassVar[Connections] = LIMITS  # type: ignore[misc]


class Socket(CountedSocket):
    open_now: ClassVar[Connections] = LIMITS  # type: ignore[misc]


def make() -> FastAPI:
    app = FastAPI()
    app.add_middleware(Guard, service="tested")

    @app.get("/look")
    @app.post("/api/breaker/trip")
    async def look() -> str:
        return "done"

    @app.websocket("/ws")
    @app.websocket("/link")
    async def idle(connection: WebSocket) -> None:
        await connection.accept()
        await connection.receive_text()

    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    made = socket.create_server(("0.0.0.0", 0))  # noqa: S104
    config = uvicorn.Config(make(), log_config=None, http=Counted, ws=Socket)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([made],))
    thread.start()
    yield made.getsockname()[1]
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def held(port: int) -> Iterator[ExitStack]:
    """Whatever a test opens; afterwards the server knows of none."""
    with ExitStack() as stack:
        yield stack
    for _ in range(200):
        if not len(LIMITS):
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"{len(LIMITS)} connections are counted that are closed")


def dial(port: int, source: str = "127.0.0.1", path: str = "/ws") -> ClientConnection:
    made = socket.create_connection(("127.0.0.1", port), 5, (source, 0))
    return ws.connect(f"ws://127.0.0.1:{port}{path}", sock=made)


def ask(port: int, method: str, path: str) -> str:
    """The head of the answer, once the other side has ended the connection; or nothing."""
    with socket.create_connection(("127.0.0.1", port), 10) as made:
        made.sendall(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        said = b""
        while chunk := made.recv(4096):
            said += chunk
        return said.decode().lower()


def test_one_client_gets_its_share_and_urgent_requests_are_answered(
    port: int, held: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "trading.http"):
        for _ in range(LIMITS.share):
            held.enter_context(dial(port))
        for _ in range(10):
            with pytest.raises(InvalidStatus) as refused, dial(port):
                pass
            assert refused.value.response.status_code == 503
        assert ask(port, "GET", "/look").startswith("http/1.1 503")
        said = ask(port, "POST", "/api/breaker/trip")
        assert said.startswith("http/1.1 200")
        assert "connection: close" in said
        # Links between services are urgent, too; and another address has a share of its own.
        held.enter_context(dial(port, path="/link"))
        held.enter_context(dial(port, "127.0.0.2"))
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert f"{LIMITS.share} of {LIMITS.share} from 127.0.0.1" in warning


def test_an_operator_gets_in_though_all_are_taken_and_kept_back_ones_too(
    port: int, held: ExitStack
) -> None:
    for number in range(LIMITS.total):
        held.enter_context(dial(port, "127.0.0.2" if number < LIMITS.share else "127.0.0.3"))
    silent = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(50)]
    for one in silent:
        held.enter_context(one)
    for _ in range(5):
        assert ask(port, "POST", "/api/breaker/trip").startswith("http/1.1 200")
    # One that asks nothing is closed soon, to make room.
    for one in silent:
        one.settimeout(10)
        try:
            assert one.recv(100)[:12] in (b"", b"HTTP/1.1 408")
        except ConnectionResetError:
            continue


def test_what_is_closed_makes_room(port: int, held: ExitStack) -> None:
    for _ in range(3 * LIMITS.total):
        with dial(port):
            pass
    for _ in range(LIMITS.share):
        held.enter_context(dial(port))


def test_the_limit_follows_the_descriptors_that_the_process_may_have() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        for soft, wanted in ((1024, 832), (256, 64), (64, 16)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
            assert most() == wanted
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
