"""The published ports of a Compose deployment: one container takes them, and hands them on.

The networks behind it are internal, so that nothing in them reaches the internet, and a service of
which several containers run can have one fixed port. It listens at one address alone, in a network
that no service is in. How many connections it has open is in ``admission``.

    python -m trading.compose.edge ADDRESS 8080=trading-exchange:8080 8081=trading-custodian:8081
"""

import asyncio
import contextlib
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping

from trading.compose.admission import Admission, Connection, most

#: Bytes that are read at once, and that wait to be written until nothing more is read.
_CHUNK = 16 * 1024
#: Bytes that the kernel keeps of what has not been read, twice: without a limit they all come at
#: once, and are many.
_UNREAD = 32 * 1024
#: Seconds for a connection to a service.
_PATIENCE = 5
#: Seconds that a connection stays of which one side has ended and the other says nothing.
HALF_OPEN = 60.0


async def serve(
    host: str,
    routes: Mapping[int, tuple[str, int]],
    listening: Callable[[], None] = lambda: None,
) -> None:
    """Until SIGTERM or SIGINT. ``routes``: own port -> host and port; ``listening`` is called once
    all of them are. Raises OSError where it cannot listen.
    """
    stop = asyncio.Event()
    for signalled in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signalled, stop.set)
    open_now: set[asyncio.Task[None]] = set()
    admission = Admission(routes, most(len(routes)))
    servers = []
    try:
        for port, (target, number) in routes.items():
            handler = _handler(port, target, number, open_now, admission)
            servers.append(await asyncio.start_server(handler, host, port, limit=_CHUNK))
            print(f"{port} -> {target}:{number}", flush=True)
        listening()
        await stop.wait()
    finally:
        for server in servers:
            server.close()
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)


_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


def _handler(
    own: int, target: str, port: int, open_now: set[asyncio.Task[None]], admission: Admission
) -> _Handler:
    def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def end() -> None:
            # Of a task that has not begun, nothing would close the connection.
            writer.transport.abort()
            task.cancel()

        connection = Connection(end)
        task = asyncio.create_task(_hand_on(reader, writer, target, port, connection))
        open_now.add(task)
        task.add_done_callback(open_now.discard)
        task.add_done_callback(lambda _: admission.leave(connection, own))
        admission.enter(connection, own)

    return handle


async def _hand_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: str,
    port: int,
    connection: Connection,
) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            answers, there = await _connect(target, port)
    except (OSError, TimeoutError):
        # The client sees what it would see of a port that nobody listens on.
        writer.transport.abort()
        return
    _keep_alive(writer)
    for end in (writer, there):
        _keep_little(end)
    both = {
        asyncio.create_task(_pump(reader, there, connection)),
        asyncio.create_task(_pump(answers, writer, connection)),
    }
    broken = True
    try:
        broken = await _is_broken(both, connection)
    finally:
        if broken:
            # Broken off on one side, or to be ended: whoever takes nothing would be waited for.
            writer.transport.abort()
            there.transport.abort()
        for task in both:
            task.cancel()
        writer.close()
        there.close()
        await asyncio.gather(*both, return_exceptions=True)
        for end in (writer, there):
            with contextlib.suppress(OSError):
                await end.wait_closed()


async def _is_broken(both: set[asyncio.Task[None]], connection: Connection) -> bool:
    """Wait until both directions have ended, or one is broken, or one has ended and nothing comes
    in the other for HALF_OPEN seconds. Return False where both have ended as they should.
    """
    done, left = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    while left and not any(task.exception() for task in done):
        before = connection.moved
        ended, left = await asyncio.wait(left, timeout=HALF_OPEN)
        done |= ended
        if not ended and connection.moved == before:
            return True
    return any(task.exception() for task in done)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have the kernel ask after a client that says nothing: its machine may be gone."""
    opened = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if option := getattr(socket, name, None):
            opened.setsockopt(socket.IPPROTO_TCP, option, value)


def _keep_little(writer: asyncio.StreamWriter) -> None:
    """Have little memory used for what one side says and the other does not take."""
    writer.transport.set_write_buffer_limits(high=_CHUNK)
    opened = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD)


async def _connect(target: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To any of the addresses that the name has: with several containers, to each in turn."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target, port, type=socket.SOCK_STREAM)
    random.shuffle(found)
    for number, entry in enumerate(found, 1):
        try:
            return await asyncio.open_connection(*entry[4][:2], limit=_CHUNK)
        except OSError:
            if number == len(found):
                raise
    raise OSError(f"{target} has no address")


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection
) -> None:
    """One direction to its end: a client that has said all may still want the answer."""
    while found := await reader.read(_CHUNK):
        writer.write(found)
        await writer.drain()
        connection.move()
    writer.write_eof()


def main(arguments: list[str]) -> int:
    """Exit code 2: wrong arguments, or an address that cannot be listened on."""
    routes = {}
    for argument in arguments[1:]:
        try:
            own, _, there = argument.partition("=")
            target, _, port = there.rpartition(":")
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
