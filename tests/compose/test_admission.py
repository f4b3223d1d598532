"""How many connections the edge has open: by its rules, and over real sockets by a real edge."""

import asyncio
import contextlib
import resource
from collections.abc import Iterator

import pytest

from tests.compose.test_edge import answering, closed
from trading.compose import admission
from trading.compose.admission import Admission, Connection, most

#: Of the edges here: connections of one port, of all, and beside them of each port.
SHARE, TOTAL, KEPT_BACK = 6, 8, 2


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "TOTAL", TOTAL)
    monkeypatch.setattr(admission, "KEPT_BACK", KEPT_BACK)


class Range:
    """Connections by name, and who was ended."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self._admission = Admission((8080, 8084), TOTAL, clock=lambda: self.now)
        self._known: dict[str, tuple[Connection, int]] = {}

    def enter(self, name: str, port: int = 8080) -> None:
        self.now += 1
        connection = Connection(lambda: self.ended.append(name), clock=lambda: self.now)
        self._known[name] = connection, port
        self._admission.enter(connection, port)

    def say(self, name: str) -> None:
        self.now += 1
        self._known[name][0].move()

    def leave(self, name: str) -> None:
        self._admission.leave(*self._known[name])


def names(what: str, count: int) -> Iterator[str]:
    return (f"{what}-{number}" for number in range(count))


def test_over_the_limit_those_that_come_end_each_other_and_nobody_else() -> None:
    found = Range()
    for name in names("early", SHARE):
        found.enter(name)
    for name in names("late", KEPT_BACK):
        found.enter(name)
    assert found.ended == []
    found.enter("later")
    assert found.ended == ["late-0"]


def test_the_one_that_has_said_nothing_for_longest_makes_room() -> None:
    found = Range()
    for name in (*names("early", SHARE), *names("late", KEPT_BACK)):
        found.enter(name)
    found.say("late-0")
    found.enter("operator")
    assert found.ended == ["late-1"]


def test_a_port_has_its_share_and_the_others_have_the_rest() -> None:
    found = Range()
    for name in names("flood", SHARE + KEPT_BACK):
        found.enter(name)
    for name in names("other", TOTAL - SHARE + KEPT_BACK):
        found.enter(name, 8084)
    assert found.ended == []
    # All are taken now: each port ends its own.
    found.enter("another", 8084)
    assert found.ended == [f"other-{TOTAL - SHARE}"]


def test_whoever_leaves_makes_room() -> None:
    found = Range()
    for name in (*names("early", SHARE), *names("late", KEPT_BACK)):
        found.enter(name)
    found.leave("early-3")
    found.leave("late-1")
    found.enter("in-place-of-early")
    found.enter("in-place-of-late")
    assert found.ended == []
    found.enter("one-more")
    assert found.ended == ["late-0"]
    # It is gone already.
    found.leave("late-0")


def test_a_flood_is_told_of_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    found = Range()
    for name in names("one", SHARE + 9):
        found.enter(name)
    assert capsys.readouterr().err == (
        f"8080: over the limit of connections: {SHARE} of {TOTAL} are open, {SHARE} of {SHARE} of"
        " this port; those that come now end each other\n"
    )
    for name in names("another", 2):
        found.enter(name)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("limits", "total", "raised"),
    [
        ((1024, 4096), TOTAL, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), TOTAL, None),
        ((100, 4096), TOTAL, 2 * (TOTAL + 2 * KEPT_BACK) + 192),
        ((100, resource.RLIM_INFINITY), TOTAL, 2 * (TOTAL + 2 * KEPT_BACK) + 192),
        ((100, 210), 5, 210),
        ((100, 100), 2, 100),
    ],
)
def test_there_are_descriptors_for_all(
    limits: tuple[int, int], total: int, raised: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: given.append(pair[0]))
    assert most(2) == total
    assert given == ([] if raised is None else [raised])


class Echo:
    """A service behind the edge. ``open``: its connections; ``most``: at once."""

    def __init__(self) -> None:
        self.open = 0
        self.most = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        with contextlib.suppress(OSError):
            while said := await reader.read(100):
                writer.write(said.upper())
                await writer.drain()
        self.open -= 1
        await closed(writer)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """What the service says; nothing where the connection was broken off."""
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
                # Whoever has gone takes no place.
                gone = await opened()
                gone[1].write_eof()
                assert await gone[0].read() == b""
                await closed(gone[1])
            early = [await opened() for _ in range(SHARE)]
            assert [await answer(*one) for one in early] == [b"HALT"] * SHARE
            held = await asyncio.gather(*(opened() for _ in range(60)))
            operator = await opened()
            assert await answer(*operator) == b"HALT"
            # Who was there before is there still; of those who came late, few are.
            assert [await answer(*one) for one in early] == [b"HALT"] * SHARE
            left = [await answer(*one) for one in held]
            assert left.count(b"HALT") <= KEPT_BACK
            assert echo.open <= SHARE + KEPT_BACK
            for _, writer in (*early, *held, operator):
                await closed(writer)

    asyncio.run(check())


def test_one_that_takes_nothing_is_ended_all_the_same() -> None:
    """Who closes politely would wait until the client has taken the rest."""

    async def check() -> None:
        full = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError):
                while await reader.read(1) == b"m":
                    # As much as fits on the way, and more.
                    writer.write(b"x" * 50_000_000)
                    full.set()
                    await writer.drain()
            await closed(writer)

        async with answering(talk) as port:

            async def opened(said: bytes) -> asyncio.StreamWriter:
                _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
                writer.write(said)
                return writer

            early = [await opened(b"") for _ in range(SHARE)]
            greedy = await opened(b"m")
            await full.wait()
            late = []
            async with asyncio.timeout(20):
                while not greedy.is_closing():
                    # All of these are newer than what the greedy one has said last.
                    late += [await opened(b"") for _ in range(KEPT_BACK + 1)]
                    await asyncio.sleep(0.05)
                    greedy.write(b"?")
            for writer in (*early, greedy, *late):
                await closed(writer)

    asyncio.run(check())
