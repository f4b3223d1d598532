"""Leases that the exchange refuses or Redis contradicts; in this process, with a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress

import pytest
import redis

from tests.redis_server import RedisServer
from trading.hosting.lease_scripts import PREFIX
from trading.hosting.leases import StrategyLeases

ACCOUNTS = ("firm-mm", "firm-index")
LEASE, FENCE = f"{PREFIX}lease:firm-mm", f"{PREFIX}fence:firm-mm"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer("lease-secret") as redis_server:
        yield redis_server


@asynccontextmanager
async def running(
    url: str, on_change: Callable[[Mapping[str, int]], None]
) -> AsyncIterator[StrategyLeases]:
    leases = StrategyLeases(url, "a", ACCOUNTS, on_change, ttl=0.6)
    task = asyncio.create_task(leases.run())
    try:
        yield leases
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await leases.release()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def test_a_refused_lease_is_dropped_and_acquired_by_a_newer_number(
    server: RedisServer, client: "redis.Redis"
) -> None:
    changes: list[dict[str, int]] = []

    async def run() -> None:
        async with running(server.url, lambda held: changes.append(dict(held))) as leases:
            await until(lambda: len(leases.held) == 2)
            old = leases.held["firm-mm"]
            leases.refuse("firm-mm", old - 1)
            leases.refuse("unknown", old)
            assert leases.held["firm-mm"] == old
            newest = old + 10**9
            leases.refuse("firm-mm", old, newest)
            assert "firm-mm" not in leases.held
            assert changes[-1] == dict(leases.held)
            await until(lambda: "firm-mm" in leases.held)
            assert leases.held["firm-mm"] > newest

    asyncio.run(run())


def test_a_refusal_during_a_renewal_is_not_forgotten(
    server: RedisServer, client: "redis.Redis"
) -> None:
    """The response that is on its way still says that the lease is held."""
    changes: list[dict[str, int]] = []

    async def run() -> None:
        async with running(server.url, lambda held: changes.append(dict(held))) as leases:
            await until(lambda: len(leases.held) == 2)
            old = leases.held["firm-mm"]
            await until(leases._lock.locked)
            leases.refuse("firm-mm", old)
            changes_before = len(changes)
            await until(lambda: "firm-mm" in leases.held)
            assert all(change.get("firm-mm") != old for change in changes[changes_before:])

    asyncio.run(run())


def test_somebody_elses_lease_is_dropped_at_once(
    server: RedisServer, client: "redis.Redis"
) -> None:
    async def run() -> None:
        async with running(server.url, lambda held: None) as leases:
            await until(lambda: len(leases.held) == 2)
            client.set(LEASE, f"{leases.held['firm-mm'] + 1} b/0")
            await until(lambda: "firm-mm" not in leases.held)
            assert "firm-index" in leases.held
        # Only the instance's own leases are released.
        assert client.get(LEASE) is not None
        assert not client.exists(f"{PREFIX}lease:firm-index")

    asyncio.run(run())


def test_a_fence_grows_although_redis_knows_a_smaller_one_or_its_clock_went_back(
    server: RedisServer, client: "redis.Redis"
) -> None:
    ahead = 10**14
    client.set(FENCE, ahead)

    async def run() -> None:
        async with running(server.url, lambda held: None) as leases:
            await until(lambda: len(leases.held) == 2)
            assert leases.held["firm-mm"] == ahead + 1
            client.flushall()
            await until(lambda: leases.held.get("firm-mm", 0) > ahead + 1)

    asyncio.run(run())


def test_nothing_is_traded_for_once_it_is_given_back(
    server: RedisServer, client: "redis.Redis"
) -> None:
    """The strategies stop first: while on_change runs, the leases still exist in Redis."""
    owned: list[object] = []

    def changed(held: Mapping[str, int]) -> None:
        if not held:
            owned.append(client.exists(*(f"{PREFIX}lease:{a}" for a in ACCOUNTS)))

    async def run() -> None:
        async with running(server.url, changed) as leases:
            await until(lambda: len(leases.held) == 2)
        assert leases.held == {}

    asyncio.run(run())
    assert owned == [2]
    assert not client.exists(*(f"{PREFIX}lease:{a}" for a in ACCOUNTS))


def test_a_cancelled_run_ends_at_whatever_moment(server: RedisServer) -> None:
    """Before Python 3.12 asyncio.wait_for, which the client uses, may swallow a cancellation."""

    async def run(turns: int) -> None:
        leases = StrategyLeases(server.url, "a", ACCOUNTS, lambda held: None, ttl=0.3)
        task = asyncio.create_task(leases.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=5)
        await leases.release()
        assert done, f"still running after {turns} turns"
        assert task.cancelled()

    for turns in range(80):
        asyncio.run(run(turns))


def test_a_wrong_password_is_a_problem_that_does_not_tell_it(server: RedisServer) -> None:
    async def run() -> None:
        wrong = server.url.replace("lease-secret", "other-secret")
        async with running(wrong, lambda held: None) as leases:
            await until(lambda: leases.problem != "redis: not reached yet")
            assert leases.problem.startswith("redis: ")
            assert "other-secret" not in leases.problem
            assert leases.held == {}

    asyncio.run(run())


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        StrategyLeases("127.0.0.1:6379", "a", ACCOUNTS, lambda held: None)
    with pytest.raises(ValueError, match="characters"):
        StrategyLeases("redis://127.0.0.1", "", ACCOUNTS, lambda held: None)
