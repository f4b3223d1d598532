"""Runs uvicorn servers on sockets that this process opens, and shuts them down together.

One process may have several servers (``trading up`` has seven), so signals are handled once for the
process and not by each server.
"""

import asyncio
import contextlib
import errno
import signal
import socket
import time
from collections.abc import Iterator, Sequence

import uvicorn

from trading.hosting.addresses import address
from trading.hosting.http_protocols import CountedWebSocketProtocol, HeaderTimeoutProtocol
from trading.hosting.service_app import ServiceApp

#: Wall-clock seconds that open requests may take after a shutdown was requested.
SHUTDOWN_GRACE = 1
#: Wall-clock seconds until a name of this machine has to be resolvable, and between two attempts.
_NAME_TIMEOUT = 10.0
_RETRY_DELAY = 0.2


class PortTaken(Exception):
    """Raised if a server cannot listen on its address; the text says which and why."""


class JournalIncomplete(Exception):
    """Raised at the end of a process that could not save all its decisions; the text says why."""


class Server(uvicorn.Server):
    """A uvicorn server for ``app``, with the project's limits and without signal handlers.

    ``max_message`` is the largest WebSocket message that it accepts, in bytes. The event
    ``listening`` is set as soon as the server answers.
    """

    def __init__(self, app: ServiceApp, max_message: int = 64 * 1024) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HeaderTimeoutProtocol,
                ws=CountedWebSocketProtocol,
                proxy_headers=False,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE,
                h11_max_incomplete_event_size=32 * 1024,
                ws_max_size=max_message,
                ws_ping_interval=20,
                ws_ping_timeout=60,
                server_header=False,
            )
        )
        self.app = app
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, then set ``listening``."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers of the process alone."""
        yield

    def begin_shutdown(self) -> None:
        """End all streams and accept no new connections; open requests have SHUTDOWN_GRACE."""
        self.app.context.begin_shutdown()
        self.should_exit = True


def listen(hosts: Sequence[str], port: int, service: str) -> list[socket.socket]:
    """Return sockets that listen on ``port`` of every host in ``hosts``.

    A host is an address, or a name that resolves to an address of this machine. ``service`` is for
    the message of PortTaken, which is raised if one of them cannot be used.
    """
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            if address(host) is not None:
                sockets.append(_open_socket(host, port))
            else:
                sockets += _listen_on_name(host, port)
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise PortTaken(f"{host}:{port} ({service}): {error.strerror or error}") from error
    return sockets


def _listen_on_name(name: str, port: int) -> list[socket.socket]:
    """Listen on those addresses of ``name`` that belong to this machine.

    Several containers may share a name, of whose addresses only one is this container's. The name
    of a container may become resolvable only after its first process has started, so this retries.
    """
    deadline = time.monotonic() + _NAME_TIMEOUT
    while True:
        try:
            addresses = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            sockets = []
            for host in dict.fromkeys(str(entry[4][0]) for entry in addresses):
                try:
                    sockets.append(_open_socket(host, port))
                except OSError as error:
                    if error.errno != errno.EADDRNOTAVAIL:
                        raise
            if sockets:
                return sockets
            problem = OSError(errno.EADDRNOTAVAIL, "none of its addresses is this machine's")
        except socket.gaierror as error:
            problem = OSError(errno.EADDRNOTAVAIL, f"unknown name: {error.strerror}")
        if time.monotonic() > deadline:
            raise problem
        time.sleep(_RETRY_DELAY)


def _open_socket(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


async def wait_for_shutdown(stop: asyncio.Event, failed: asyncio.Event) -> None:
    """Wait until ``stop`` is set by a signal, or ``failed`` by a vital task that ended."""
    tasks = [asyncio.ensure_future(event.wait()) for event in (stop, failed)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def install_signal_handlers() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop.set)
    return stop
