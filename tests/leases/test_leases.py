"""Strategy leases of several real processes in a real Redis, which also fails."""

import time
from collections.abc import Iterator

import pytest
import redis

from tests.leases.instance import instances, split, until
from tests.leases.worker import ACCOUNTS
from tests.redis_server import RedisServer
from trading.hosting.lease_scripts import PREFIX


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as redis_server:
        yield redis_server


def owners(client: "redis.Redis") -> dict[str, str]:
    """Return the instance that has the lease of each account, as stored in Redis."""
    leases = {a: client.get(f"{PREFIX}lease:{a}") for a in ACCOUNTS}
    return {a: str(v).split(" ")[1].split("/")[0] for a, v in leases.items() if v}


def test_two_instances_split_the_accounts_without_moving_one(server: RedisServer) -> None:
    with instances(server.url, "a", "b") as (a, b):
        until(lambda: split([a, b]))
        assert [len(s["held"]) for i in (a, b) for s in i.reports if "held" in s] == [2, 2]
        assert a.problem == b.problem == ""


def test_who_joins_gets_a_share_and_who_leaves_gives_it_back_at_once(server: RedisServer) -> None:
    with instances(server.url, "a", ttl=6) as (a,):
        until(lambda: split([a]))
        initial = a.held
        with instances(server.url, "b", "c", ttl=6) as (b, c):
            until(lambda: split([a, b, c]))
            assert a.held.items() <= initial.items()
            for instance in (b, c):
                moved = instance.held
                assert all(fence > initial[account] for account, fence in moved.items())
            b.leave()
            # Shorter than the time in which the leases would expire.
            until(lambda: split([a, c]), within=5)
            assert b.reports[-1]["held"] == {}
            c.leave()
            until(lambda: split([a]), within=5)


def test_a_killed_instance_is_taken_over_within_5_seconds(
    server: RedisServer, client: "redis.Redis"
) -> None:
    with instances(server.url, "a", "b") as (a, b):
        until(lambda: split([a, b]))
        lost = dict(a.held)
        a.kill()
        took = until(lambda: split([b]), within=5)
        assert took > 0.5
        assert all(b.held[account] > fence for account, fence in lost.items())
        assert owners(client) == dict.fromkeys(ACCOUNTS, "b")


def test_a_paused_instance_drops_what_it_had_before_it_does_anything(
    server: RedisServer, client: "redis.Redis"
) -> None:
    with instances(server.url, "a", "b", ttl=1) as (a, b):
        until(lambda: split([a, b]))
        before = dict(a.held)
        a.pause()
        paused = time.monotonic()
        until(lambda: split([b]))
        reports_before = len(a.reports)
        a.resume()
        until(lambda: split([a, b]) and a.usable == a.held)
        held = [s["held"] for s in a.reports[reports_before:] if "held" in s]
        usable = [s["usable"] for s in a.reports[reports_before:] if s.get("since", 0) > paused]
        assert held[0] == {}
        # It was never allowed to use the leases that it had before.
        assert usable and not any(before.items() & may.items() for may in usable)
        assert all(before.get(account, 0) < fence for account, fence in a.held.items())
        assert owners(client) == {x: i.name for i in (a, b) for x in i.held}


def test_a_pause_with_nobody_to_take_over_starts_from_nothing(server: RedisServer) -> None:
    with instances(server.url, "a", ttl=1) as (a,):
        until(lambda: split([a]))
        before = dict(a.held)
        a.pause()
        with server.client() as client:
            until(lambda: not client.exists(*(f"{PREFIX}lease:{x}" for x in ACCOUNTS)))
        a.resume()
        until(lambda: split([a]) and a.held != before)
        held = [s["held"] for s in a.reports if "held" in s]
        assert held[held.index(before) + 1] == {}
        assert all(a.held[account] > fence for account, fence in before.items())


@pytest.mark.parametrize("kill", [True, False])
def test_redis_back_without_its_data_costs_nobody_anything(server: RedisServer, kill: bool) -> None:
    with instances(server.url, "a", "b", ttl=1) as both:
        a, b = both
        until(lambda: split(both))
        before = [dict(i.held) for i in both]
        server.kill() if kill else server.stop()
        until(lambda: all(i.problem.startswith("redis: ") for i in both))
        # Longer than the lifetime of a lease, with failed renewals by each instance.
        gone = time.monotonic() + 2
        until(lambda: time.monotonic() > gone)
        assert [i.held for i in both] == before == [i.usable for i in both]
        server.start()
        until(lambda: all(i.problem == "" for i in both))
        until(lambda: all(i.held != old for i, old in zip(both, before, strict=True)))
        for instance, old in zip(both, before, strict=True):
            held = [s["held"] for s in instance.reports if "held" in s]
            assert all(h.keys() == old.keys() for h in held[held.index(old) :])
            assert all(instance.held[account] > fence for account, fence in old.items())
        b.kill()
        until(lambda: split([a]))


def test_a_redis_that_hangs_is_one_that_cannot_be_reached(server: RedisServer) -> None:
    with instances(server.url, "a", ttl=1) as (a,):
        until(lambda: split([a]))
        before = dict(a.held)
        with server.client() as client:
            client.execute_command("CLIENT", "PAUSE", "4000", "ALL")
        until(lambda: a.problem != "")
        until(lambda: a.problem == "")
        assert a.held.keys() == a.usable.keys() == before.keys()


def test_an_instance_without_redis_says_so_and_holds_nothing(server: RedisServer) -> None:
    server.stop()
    with instances(server.url, "a", ttl=1) as (a,):
        until(lambda: "connecting to" in a.problem)
        assert a.held == {}
        server.start()
        until(lambda: split([a]) and a.problem == "")


def test_same_names_are_two_instances(server: RedisServer) -> None:
    """A restarted container has the same name as its predecessor, which may still run."""
    with instances(server.url, "a", "a", ttl=1) as both:
        until(lambda: split(both))


def test_more_instances_than_accounts(server: RedisServer) -> None:
    with instances(server.url, *"abcde", ttl=2) as five:
        until(lambda: split(five))
        idle = next(i for i in five if not i.held)
        busy = next(i for i in five if i.held)
        account = next(iter(busy.held))
        busy.kill()
        until(lambda: account in idle.held)
