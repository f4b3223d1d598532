"""The edge's limits of connections, tested directly and with an edge on real sockets."""

import asyncio
import contextlib
import resource
from collections.abc import Iterator

import pytest

from tests.compose.test_edge import answering, close
from trading.compose import admission
from trading.compose.admission import Admission, Connection, connection_limit

#: The limits in these tests: of one port, of all ports, and the reserved slots of each port.
SHARE, TOTAL, RESERVED = 6, 8, 2


@pytest.fixture(autouse=True)
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MAX_CONNECTIONS", TOTAL)
    monkeypatch.setattr(admission, "RESERVED_PER_PORT", RESERVED)


class EdgeModel:
    """An Admission with a manual clock and named connections; records which ones were closed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self._admission = Admission((8080, 8084), TOTAL, clock=lambda: self.now)
        self._connections: dict[str, tuple[Connection, int]] = {}

    def enter(self, name: str, port: int = 8080) -> None:
        self.now += 1
        connection = Connection(lambda: self.ended.append(name), clock=lambda: self.now)
        self._connections[name] = connection, port
        self._admission.enter(connection, port)

    def transfer(self, name: str) -> None:
        self.now += 1
        self._connections[name][0].record_transfer()

    def leave(self, name: str) -> None:
        self._admission.leave(*self._connections[name])


def names(prefix: str, count: int) -> Iterator[str]:
    return (f"{prefix}-{number}" for number in range(count))


def test_over_the_limit_those_that_come_end_each_other_and_nobody_else() -> None:
    edge = EdgeModel()
    for name in names("early", SHARE):
        edge.enter(name)
    for name in names("late", RESERVED):
        edge.enter(name)
    assert edge.ended == []
    edge.enter("later")
    assert edge.ended == ["late-0"]


def test_the_one_that_has_said_nothing_for_longest_makes_room() -> None:
    edge = EdgeModel()
    for name in (*names("early", SHARE), *names("late", RESERVED)):
        edge.enter(name)
    edge.transfer("late-0")
    edge.enter("operator")
    assert edge.ended == ["late-1"]


def test_a_port_has_its_share_and_the_others_have_the_rest() -> None:
    edge = EdgeModel()
    for name in names("flood", SHARE + RESERVED):
        edge.enter(name)
    for name in names("other", TOTAL - SHARE + RESERVED):
        edge.enter(name, 8084)
    assert edge.ended == []
    # All slots are in use now: each port closes its own connections.
    edge.enter("another", 8084)
    assert edge.ended == [f"other-{TOTAL - SHARE}"]


def test_whoever_leaves_makes_room() -> None:
    edge = EdgeModel()
    for name in (*names("early", SHARE), *names("late", RESERVED)):
        edge.enter(name)
    edge.leave("early-3")
    edge.leave("late-1")
    edge.enter("in-place-of-early")
    edge.enter("in-place-of-late")
    assert edge.ended == []
    edge.enter("one-more")
    assert edge.ended == ["late-0"]
    # This connection was removed before.
    edge.leave("late-0")


def test_a_flood_is_told_of_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    edge = EdgeModel()
    for name in names("one", SHARE + 9):
        edge.enter(name)
    assert capsys.readouterr().err == (
        f"8080: over the limit of connections: {SHARE} of {TOTAL} are open, {SHARE} of {SHARE} of"
        " this port; those that come now end each other\n"
    )
    for name in names("another", 2):
        edge.enter(name)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("limits", "total", "raised"),
    [
        ((1024, 4096), TOTAL, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), TOTAL, None),
        ((100, 4096), TOTAL, 2 * (TOTAL + 2 * RESERVED) + 192),
        ((100, resource.RLIM_INFINITY), TOTAL, 2 * (TOTAL + 2 * RESERVED) + 192),
        ((100, 210), 5, 210),
        ((100, 100), 2, 100),
    ],
)
def test_there_are_descriptors_for_all(
    limits: tuple[int, int], total: int, raised: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_limits: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: new_limits.append(pair[0]))
    assert connection_limit(2) == total
    assert new_limits == ([] if raised is None else [raised])


class Echo:
    """A service behind the edge. `open` counts its connections, `max_open` their maximum."""

    def __init__(self) -> None:
        self.open = 0
        self.max_open = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.max_open = max(self.max_open, self.open)
        with contextlib.suppress(OSError):
            while data := await reader.read(100):
                writer.write(data.upper())
                await writer.drain()
        self.open -= 1
        await close(writer)


async def query(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the response of the service; empty if the connection was aborted."""
    try:
        writer.write(b"halt")
        async with asyncio.timeout(20):
            return await reader.read(100)
    except ConnectionError:
        return b""


def test_an_operator_gets_in_however_many_connections_are_held_open() -> None:
    async def check() -> None:
        echo = Echo()
        async with answering(echo) as port:

            async def opened() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
                return await asyncio.open_connection("127.0.0.1", port)

            for _ in range(2 * TOTAL):
                # A closed connection does not use a slot.
                closed = await opened()
                closed[1].write_eof()
                assert await closed[0].read() == b""
                await close(closed[1])
            early = [await opened() for _ in range(SHARE)]
            assert [await query(*connection) for connection in early] == [b"HALT"] * SHARE
            held = await asyncio.gather(*(opened() for _ in range(60)))
            operator = await opened()
            assert await query(*operator) == b"HALT"
            # The earlier connections are still open; of the later ones, only a few are.
            assert [await query(*connection) for connection in early] == [b"HALT"] * SHARE
            responses = [await query(*connection) for connection in held]
            assert responses.count(b"HALT") <= RESERVED
            assert echo.open <= SHARE + RESERVED
            for _, writer in (*early, *held, operator):
                await close(writer)

    asyncio.run(check())


def test_one_that_takes_nothing_is_ended_all_the_same() -> None:
    """A regular close would wait until the client has read the rest."""

    async def check() -> None:
        full = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError):
                while await reader.read(1) == b"m":
                    # More than all buffers on the way can hold.
                    writer.write(b"x" * 50_000_000)
                    full.set()
                    await writer.drain()
            await close(writer)

        async with answering(talk) as port:

            async def opened(data: bytes) -> asyncio.StreamWriter:
                _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
                writer.write(data)
                return writer

            early = [await opened(b"") for _ in range(SHARE)]
            greedy = await opened(b"m")
            await full.wait()
            late = []
            async with asyncio.timeout(20):
                while not greedy.is_closing():
                    # All of these are newer than the last transfer of the greedy one.
                    late += [await opened(b"") for _ in range(RESERVED + 1)]
                    await asyncio.sleep(0.05)
                    greedy.write(b"?")
            for writer in (*early, greedy, *late):
                await close(writer)

    asyncio.run(check())
