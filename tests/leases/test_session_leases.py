"""Leases in the simulated time of a virtual session; in this process, with a real Redis."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
import redis

from tests.redis_server import RedisServer
from trading.hosting.lease_scripts import PREFIX
from trading.hosting.session_leases import TTL, LeasesUnavailable, SessionLeases

ACCOUNTS = ("firm-mm", "firm-momentum", "firm-meanrev", "firm-index")
#: Milliseconds of simulated time, which is years away from the clock of Redis.
START = 1_000_000_000_000
EVERY = 1000
Held = dict[str, int]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as redis_server:
        yield redis_server


class Engine:
    """A trading engine. ``held`` is the leases that its journal has. It synchronises with Redis
    ``offset`` simulated milliseconds after every second.
    """

    def __init__(self, url: str, name: str, offset: int, key: str = "k") -> None:
        self.leases = SessionLeases(url, key, name, ACCOUNTS)
        self.name = name
        self.offset = offset
        self.held: Held = {}

    async def compare(self, second: int) -> bool:
        """Synchronise once; return whether its leases have changed."""
        now = START + second * EVERY + self.offset
        held = await self.leases.synchronise(now, self.held)
        changed, self.held = held != self.held, held
        return changed


@asynccontextmanager
async def engines(url: str, *names: str) -> AsyncIterator[list[Engine]]:
    started = [Engine(url, name, offset) for offset, name in enumerate(names)]
    try:
        yield started
    finally:
        for engine in started:
            await engine.leases.close()


async def let_pass(among: Sequence[Engine], seconds: range) -> None:
    for second in seconds:
        for engine in among:
            await engine.compare(second)


def shares(among: Sequence[Engine]) -> list[int]:
    held = [account for engine in among for account in engine.held]
    assert len(held) == len(set(held)), "an account has two owners"
    return [len(engine.held) for engine in among]


@pytest.mark.usefixtures("client")
def test_nobody_holds_anything_before_everybody_can_have_asked(server: RedisServer) -> None:
    async def run() -> None:
        async with engines(server.url, "a", "b") as both:
            await let_pass(both, range(TTL // EVERY))
            assert shares(both) == [0, 0]
            await let_pass(both, range(TTL // EVERY, TTL // EVERY + 1))
            assert shares(both) == [2, 2]
            before = [dict(engine.held) for engine in both]
            await let_pass(both, range(4, 60))
            assert [engine.held for engine in both] == before

    asyncio.run(run())


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("lost", [0, 1])
def test_what_a_lost_engine_held_goes_on_when_its_time_is_over(
    server: RedisServer, lost: int
) -> None:
    """The clock of Redis does not matter."""

    async def run() -> None:
        async with engines(server.url, "a", "b") as both:
            await let_pass(both, range(11))
            gone, left = both[lost], both[1 - lost]
            until = START + 10 * EVERY + gone.offset + TTL
            for second in range(11, 20):
                changed = await left.compare(second)
                over = START + second * EVERY + left.offset > until
                assert changed == (over and shares(both[1 - lost :][:1]) == [4])
                if over:
                    break
            assert second * EVERY <= 10 * EVERY + TTL + EVERY
            assert all(left.held[account] > fence for account, fence in gone.held.items())

    asyncio.run(run())


@pytest.mark.usefixtures("client")
def test_who_comes_later_gets_a_share_that_somebody_has_let_go_of_first(
    server: RedisServer,
) -> None:
    async def run() -> None:
        async with engines(server.url, "a", "b", "c") as (a, b, c):
            await let_pass([a], range(5))
            assert shares([a]) == [4]
            for second in range(5, 12):
                for engine in (a, b, c):
                    await engine.compare(second)
                    shares([a, b, c])
            assert sorted(shares([a, b, c])) == [1, 1, 2]

    asyncio.run(run())


@pytest.mark.usefixtures("client")
def test_the_same_question_has_the_same_answer(server: RedisServer) -> None:
    """An engine restarts from a journal that does not have the response yet."""

    async def run() -> None:
        async with engines(server.url, "a", "b") as (a, b):
            await let_pass([a, b], range(3))
            await a.compare(3)
            first = a.held
            assert len(first) == 2
            await b.compare(3)
            for _ in range(2):
                a.held = {}
                await a.compare(3)
                assert a.held == first

    asyncio.run(run())


@pytest.mark.usefixtures("client")
def test_nothing_changes_at_a_moment_before_the_last(server: RedisServer) -> None:
    async def run() -> None:
        async with engines(server.url, "a", "b") as (a, b):
            await let_pass([a, b], range(8))
            before = dict(a.held), dict(b.held)
            a.held = {"firm-mm": 7}
            assert not await a.compare(5)
            a.held = before[0]
            await let_pass([a, b], range(8, 12))
            assert (a.held, b.held) == before

    asyncio.run(run())


def test_a_session_is_apart_from_others_and_forgotten_one_day(
    server: RedisServer, client: "redis.Redis"
) -> None:
    async def run() -> None:
        first, other = Engine(server.url, "a", 0, "one"), Engine(server.url, "a", 0, "two")
        for second in range(5):
            await first.compare(second)
            await other.compare(second)
        assert len(first.held) == len(other.held) == 4
        for engine in (first, other):
            await engine.leases.close()

    asyncio.run(run())
    keys = [str(key) for key in client.scan_iter("*")]
    assert {key.removeprefix(PREFIX).split(":")[0] for key in keys} == {"one", "two"}
    assert len(keys) == 2 * (3 + 2 * len(ACCOUNTS))
    left = [int(str(client.pttl(key))) for key in keys]
    assert all(3_600_000 < milliseconds <= 86_400_000 for milliseconds in left)


def test_a_redis_that_has_lost_its_data_costs_nobody_anything(
    server: RedisServer, client: "redis.Redis"
) -> None:
    async def run() -> None:
        async with engines(server.url, "a", "b") as both:
            await let_pass(both, range(5))
            before = [dict(engine.held) for engine in both]
            client.flushall()
            await let_pass(both, range(5, 10))
            for engine, old in zip(both, before, strict=True):
                assert engine.held.keys() == old.keys()
                assert all(engine.held[account] > fence for account, fence in old.items())

    asyncio.run(run())


def test_a_redis_that_is_away_is_said_to_be(server: RedisServer) -> None:
    async def run() -> None:
        leases = SessionLeases("redis://127.0.0.1:1/0", "k", "a", ACCOUNTS)
        with pytest.raises(LeasesUnavailable, match="onnect"):
            await leases.synchronise(START, {})
        await leases.close()

    asyncio.run(run())


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("seed", range(8))
def test_one_owner_at_most_whoever_comes_and_goes(server: RedisServer, seed: int) -> None:
    """An engine learns that it has lost a lease before another engine can acquire it."""
    rng = random.Random(seed)

    async def run() -> int:
        newest = dict.fromkeys(ACCOUNTS, 0)
        acquired = 0
        names = ("a", "b", "c", "d")
        async with engines(server.url, *names) as crowd:
            alive = {"a": 0}
            for second in range(120):
                if rng.random() < 0.1:
                    absent = [e for e in crowd if e.name not in alive]
                    if absent and rng.random() < 0.6:
                        alive[rng.choice(absent).name] = second
                    elif len(alive) > 1:
                        lost = rng.choice(sorted(alive))
                        del alive[lost]
                for engine in crowd:
                    if engine.name not in alive:
                        # It is disconnected and never comes back in this session.
                        engine.held = {}
                        continue
                    before = engine.held
                    await engine.compare(second)
                    for account, fence in engine.held.items():
                        if before.get(account) != fence:
                            acquired += 1
                            assert fence > newest[account]
                            newest[account] = fence
                    shares(crowd)
        return acquired

    assert asyncio.run(run()) >= len(ACCOUNTS)
