"""The clients against recorded responses: the prices they return, and the name of each failure."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.upstream.server import CMC_KEY, RECORDED, RecordedUpstream
from trading.units import parse_units
from trading.upstream import http
from trading.upstream.anchors import ImplausiblePrice, PriceAnchor, Quote, choose_quote
from trading.upstream.coingecko import CoinGecko
from trading.upstream.coinmarketcap import CoinMarketCap
from trading.upstream.http import MAX_RETRY_AFTER, Source, UpstreamError, parse_retry_after

ASSETS = ("BTC", "ETH", "SOL", "USDT", "USDC", "USDE")
TIMEOUT = 0.5


@pytest.fixture
def upstream() -> Iterator[RecordedUpstream]:
    with RecordedUpstream() as running:
        yield running


def sources(upstream: RecordedUpstream) -> dict[str, Source]:
    return {
        "coingecko": CoinGecko(upstream.url, "CG-key", timeout_seconds=TIMEOUT),
        "coinmarketcap": CoinMarketCap(upstream.url, CMC_KEY, timeout_seconds=TIMEOUT),
    }


def request(source: Source) -> dict[str, Quote]:
    async def once() -> dict[str, Quote]:
        try:
            return await source.quotes(ASSETS, time.time_ns() // 1000)
        finally:
            await source.close()

    return asyncio.run(once())


def test_coingecko_is_asked_as_it_wants_to_be(upstream: RecordedUpstream) -> None:
    received = request(sources(upstream)["coingecko"])
    recorded = json.loads((RECORDED / "coingecko.json").read_text())
    assert list(received) == list(ASSETS)
    assert received["BTC"].price == parse_units("111873.41293847")
    assert received["USDE"].price == round(recorded["ethena-usde"]["usd"] * 1e8)
    params, headers = upstream.coingecko.requests[0]
    assert params["ids"] == "bitcoin,ethereum,solana,tether,usd-coin,ethena-usde"
    assert (params["vs_currencies"], params["include_last_updated_at"]) == ("usd", "true")
    assert headers["x-cg-demo-api-key"] == "CG-key" and "x-cg-pro-api-key" not in headers


def test_a_pro_key_has_another_header_and_no_key_has_none() -> None:
    pro = CoinGecko("https://pro-api.coingecko.com", "CG-pro")
    assert pro._http.headers["x-cg-pro-api-key"] == "CG-pro"
    assert "x-cg-demo-api-key" not in pro._http.headers
    assert not [h for h in CoinGecko("https://api.coingecko.com")._http.headers if "cg" in h]


def test_coinmarketcap_gives_the_coin_that_is_meant(upstream: RecordedUpstream) -> None:
    """Two coins have the symbol BTC and two SOL; only one of each is ours, and one has no price."""
    received = request(sources(upstream)["coinmarketcap"])
    assert set(received) == set(ASSETS)
    assert received["BTC"].price == parse_units("111901.77218364")
    assert received["SOL"].price == parse_units("193.22018251")
    params, headers = upstream.coinmarketcap.requests[0]
    assert params == {"symbol": "BTC,ETH,SOL,USDT,USDC,USDE", "convert": "USD"}
    assert headers["x-cmc_pro_api_key"] == CMC_KEY


@pytest.mark.parametrize("name", ["coingecko", "coinmarketcap"])
@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("429", http.RATE_LIMITED),
        ("500", http.SERVER_ERROR),
        ("503", http.SERVER_ERROR),
        ("401", http.REFUSED),
        ("301", http.REFUSED),
        ("slow", http.TIMEOUT),
        ("trickle", http.TIMEOUT),
        ("garbage", http.MALFORMED),
        ("empty", http.MALFORMED),
        ("huge", http.MALFORMED),
        ("drop", http.MALFORMED),
    ],
)
def test_every_failure_has_a_name(
    upstream: RecordedUpstream, name: str, mode: str, outcome: str
) -> None:
    upstream.fail(mode, retry_after="120")
    with pytest.raises(UpstreamError) as caught:
        request(sources(upstream)[name])
    assert caught.value.outcome == outcome
    assert caught.value.retry_after == (120 if mode in ("429", "500", "503", "301") else 0)
    assert "CG-key" not in str(caught.value) and CMC_KEY not in str(caught.value)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UpstreamError) as caught:
            request(CoinGecko(url, timeout_seconds=TIMEOUT))
    assert caught.value.outcome == http.UNREACHABLE


@pytest.mark.parametrize("price", [0.0, -1.0, 1e-12, 1e9, 1e300, None])
def test_what_is_no_price_is_left_out(upstream: RecordedUpstream, price: float | None) -> None:
    upstream.coingecko.prices["bitcoin"] = price
    assert set(request(sources(upstream)["coingecko"])) == set(ASSETS) - {"BTC"}
    if price is not None:
        upstream.coinmarketcap.prices["BTC"] = price
        assert set(request(sources(upstream)["coinmarketcap"])) == set(ASSETS) - {"BTC"}


def test_prices_of_long_ago_are_none(upstream: RecordedUpstream) -> None:
    for name in ("coingecko", "coinmarketcap"):
        getattr(upstream, name).age = 16 * 60
        with pytest.raises(UpstreamError, match="without one usable price"):
            request(sources(upstream)[name])


def test_retry_after_is_a_number_a_date_or_nothing() -> None:
    assert parse_retry_after("120") == 120
    assert parse_retry_after("99999999999999999999") == MAX_RETRY_AFTER
    soon = datetime.now(UTC) + timedelta(minutes=5)
    assert 290 < parse_retry_after(format_datetime(soon, usegmt=True)) <= 300
    assert parse_retry_after(format_datetime(soon - timedelta(hours=1), usegmt=True)) == 0
    for odd in ("", "soon", "-5", "1.5", "²"):
        assert parse_retry_after(odd) == 0


def quotes(**prices: float) -> dict[str, Quote]:
    return {name: Quote(round(price * 100), 0) for name, price in prices.items()}


def test_the_first_source_is_preferred_while_they_agree() -> None:
    assert choose_quote(quotes(a=100, b=104), None)[0] == "a"
    assert choose_quote(quotes(b=104), None)[0] == "b"


def test_of_two_that_contradict_each_other_the_one_that_goes_on_is_believed() -> None:
    last = PriceAnchor("BTC", 10_100, "a", 0, 0)
    assert choose_quote(quotes(a=1000, b=100), last)[0] == "b"
    assert choose_quote(quotes(a=100, b=1000), last)[0] == "a"
    for unusable in (None, PriceAnchor("BTC", 10_100, "a", 0, 0, stale=True)):
        with pytest.raises(ImplausiblePrice, match="a 1e-05, b 1e-06"):
            choose_quote(quotes(a=10, b=1), unusable)
    with pytest.raises(ImplausiblePrice):
        choose_quote(quotes(a=1000, b=300), last)
