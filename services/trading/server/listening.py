"""uvicorn servers on sockets of ours, ended together."""

import asyncio
import contextlib
import errno
import signal
import socket
import time
from collections.abc import Iterator, Sequence

import uvicorn
from fastapi import FastAPI

from trading.hosting.addresses import address
from trading.hosting.wire import CountedSocket, Wire

#: How long open requests may take once the end has been asked for, wall seconds.
GRACE = 1
#: Wall seconds that a name of this machine may take to be known, and between two looks.
_NAME_PATIENCE = 10.0
_AGAIN = 0.2


class PortTaken(Exception):
    pass


class NotKept(Exception):
    """The process has ended, and not all that it had decided is in its journal; says why."""


class Server(uvicorn.Server):
    """``listening``: set once it answers. Signals end the process as a whole, not one server.
    ``largest``: bytes of a WebSocket message that it takes.
    """

    def __init__(self, app: FastAPI, largest: int = 64 * 1024) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Wire,
                ws=CountedSocket,
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


def listen(hosts: Sequence[str], port: int, service: str) -> list[socket.socket]:
    """On each address, and on this machine's address by each name. Raises PortTaken."""
    found: list[socket.socket] = []
    try:
        for host in hosts:
            if address(host) is not None:
                found.append(_bound(host, port))
            else:
                found += _by_name(host, port)
    except OSError as error:
        for made in found:
            made.close()
        raise PortTaken(f"{host}:{port} ({service}): {error.strerror or error}") from error
    return found


def _by_name(name: str, port: int) -> list[socket.socket]:
    """Where several containers share a name, only one of its addresses is this one's. The name
    of a container can come later than its first process.
    """
    until = time.monotonic() + _NAME_PATIENCE
    while True:
        try:
            known = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            found = []
            for host in dict.fromkeys(str(entry[4][0]) for entry in known):
                try:
                    found.append(_bound(host, port))
                except OSError as error:
                    if error.errno != errno.EADDRNOTAVAIL:
                        raise
            if found:
                return found
            problem = OSError(errno.EADDRNOTAVAIL, "none of its addresses is this machine's")
        except socket.gaierror as error:
            problem = OSError(errno.EADDRNOTAVAIL, f"unknown name: {error.strerror}")
        if time.monotonic() > until:
            raise problem
        time.sleep(_AGAIN)


def _bound(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(1024)
    except OSError:
        made.close()
        raise
    return made


async def until_end(stop: asyncio.Event, failed: asyncio.Event) -> None:
    """Return once the end has been asked for, or the process is of no use any more."""
    waiting = [asyncio.ensure_future(event.wait()) for event in (stop, failed)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


def until_signal() -> asyncio.Event:
    """Set by SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def _nothing() -> None:
    return
