"""uvicorn servers on sockets of ours, ended together."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from trading.hosting.wire import Wire

#: How long open requests may take once the end has been asked for, wall seconds.
GRACE = 1


class PortTaken(Exception):
    pass


class Server(uvicorn.Server):
    """``listening``: set once it answers. Signals end the process as a whole, not one server.
    ``largest``: bytes of a WebSocket message that it takes.
    """

    def __init__(self, app: FastAPI, largest: int = 64 * 1024) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Wire,
                proxy_headers=False,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=GRACE,
                h11_max_incomplete_event_size=32 * 1024,
                ws_max_size=largest,
                ws_ping_interval=20,
                ws_ping_timeout=60,
                server_header=False,
            )
        )
        self.app = app
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """Streams end, nothing new is taken."""
        self.app.state.stopping.set()
        getattr(self.app.state, "closing", _nothing)()
        self.should_exit = True


def listen(host: str, port: int, service: str) -> socket.socket:
    """Raises PortTaken."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except OSError as error:
        made.close()
        raise PortTaken(f"{host}:{port} ({service}): {error.strerror}") from error
    return made


def until_signal() -> asyncio.Event:
    """Set by SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _nothing() -> None:
    return
