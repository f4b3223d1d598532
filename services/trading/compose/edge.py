"""Forward the published ports of a Compose deployment to its services.

The networks of the services are internal, so that no container in them can reach the internet.
Only the container that runs this module publishes ports. It listens at one address, in a network
without any service, and distributes connections to all containers of a service. `admission` limits
the number of its connections.

    python -m trading.compose.edge ADDRESS 8080=trading-exchange:8080 8081=trading-custodian:8081
"""

import asyncio
import contextlib
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping

from trading.compose.admission import Admission, Connection, connection_limit

#: The most bytes read at once, and the size of a write buffer above which reading pauses.
_CHUNK = 16 * 1024
#: The receive buffer of a socket in bytes; the kernel uses twice as much. Without a limit, the
#: kernel buffers far more.
_RECEIVE_BUFFER = 32 * 1024
#: The timeout of connecting to a service, in seconds.
_CONNECT_TIMEOUT = 5
#: The idle timeout in seconds of a connection that one side has closed.
HALF_OPEN = 60.0


async def serve(
    host: str,
    routes: Mapping[int, tuple[str, int]],
    listening: Callable[[], None] = lambda: None,
) -> None:
    """Forward connections until SIGTERM or SIGINT arrives.

    `routes` maps each port on `host` to the host and port of its target. `listening` is called when
    all ports accept connections. Raises OSError if a port cannot be opened.
    """
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    tasks: set[asyncio.Task[None]] = set()
    admission = Admission(routes, connection_limit(len(routes)))
    servers = []
    try:
        for port, (target, number) in routes.items():
            handler = _handler(port, target, number, tasks, admission)
            servers.append(await asyncio.start_server(handler, host, port, limit=_CHUNK))
            print(f"{port} -> {target}:{number}", flush=True)
        listening()
        await stop.wait()
    finally:
        for server in servers:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


def _handler(
    own_port: int, target: str, port: int, tasks: set[asyncio.Task[None]], admission: Admission
) -> _Handler:
    def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def end() -> None:
            # A task that is cancelled before it starts would not close the connection.
            writer.transport.abort()
            task.cancel()

        connection = Connection(end)
        task = asyncio.create_task(_forward(reader, writer, target, port, connection))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda _: admission.leave(connection, own_port))
        admission.enter(connection, own_port)

    return handle


async def _forward(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: str,
    port: int,
    connection: Connection,
) -> None:
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            target_reader, target_writer = await _connect(target, port)
    except (OSError, TimeoutError):
        # Reset the connection, as if no process listened on the port.
        writer.transport.abort()
        return
    _enable_keepalive(writer)
    for end in (writer, target_writer):
        _limit_buffers(end)
    directions = {
        asyncio.create_task(_pump(reader, target_writer, connection)),
        asyncio.create_task(_pump(target_reader, writer, connection)),
    }
    broken = True
    try:
        broken = await _is_broken(directions, connection)
    finally:
        if broken:
            # Abort instead of closing: closing would wait for a peer that does not read.
            writer.transport.abort()
            target_writer.transport.abort()
        for task in directions:
            task.cancel()
        writer.close()
        target_writer.close()
        await asyncio.gather(*directions, return_exceptions=True)
        for end in (writer, target_writer):
            with contextlib.suppress(OSError):
                await end.wait_closed()


async def _is_broken(directions: set[asyncio.Task[None]], connection: Connection) -> bool:
    """Wait for the end of a connection and return whether it must be aborted.

    Returns False if both directions have ended regularly. Returns True if one has failed, or if one
    has ended and the other has been idle for HALF_OPEN seconds.
    """
    completed, pending = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    while pending and not any(task.exception() for task in completed):
        transfers_before = connection.transfers
        newly_completed, pending = await asyncio.wait(pending, timeout=HALF_OPEN)
        completed |= newly_completed
        if not newly_completed and connection.transfers == transfers_before:
            return True
    return any(task.exception() for task in completed)


def _enable_keepalive(writer: asyncio.StreamWriter) -> None:
    """Let the kernel probe idle connections, which detects clients that no longer exist."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if option := getattr(socket, name, None):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _limit_buffers(writer: asyncio.StreamWriter) -> None:
    """Limit the memory for data that one side has sent and the other has not read."""
    writer.transport.set_write_buffer_limits(high=_CHUNK)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)


async def _connect(target: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to one of the addresses of `target`.

    They are tried in random order, which distributes connections among several containers.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(target, port, type=socket.SOCK_STREAM)
    random.shuffle(addresses)
    for number, entry in enumerate(addresses, 1):
        try:
            return await asyncio.open_connection(*entry[4][:2], limit=_CHUNK)
        except OSError:
            if number == len(addresses):
                raise
    raise OSError(f"{target} has no address")


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection
) -> None:
    """Forward one direction until its end.

    Then only the write side is closed: a client that has sent its request still reads the response.
    """
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
        connection.record_transfer()
    writer.write_eof()


def main(arguments: list[str]) -> int:
    """Run the edge and return the exit code.

    It is 2 if the arguments are wrong or a port cannot be opened.
    """
    routes = {}
    for argument in arguments[1:]:
        try:
            own, _, destination = argument.partition("=")
            target, _, port = destination.rpartition(":")
            routes[int(own)] = target, int(port)
        except ValueError:
            print(f"{argument}: must be like 8080=trading-exchange:8080", file=sys.stderr)
            return 2
    if not routes:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    try:
        asyncio.run(serve(arguments[0], routes))
    except OSError as error:
        print(f"{arguments[0]}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
