"""The edge of a Compose deployment, tested over real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from trading.compose import edge


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def forwarding(target: int) -> AsyncIterator[int]:
    """Run an edge that forwards to the port `target`, and yield its port."""
    port = free_port()
    listening = asyncio.Event()
    routes = {port: ("127.0.0.1", target)}
    running = asyncio.create_task(edge.serve("127.0.0.1", routes, listening.set))
    try:
        await listening.wait()
        yield port
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@contextlib.asynccontextmanager
async def answering(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Run a server with an edge before it, and yield the port of the edge."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server, forwarding(server.sockets[0].getsockname()[1]) as port:
        yield port


def test_both_directions_to_their_ends() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await close(writer)

    async def check() -> bytes:
        async with answering(shout) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"order" * 100_000)
            # The response is sent only after the end of the request.
            writer.write_eof()
            answer = await reader.read()
            await close(writer)
            return answer

    assert asyncio.run(check()) == b"ORDER" * 100_000


def test_a_target_that_is_not_there_is_a_broken_connection() -> None:
    async def check() -> bytes:
        async with forwarding(free_port()) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                async with asyncio.timeout(5):
                    return await reader.read()
            finally:
                await close(writer)

    with contextlib.suppress(ConnectionResetError):
        assert asyncio.run(check()) == b""


def test_a_connection_broken_on_one_side_breaks_on_the_other() -> None:
    async def check() -> None:
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await accepted.put(writer)
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            await close(writer)

        async with answering(hold) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            (await accepted.get()).transport.abort()
            with contextlib.suppress(ConnectionResetError):
                async with asyncio.timeout(5):
                    assert await reader.read() == b""
            await close(writer)

    asyncio.run(check())


def test_the_side_that_has_not_ended_is_cut_off_once_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge, "HALF_OPEN", 0.2)

    async def of_the_service() -> None:
        """The client has closed its side; data from the service keeps the connection open."""
        cut_off, over = asyncio.Event(), asyncio.Event()

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            for _ in range(5):
                writer.write(b"more")
                await asyncio.sleep(0.1)
            await cut_off.wait()
            await close(writer)
            over.set()

        async with answering(hold) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write_eof()
            async with asyncio.timeout(5):
                assert await reader.readexactly(20) == b"more" * 5
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
            await close(writer)
            cut_off.set()
            await over.wait()

    asyncio.run(of_the_service())


def test_a_client_is_cut_off_that_stays_though_the_service_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge, "HALF_OPEN", 0.2)

    async def check() -> None:
        cut_off = asyncio.Event()

        async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write_eof()
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            cut_off.set()
            await close(writer)

        async with answering(end) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            # This client sends nothing more and does not close the connection.
            async with asyncio.timeout(5):
                await cut_off.wait()
            await close(writer)

    asyncio.run(check())


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["127.0.0.1"], "python -m trading.compose.edge"),
        (["127.0.0.1", "8080"], "8080: must be like"),
        (["127.0.0.1", "x=y:1"], "x=y:1: must be like"),
        (["192.0.2.1", "8080=x:1"], "192.0.2.1: "),
    ],
)
def test_wrong_arguments_say_so(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge.main(arguments) == 2
    assert message in capsys.readouterr().err
