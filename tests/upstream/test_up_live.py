"""``trading up`` with real prices from recorded APIs and a real Redis, and failures of both."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource

from tests.api.running import Up, wait_for
from tests.redis_server import RedisServer
from tests.upstream.server import CMC_KEY, RecordedUpstream

DEMO_KEY = "CG-recorded-demo-key"
PASSWORD = "of-the-cache"  # noqa: S105


@pytest.fixture
def upstream() -> Iterator[RecordedUpstream]:
    with RecordedUpstream() as running:
        yield running


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(PASSWORD) as running:
        yield running


def settings(upstream: RecordedUpstream, redis: RedisServer) -> dict[str, str]:
    return {
        "ENABLE_REAL_MARKET_DATA": "true",
        "ANCHOR_SECONDS": "20",
        "COINGECKO_URL": upstream.url,
        "COINGECKO_API_KEY": DEMO_KEY,
        "COINMARKETCAP_URL": upstream.url,
        "COINMARKETCAP_API_KEY": CMC_KEY,
        "REDIS_URL": redis.url,
    }


def get(up: Up, path: str) -> Any:
    return httpx.get(up.url["market-data"] + path).json()


def btc(up: Up) -> dict[str, Any]:
    asset: dict[str, Any] = next(a for a in get(up, "/api/v1/assets") if a["asset"] == "BTC")
    return asset


def metric(up: Up, start: str) -> float:
    text = httpx.get(up.url["market-data"] + "/metrics").text
    return float(next(x for x in text.splitlines() if x.startswith(start)).rpartition(" ")[2])


def test_the_market_follows_real_prices_and_survives_their_end(
    tmp_path: Path, upstream: RecordedUpstream, redis: RedisServer
) -> None:
    up = Up(tmp_path / "data", **settings(upstream, redis))
    try:
        wait_for("ticks", lambda: btc(up)["last"] and btc(up)["last"]["seq"] > 3)
        opened = get(up, "/api/v1/ticks?asset=BTC")[0]
        assert (opened["seq"], opened["price"]) == (1, "111873.41293847")
        price = get(up, "/api/v3/simple/price?ids=bitcoin")["bitcoin"]["usd"]
        assert abs(price - 111873) < 1000
        anchor = btc(up)["anchor"]
        assert anchor["source"] == "coingecko" and anchor["price"] == "111873.41293847"
        assert anchor["followed"] and not anchor["stale"] and anchor["age_seconds"] < 20
        assert get(up, "/ready")["dependencies"]["redis"] == "ok"
        assert metric(up, 'market_data_anchor_stale{asset="BTC"}') == 0
        alerts = httpx.get(up.url["risk-monitor"] + "/api/alerts").json()
        assert [a["rule"] for a in alerts] == []
        assert upstream.coingecko.requests[0][1]["x-cg-demo-api-key"] == DEMO_KEY

        upstream.fail("429", retry_after="3")
        redis.kill()
        wait_for("a stale anchor", lambda: btc(up)["anchor"]["stale"])
        limited = 'market_data_upstream_requests_total{outcome="rate-limited",source="coingecko"}'
        assert metric(up, limited) == 1
        assert metric(up, 'market_data_anchor_stale{asset="BTC"}') == 1
        ready = httpx.get(up.url["market-data"] + "/ready")
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        assert "stale" in ready.json()["dependencies"]["coingecko"]
        wait_for("the cache's end", lambda: metric(up, "market_data_price_cache_up") == 0)
        problem = get(up, "/ready")["dependencies"]["redis"]
        assert problem.startswith("it cannot be reached")
        seq = btc(up)["last"]["seq"]
        wait_for("ticks all the same", lambda: btc(up)["last"]["seq"] > seq + 1)

        redis.start()
        wait_for("the cache", lambda: metric(up, "market_data_price_cache_up") == 1)
        with redis.client() as client:
            cached = wait_for("anchors", lambda: client.get("trading:upstream:anchor:BTC"))
            assert json.loads(str(cached))["price"] == 11187341293847
    finally:
        code, _ = up.stop()
    assert code == 0
    log = (tmp_path / "data.log").read_text()
    assert log.count("real prices are stale") == 1 and "Traceback" not in log
    for secret in (DEMO_KEY, CMC_KEY, PASSWORD):
        assert secret not in log


def test_a_restarted_service_opens_from_the_cache_and_streams_on(
    tmp_path: Path, upstream: RecordedUpstream, redis: RedisServer
) -> None:
    """The second service has new journals, as on another machine, and the APIs are down."""
    with redis.client() as client:
        client.ping()
    first = Up(tmp_path / "first", **settings(upstream, redis))
    try:
        stream = first.url["market-data"] + "/api/v1/stream"
        with httpx.stream("GET", stream, timeout=30) as events:
            last_event_id = next(e.id for e in EventSource(events).iter_sse() if e.id)
        first.stop()
        request_count = len(upstream.coingecko.requests)
        upstream.fail("503")
        first.start()
        stream = first.url["market-data"] + "/api/v1/stream"
        with httpx.stream(
            "GET", stream, headers={"Last-Event-ID": last_event_id}, timeout=30
        ) as events:
            next_event_id = next(e.id for e in EventSource(events).iter_sse() if e.id)
        session, _, position = last_event_id.partition("-")
        assert next_event_id == f"{session}-{int(position) + 1}"
        assert len(upstream.coingecko.requests) == request_count
    finally:
        first.stop()

    second = Up(tmp_path / "second", **settings(upstream, redis))
    try:
        opened = wait_for("a tick", lambda: get(second, "/api/v1/ticks?asset=BTC"))[0]
        assert opened["price"] == "111873.41293847"
    finally:
        second.stop()


def test_it_starts_where_there_is_no_outside(tmp_path: Path, redis: RedisServer) -> None:
    with RecordedUpstream() as stopped:
        environment = settings(stopped, redis)
    redis.kill()
    up = Up(tmp_path / "data", **environment)
    try:
        wait_for("synthetic prices", lambda: btc(up)["last"])
        assert btc(up)["anchor"] is None
        ready = get(up, "/ready")
        assert ready["ready"] and ready["dependencies"]["real-prices"].startswith("none yet")
    finally:
        code, _ = up.stop()
    assert code == 0


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ANCHOR_SECONDS", "5", "greater than or equal to 20"),
        ("COINGECKO_URL", "http://example.com", "must be https"),
        ("COINMARKETCAP_URL", "example.com", "must be an address"),
        ("REDIS_URL", "http://:hidden-pw@host", "must be like redis://"),
        ("ENABLE_REAL_MARKET_DATA", "perhaps", "valid boolean"),
    ],
)
def test_a_wrong_setting_names_itself(tmp_path: Path, name: str, value: str, expected: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", _LOAD],
        env={name: value},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    assert f"{name}: " in process.stdout and expected in process.stdout
    assert "hidden-pw" not in process.stdout + process.stderr


_LOAD = """
import sys
from trading.hosting.settings import SettingsError, load_settings
try:
    load_settings()
except SettingsError as error:
    sys.exit(print(error) or 1)
"""
