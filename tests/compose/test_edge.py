"""The edge of a Compose deployment, over real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from trading.compose import edge


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def forwarding(target: int) -> AsyncIterator[int]:
    """The port that hands connections on to ``target``."""
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
    """The port of an edge before a server."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server, forwarding(server.sockets[0].getsockname()[1]) as port:
        yield port


def test_both_directions_to_their_ends() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await closed(writer)

    async def check() -> bytes:
        async with answering(shout) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"order" * 100_000)
            # The answer comes only after the end of the question.
            writer.write_eof()
            answer = await reader.read()
            await closed(writer)
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
                await closed(writer)

    with contextlib.suppress(ConnectionResetError):
        assert asyncio.run(check()) == b""


def test_a_connection_broken_on_one_side_breaks_on_the_other() -> None:
    async def check() -> None:
        seen: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await seen.put(writer)
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            await closed(writer)

        async with answering(keep) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            (await seen.get()).transport.abort()
            with contextlib.suppress(ConnectionResetError):
                async with asyncio.timeout(5):
                    assert await reader.read() == b""
            await closed(writer)

    asyncio.run(check())


def test_the_side_that_has_not_ended_is_cut_off_once_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge, "HALF_OPEN", 0.2)

    async def of_the_service() -> None:
        """The client has ended; what the service still says keeps the connection open."""
        cut_off, over = asyncio.Event(), asyncio.Event()

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            for _ in range(5):
                writer.write(b"more")
                await asyncio.sleep(0.1)
            await cut_off.wait()
            await closed(writer)
            over.set()

        async with answering(keep) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write_eof()
            async with asyncio.timeout(5):
                assert await reader.readexactly(20) == b"more" * 5
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
            await closed(writer)
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
            await closed(writer)

        async with answering(end) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            # Nothing more comes from this client, and it does not close.
            async with asyncio.timeout(5):
                await cut_off.wait()
            await closed(writer)

    asyncio.run(check())


@pytest.mark.parametrize(
    "arguments,said",
    [
        (["127.0.0.1"], "python -m trading.compose.edge"),
        (["127.0.0.1", "8080"], "8080: must be like"),
        (["127.0.0.1", "x=y:1"], "x=y:1: must be like"),
        (["192.0.2.1", "8080=x:1"], "192.0.2.1: "),
    ],
)
def test_wrong_arguments_say_so(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edge.main(arguments) == 2
    assert said in capsys.readouterr().err
