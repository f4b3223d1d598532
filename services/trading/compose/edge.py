"""The published ports of a Compose deployment: one container takes them, and hands them on.

The networks behind it are internal, so that nothing in them reaches the internet, and a service of
which several containers run can have one fixed port. It listens at one address alone, in a network
that no service is in.

    python -m trading.compose.edge ADDRESS 8080=trading-exchange:8080 8081=trading-custodian:8081
"""

import asyncio
import contextlib
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping

_CHUNK = 64 * 1024
#: Seconds for a connection to a service.
_PATIENCE = 5


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
    servers = []
    try:
        for port, (target, number) in routes.items():
            handler = _handler(target, number, open_now)
            servers.append(await asyncio.start_server(handler, host, port))
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


def _handler(target: str, port: int, open_now: set[asyncio.Task[None]]) -> _Handler:
    def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_hand_on(reader, writer, target, port))
        open_now.add(task)
        task.add_done_callback(open_now.discard)

    return handle


async def _hand_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, port: int
) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            answers, there = await _connect(target, port)
    except (OSError, TimeoutError):
        # The client sees what it would see of a port that nobody listens on.
        writer.transport.abort()
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(reader, there))
            both.create_task(_pump(answers, writer))
    except* OSError:
        # Broken off on one side: so it is on the other.
        writer.transport.abort()
        there.transport.abort()
    finally:
        for end in (writer, there):
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()


async def _connect(target: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To any of the addresses that the name has: with several containers, to each in turn."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target, port, type=socket.SOCK_STREAM)
    random.shuffle(found)
    for number, entry in enumerate(found, 1):
        try:
            return await asyncio.open_connection(*entry[4][:2])
        except OSError:
            if number == len(found):
                raise
    raise OSError(f"{target} has no address")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction to its end: a client that has said all may still want the answer."""
    while found := await reader.read(_CHUNK):
        writer.write(found)
        await writer.drain()
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
