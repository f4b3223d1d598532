"""The poller against recorded APIs and a real Redis, both of which fail."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from tests.redis_server import RedisServer
from tests.upstream.server import CMC_KEY, RecordedUpstream
from trading.units import parse_units
from trading.upstream import http
from trading.upstream.anchors import PriceAnchor
from trading.upstream.cache import AnchorCache
from trading.upstream.coingecko import CoinGecko
from trading.upstream.coinmarketcap import CoinMarketCap
from trading.upstream.http import Source
from trading.upstream.poller import TURN, Poller

ASSETS = ("BTC", "ETH", "SOL", "USDT", "USDC", "USDE")
BTC = parse_units("111873.41293847")
PASSWORD = secrets.token_hex(8)


@pytest.fixture
def upstream() -> Iterator[RecordedUpstream]:
    with RecordedUpstream() as running:
        yield running


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(PASSWORD) as running:
        yield running


class RunningPoller:
    """Runs a poller within an ``async with`` block, and collects the anchors that it passes on."""

    def __init__(
        self,
        upstream: RecordedUpstream,
        *,
        interval: float = 0.1,
        both: bool = False,
        redis: RedisServer | None = None,
    ) -> None:
        sources: list[Source] = [CoinGecko(upstream.url, timeout_seconds=0.3)]
        if both:
            sources.append(CoinMarketCap(upstream.url, CMC_KEY, timeout_seconds=0.3))
        cache = AnchorCache(redis.url) if redis is not None else None
        self.poller = Poller(sources, ASSETS, interval, cache)
        self.changes: list[PriceAnchor] = []

    async def __aenter__(self) -> "RunningPoller":
        self.poller.start(self._on_change)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.poller.stop()

    def _on_change(self, anchors: Sequence[PriceAnchor]) -> None:
        self.changes.extend(anchors)

    def btc(self) -> PriceAnchor | None:
        return self.poller.anchors.get("BTC")

    def fresh(self) -> bool:
        return len(self.poller.anchors) == len(ASSETS) and not self.poller.stale


async def until(what: str, condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.01)


def request_count_reached(upstream: RecordedUpstream, count: int) -> bool:
    return len(upstream.coingecko.requests) >= count


def has_polled(it: RunningPoller) -> bool:
    """Return whether the first source was polled, or has to wait for its turn."""
    return it.poller._sources[0].due > 0


def near(it: RunningPoller, price: int) -> bool:
    return abs(it.poller.anchors["BTC"].price - price) < 10


def lines(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


def test_the_last_good_anchor_holds_and_is_stale_until_somebody_confirms_it(
    upstream: RecordedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trading.upstream")

    async def run() -> None:
        async with RunningPoller(upstream) as it:
            await until("anchors", it.fresh)
            for mode in ("500", "slow", "garbage", "drop"):
                caplog.clear()
                upstream.fail(mode)
                await until(f"stale after {mode}", lambda: len(it.poller.stale) == len(ASSETS))
                enough = len(upstream.coingecko.requests) + 2
                await until("more questions", partial(request_count_reached, upstream, enough))
                anchor = it.btc()
                assert anchor is not None and (anchor.price, anchor.stale) == (BTC, True)
                assert it.poller.problems["coingecko"]
                assert lines(caplog, "real prices are stale: BTC") == 1
                assert lines(caplog, "coingecko") == 1

                upstream.fail("ok")
                await until(f"fresh after {mode}", it.fresh)
                assert lines(caplog, "real prices are fresh again") == 1
                assert it.poller.problems == {}
            assert [a.stale for a in it.changes if a.asset == "BTC"].count(True) == 4

    asyncio.run(run())


def test_a_rate_limit_is_obeyed_for_as_long_as_it_says(upstream: RecordedUpstream) -> None:
    async def run() -> None:
        async with RunningPoller(upstream) as it:
            await until("anchors", it.fresh)
            upstream.fail("429", retry_after="2")
            limited = ("coingecko", http.RATE_LIMITED)
            await until("the limit", lambda: it.poller.requests[limited])
            count, since = len(upstream.coingecko.requests), time.monotonic()
            upstream.fail("ok")
            await until("stale anchors", lambda: bool(it.poller.stale))
            await until("the next question", partial(request_count_reached, upstream, count + 1))
            assert time.monotonic() - since > 1.5
            await until("fresh anchors", it.fresh)
            assert it.poller.requests[limited] == 1

    asyncio.run(run())


def test_it_starts_without_the_outside_and_goes_on_when_it_is_there(
    upstream: RecordedUpstream,
) -> None:
    upstream.fail("503")

    async def run() -> None:
        async with RunningPoller(upstream) as it:
            failed = ("coingecko", http.SERVER_ERROR)
            await until("failures", lambda: it.poller.requests[failed] > 2)
            assert it.poller.anchors == {} and it.changes == []
            upstream.fail("ok")
            await until("anchors", it.fresh)

    asyncio.run(run())


def test_the_second_source_takes_over_and_hands_back(upstream: RecordedUpstream) -> None:
    async def run() -> None:
        async with RunningPoller(upstream, both=True) as it:
            await until("anchors", it.fresh)
            assert it.poller.anchors["BTC"].source == "coingecko"
            upstream.coingecko.mode = "500"
            anchors = it.poller.anchors
            await until("the second", lambda: anchors["BTC"].source == "coinmarketcap")
            assert it.fresh()
            upstream.coingecko.mode = "ok"
            upstream.coingecko.prices["solana"] = None
            await until("the first", lambda: anchors["BTC"].source == "coingecko")
            assert anchors["SOL"].source == "coinmarketcap"

    asyncio.run(run())


def test_a_source_that_is_absurdly_far_from_the_other_is_not_believed(
    upstream: RecordedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with RunningPoller(upstream, both=True) as it:
            await until("anchors", it.fresh)
            upstream.coingecko.prices["bitcoin"] = 1118.73
            await until("the other", lambda: it.poller.anchors["BTC"].source == "coinmarketcap")
            assert it.fresh()
            upstream.coinmarketcap.prices["BTC"] = 250_000.0
            await until("doubt", lambda: it.poller.stale == ("BTC",))
            assert it.poller.anchors["BTC"].price == parse_units("111901.77218364")
            assert lines(caplog, "BTC: sources contradict each other") == 1

    asyncio.run(run())


def test_what_a_source_no_longer_names_becomes_stale(upstream: RecordedUpstream) -> None:
    async def run() -> None:
        async with RunningPoller(upstream) as it:
            await until("anchors", it.fresh)
            upstream.coingecko.prices["solana"] = None
            await until("old", lambda: it.poller.stale == ("SOL",))
            assert it.poller.anchors["SOL"].price == parse_units("193.1782634")

    asyncio.run(run())


def test_a_restarted_service_and_a_second_one_start_from_redis_and_do_not_ask(
    upstream: RecordedUpstream, redis: RedisServer
) -> None:
    async def run() -> None:
        async with RunningPoller(upstream, interval=60, redis=redis) as it:
            await until("anchors", it.fresh)
            async with RunningPoller(upstream, interval=60, redis=redis) as second:
                await until("the second's anchors", second.fresh)
                assert second.poller.anchors == it.poller.anchors
        async with RunningPoller(upstream, interval=60, redis=redis) as restarted:
            await until("the cached anchors", restarted.fresh)
        assert len(upstream.coingecko.requests) == 1
        with redis.client() as client:
            keys = sorted(client.keys("trading:upstream:*"))
            assert len(keys) == len(ASSETS) + 1
            assert all(client.ttl(key) > 0 for key in keys)

    asyncio.run(run())


def test_services_that_share_a_redis_take_turns(
    upstream: RecordedUpstream, redis: RedisServer
) -> None:
    """Together they send as many requests as one service, and share the anchors.

    There is at most one request per turn in Redis; a slow machine only sends fewer.
    """

    async def run() -> None:
        since = time.monotonic()
        async with (
            RunningPoller(upstream, interval=0.5, redis=redis) as first,
            RunningPoller(upstream, interval=0.5, redis=redis) as second,
        ):
            await until("four questions", partial(request_count_reached, upstream, 4))
            upstream.coingecko.factor = 1.01
            moved = round(BTC * 1.01)
            for it in (first, second):
                await until("the move", partial(near, it, moved))
            count = len(upstream.coingecko.requests)
        assert count <= (time.monotonic() - since) / (0.5 * TURN) + 1

    asyncio.run(run())


def test_a_rate_limit_outlives_the_service(upstream: RecordedUpstream, redis: RedisServer) -> None:
    upstream.fail("429", retry_after="600")

    async def run() -> None:
        for _ in range(2):
            async with RunningPoller(upstream, redis=redis) as it:
                await until("a round", partial(has_polled, it))
        assert len(upstream.coingecko.requests) == 1
        with redis.client() as client:
            assert 500_000 < int(client.pttl("trading:upstream:turn:coingecko")) <= 600_000

    asyncio.run(run())


def test_redis_goes_away_and_comes_back(
    upstream: RecordedUpstream, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trading.upstream")

    async def run() -> None:
        async with RunningPoller(upstream, redis=redis) as it:
            await until("anchors", it.fresh)
            redis.kill()
            await until("the trouble", lambda: it.poller.cache_problem)
            upstream.coingecko.factor = 1.02
            moved = round(BTC * 1.02)
            await until("prices all the same", partial(near, it, moved))
            assert not it.poller.stale
            assert lines(caplog, "the cache of prices: it cannot be reached") == 1

            redis.start()
            await until("the cache", lambda: not it.poller.cache_problem)
            with redis.client() as client:
                await until("anchors in it", lambda: client.exists("trading:upstream:anchor:BTC"))
            assert lines(caplog, "the cache of prices is back") == 1
            assert PASSWORD not in caplog.text

    asyncio.run(run())


def test_a_wrong_password_is_said_and_stops_nothing(
    upstream: RecordedUpstream, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis.url = redis.url.replace(PASSWORD, "wr0ng-pass")

    async def run() -> None:
        async with RunningPoller(upstream, redis=redis) as it:
            await until("anchors", it.fresh)
            assert it.poller.cache_problem == "it does not accept the password"
        assert "wr0ng-pass" not in caplog.text

    asyncio.run(run())


def test_what_somebody_else_put_into_the_cache_is_not_believed(
    upstream: RecordedUpstream, redis: RedisServer
) -> None:
    upstream.fail("500")
    now = time.time_ns() // 1000
    good = {"asset": "ETH", "price": 39, "source": "coingecko", "event_time": 1, "observed_at": now}
    planted = {
        "BTC": b"not json \xff",
        "ETH": json.dumps(good),
        "SOL": json.dumps(good | {"asset": "SOL", "price": -5}),
        "USDT": json.dumps(good | {"asset": "USDT", "observed_at": now + 3_600_000_000}),
        "USDC": json.dumps(good),
    }
    with redis.client() as client:
        for asset, body in planted.items():
            client.set(f"trading:upstream:anchor:{asset}", body)

    async def run() -> None:
        async with RunningPoller(upstream, redis=redis) as it:
            await until("a failure", lambda: it.poller.problems)
            await until("what is known", lambda: it.poller.stale)
            assert list(it.poller.anchors) == ["ETH"]

    asyncio.run(run())
