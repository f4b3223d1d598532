"""What clients receive while the venue plays an outage, and its rate limits: a real server in a
thread.
"""

import asyncio
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn
import websockets.sync.client as ws
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.running import Client, wait_for
from trading.api.exchange import app as exchange
from trading.api.exchange import gateway
from trading.api.exchange.errors import BinanceError
from trading.api.exchange.keys import Keys, credential
from trading.api.exchange.limits import BAN_MARGIN, Limits
from trading.embedded.ecosystem import components
from trading.hosting.host import Host
from trading.hosting.service_app import AppContext
from trading.hosting.session import Session
from trading.hosting.store import MemoryStore
from trading.messages.chaos import ExchangeOutage, InjectFault, RecoverFault
from trading.messages.market import SymbolStatus
from trading.messages.orders import HaltMarket
from trading.scenario.plan import RunPlan
from trading.topology import EXCHANGE
from trading.units import DAY

KEY, SECRET = "k" * 64, "s" * 64
READER, READER_SECRET = "r" * 64, "t" * 64
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
ORDER |= {"quantity": "0.001", "price": "60000"}
START = 1_767_571_200_000_000


class Venue:
    """The whole ecosystem behind the exchange's app alone, in a thread with an event loop of its
    own.
    """

    def __init__(self, limits: Limits, lifetime: float = 3600.0) -> None:
        plan = RunPlan(name="idle", seed=1, speed=1.0, start=START, faults=(), expectations=())
        self.host = Host(
            lambda session: components(session.plan),
            MemoryStore(),
            idle=lambda: Session(plan=plan, opened="2026-01-05T00:00:00+00:00"),
            projections=exchange.PROJECTIONS,
            published=exchange.PUBLISHED,
        )
        keys = Keys(
            [
                credential(KEY, SECRET, "firm-api"),
                credential(READER, READER_SECRET, "firm-api", trade=False),
            ]
        )
        context = AppContext(EXCHANGE, self.host)
        app = exchange.exchange_app(context, keys, limits, stream_lifetime=lifetime)
        self._listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.client = Client(f"http://{self.address}", KEY, SECRET)
        wait_for("a book", self._quoted)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await self.host.start()
        await self._server.serve([self._listener])
        await self.host.stop()

    def _quoted(self) -> bool:
        answer = self.client.http.get("/api/v3/ticker/bookTicker?symbol=BTCUSDT")
        return bool(float(answer.json()["bidPrice"]))

    def stop(self) -> None:
        """Stop the server and wait for its thread."""
        self.client.http.close()
        self._server.should_exit = True
        self._thread.join(20)

    def send_and_wait(self, message: Any) -> None:
        """Send the exchange component a message, and wait until it has been processed."""

        async def send() -> None:
            await self.host.committed(self.host.send(EXCHANGE, message))

        asyncio.run_coroutine_threadsafe(send(), self._loop).result(20)

    def connect(self, path: str) -> Any:
        """Open a WebSocket."""
        return ws.connect(f"ws://{self.address}{path}")


class Outage:
    """Makes the venue play an outage within a `with` block."""

    def __init__(self, venue: Venue, mode: str, **parameters: Any) -> None:
        self._venue = venue
        self._fault = ExchangeOutage(mode, **parameters)

    def __enter__(self) -> None:
        inject = InjectFault(EXCHANGE, "f-1", self._fault, START + DAY)
        self._venue.send_and_wait(inject)

    def __exit__(self, *error: object) -> None:
        self._venue.send_and_wait(RecoverFault(EXCHANGE, "f-1"))


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    """A venue with limits so high that tests do not reach them."""
    started = Venue(Limits(weight_per_minute=10**6, orders_per_10_seconds=10**6))
    yield started
    started.stop()


def refused(answer: httpx.Response) -> tuple[int, int, str]:
    body = answer.json()
    return answer.status_code, body["code"], body["msg"]


def test_unavailable_is_1008(venue: Venue) -> None:
    with Outage(venue, "unavailable"):
        status, code, text = refused(venue.client.order(**ORDER))
    assert (status, code) == (503, -1008)
    assert text.startswith("Server is currently overloaded")
    assert venue.client.order(**ORDER).is_success


def test_while_it_is_unavailable_the_streams_go_on(venue: Venue) -> None:
    with venue.connect("/ws/btcusdt@depth20@100ms") as stream, Outage(venue, "unavailable"):
        ids: set[int] = set()
        while len(ids) < 2:
            ids.add(json.loads(stream.recv(timeout=20))["lastUpdateId"])


def test_an_unknown_status_is_1007_and_the_order_is_there(venue: Venue) -> None:
    other = {**ORDER, "symbol": "ETHUSDT", "price": "3200", "quantity": "0.01"}
    assert venue.client.order(**other).is_success
    with Outage(venue, "unknown"):
        status, code, text = refused(venue.client.order(**ORDER, newClientOrderId="unsure"))
        assert (status, code) == (504, -1007)
        assert "execution status unknown" in text
        over_ws = api(venue, "order.place", **ORDER, newClientOrderId="unsure-too")
        assert (over_ws["status"], over_ws["error"]["code"]) == (504, -1007)
        cancelled = venue.client.signed("DELETE", "openOrders", symbol="ETHUSDT")
        assert refused(cancelled)[:2] == (504, -1007)
    for name in ("unsure", "unsure-too"):
        order = venue.client.signed("GET", "order", symbol="BTCUSDT", origClientOrderId=name)
        assert order.json()["status"] == "NEW"


def test_a_reset_cuts_requests_and_streams(venue: Venue) -> None:
    with venue.connect("/ws/btcusdt@depth") as stream:
        with Outage(venue, "reset"):
            with pytest.raises(httpx.TransportError):
                venue.client.order(**ORDER)
            with pytest.raises(ConnectionClosed):
                while True:
                    stream.recv(timeout=20)
            with pytest.raises(InvalidStatus), venue.connect("/ws/btcusdt@depth"):
                pass
        assert venue.client.order(**ORDER).is_success


def test_a_slow_venue_delays_answers_and_streams_in_order(venue: Venue) -> None:
    """After the outage the updates that are held back are still late, and later ones do not
    overtake them.
    """
    with venue.connect("/ws/btcusdt@depth@100ms") as stream:
        last = json.loads(stream.recv(timeout=20))["u"]
        with Outage(venue, "slow", delay=2_500_000):
            began = time.monotonic()
            assert venue.client.order(**ORDER).is_success
            assert time.monotonic() - began >= 2.5
        assert venue.client.order(**{**ORDER, "price": "59000"}).is_success
        for _ in range(6):
            update = json.loads(stream.recv(timeout=20))
            assert update["U"] == last + 1
            last = update["u"]


def test_a_venue_slower_than_anybody_waits_is_1007(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "RESPONSE_TIMEOUT", 0.2)
    with Outage(venue, "slow", delay=3_600_000_000):
        assert refused(venue.client.order(**ORDER))[:2] == (504, -1007)


@pytest.mark.parametrize("status", [SymbolStatus.HALT, SymbolStatus.CANCEL_ONLY])
def test_a_halted_market_is_closed_and_says_so(venue: Venue, status: SymbolStatus) -> None:
    resting = venue.client.order(**ORDER).json()
    venue.send_and_wait(HaltMarket(("BTCUSDT",), status, "test"))
    try:
        info = venue.client.http.get("/api/v3/exchangeInfo?symbol=BTCUSDT").json()
        assert info["symbols"][0]["status"] == status
        assert refused(venue.client.order(**ORDER)) == (400, -2010, "Market is closed.")
        which = {"symbol": "BTCUSDT", "orderId": resting["orderId"]}
        assert venue.client.signed("DELETE", "order", **which).json()["status"] == "CANCELED"
    finally:
        venue.send_and_wait(HaltMarket(("BTCUSDT",), SymbolStatus.TRADING, "test"))


def test_a_key_that_may_only_read(venue: Venue) -> None:
    reader = Client(f"http://{venue.address}", READER, READER_SECRET)
    try:
        assert reader.signed("GET", "account").is_success
        assert refused(reader.order(**ORDER))[:2] == (401, -2015)
    finally:
        reader.http.close()


def api(venue: Venue, method: str, **params: Any) -> Any:
    params |= {"apiKey": KEY, "timestamp": time.time_ns() // 1_000_000}
    payload = "&".join(f"{k}={v}" for k, v in sorted(params.items()))
    digest = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    with venue.connect("/ws-api/v3") as connection:
        request = {"id": 1, "method": method, "params": {**params, "signature": digest}}
        connection.send(json.dumps(request))
        return json.loads(connection.recv(timeout=20))


@pytest.fixture
def strict() -> Iterator[Callable[..., Venue]]:
    """Creates venues with the given lifetime of streams and limits."""
    venues: list[Venue] = []

    def make(lifetime: float = 3600.0, *, open_orders: int = 10, orders: int = 100) -> Venue:
        limits = Limits(orders_per_10_seconds=orders, open_orders=open_orders)
        venues.append(Venue(limits, lifetime))
        return venues[-1]

    yield make
    for venue in venues:
        venue.stop()


def test_too_many_open_orders_on_a_symbol(strict: Callable[..., Venue]) -> None:
    venue = strict(open_orders=2)
    assert [venue.client.order(**ORDER).status_code for _ in range(2)] == [200, 200]
    answer = refused(venue.client.order(**ORDER))
    assert answer == (400, -1013, "Filter failure: MAX_NUM_ORDERS")
    other = {**ORDER, "symbol": "ETHUSDT", "price": "3200", "quantity": "0.01"}
    assert venue.client.order(**other).is_success
    venue.client.signed("DELETE", "openOrders", symbol="BTCUSDT")
    assert venue.client.order(**ORDER).is_success


def test_too_many_orders_in_ten_seconds(strict: Callable[..., Venue]) -> None:
    venue = strict(orders=2)
    answers = [venue.client.order(**ORDER) for _ in range(5)]
    late = next(a for a in answers if a.status_code == 429)
    assert refused(late)[1:] == (
        -1015,
        "Too many new orders; current limit is 2 orders per 10 SECOND.",
    )
    assert 0 < int(late.headers["retry-after"]) <= 10


def test_too_much_weight_is_429_and_going_on_is_418() -> None:
    now = [30.0]
    limits = Limits(weight_per_minute=10, clock=lambda: now[0], wall=lambda: 1000.0 + now[0])
    assert limits.count_request("a", 10) == 10
    with pytest.raises(BinanceError) as slow_down:
        limits.count_request("a", 1)
    assert (slow_down.value.status, slow_down.value.retry_after) == (429, 30)
    assert slow_down.value.used == 11
    assert "current limit is 10 request weight per 1 MINUTE" in slow_down.value.text
    assert limits.count_request("b", 10) == 10
    with pytest.raises(BinanceError):
        limits.count_request("a", BAN_MARGIN)
    with pytest.raises(BinanceError) as banned:
        limits.count_request("a", 1)
    assert (banned.value.status, banned.value.code, banned.value.retry_after) == (418, -1003, 121)
    assert "IP banned until 1150000." in banned.value.text
    now[0] += 121
    assert limits.count_request("a", 1) == 1


def test_a_connection_lives_no_longer_than_it_may(strict: Callable[..., Venue]) -> None:
    venue = strict(lifetime=0.5)
    with venue.connect("/ws/btcusdt@depth") as stream, pytest.raises(ConnectionClosed) as closed:
        while True:
            stream.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert "24 hours" in closed.value.rcvd.reason
