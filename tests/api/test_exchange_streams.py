"""Market streams, the WebSocket API and the user data stream, from a client's point of view."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client as ws
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.running import Up

RESTING = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
RESTING |= {"quantity": "0.001", "price": "60000"}


class Socket:
    """A WebSocket connection to the exchange, which can sign requests."""

    def __init__(self, up: Up, path: str) -> None:
        self._stack = ExitStack()
        address = up.url["exchange"].replace("http", "ws")
        self.connection = self._stack.enter_context(ws.connect(address + path))
        self._secret = up.credentials["api_secret"].encode()
        self._key = up.credentials["api_key"]

    def close(self) -> None:
        self._stack.close()

    def send(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def receive(self, matches: Any = lambda message: True) -> Any:
        """Return the next message that `matches`."""
        while True:
            message = json.loads(self.connection.recv(timeout=20))
            if matches(message):
                return message

    def request(self, method: str, **params: Any) -> Any:
        """Send a request of the WebSocket API and return its answer."""
        self.send(id=f"{method[:20]}", method=method, params=params)
        return self.receive(lambda m: "id" in m)

    def signed(self, method: str, **params: Any) -> Any:
        """Send a signed request of the WebSocket API and return its answer."""
        params |= {"apiKey": self._key, "timestamp": time.time_ns() // 1_000_000}
        payload = "&".join(
            f"{k}={json.dumps(v) if isinstance(v, bool | float) else v}"
            for k, v in sorted(params.items())
        )
        digest = hmac.new(self._secret, payload.encode(), hashlib.sha256).hexdigest()
        return self.request(method, **params, signature=digest)


@pytest.fixture
def api(up: Up) -> Iterator[Socket]:
    socket = Socket(up, "/ws-api/v3")
    yield socket
    socket.close()


@pytest.fixture
def streams(up: Up) -> Iterator[Socket]:
    socket = Socket(up, "/ws/1")
    yield socket
    socket.close()


@pytest.mark.parametrize(
    ("stream", "field"),
    [
        ("btcusdt@depth5", "lastUpdateId"),
        ("btcusdt@depth10@100ms", "bids"),
        ("btcusdt@depth20@1000ms", "asks"),
        ("btcusdt@depth", "U"),
        ("btcusdt@depth@100ms", "u"),
        ("btcusdt@trade", "t"),
        ("btcusdt@aggTrade", "a"),
        ("btcusdt@kline_1m", "k"),
        ("btcusdt@kline_1M", "k"),
        ("btcusdt@ticker", "Q"),
        ("btcusdt@miniTicker", "c"),
        ("btcusdt@ticker_4h", "w"),
        ("btcusdt@avgPrice", "w"),
        ("btcusdt@bookTicker", "B"),
    ],
)
def test_every_stream_tells_something(up: Up, stream: str, field: str) -> None:
    socket = Socket(up, f"/stream?streams={stream}")
    try:
        message = socket.receive()
        assert message["stream"] == stream
        assert field in message["data"]
    finally:
        socket.close()


def test_tickers_of_all_symbols(up: Up) -> None:
    socket = Socket(up, "/ws/!miniTicker@arr")
    try:
        assert {row["s"] for row in socket.receive()} >= {"BTCUSDT", "ETHUSDT"}
    finally:
        socket.close()


def test_slow_depth_is_contiguous_and_goes_on_from_the_snapshot(up: Up, streams: Socket) -> None:
    streams.send(id=1, method="SUBSCRIBE", params=["btcusdt@depth"])
    updates = [streams.receive(lambda m: "U" in m) for _ in range(3)]
    for before, after in pairwise(updates):
        assert after["U"] == before["u"] + 1
        assert after["E"] - before["E"] >= 500
    snapshot = up.exchange.http.get("/api/v3/depth?symbol=BTCUSDT").json()
    later = streams.receive(lambda m: m["u"] > snapshot["lastUpdateId"])
    assert later["U"] <= snapshot["lastUpdateId"] + 1


def test_streams_are_followed_left_and_listed(streams: Socket) -> None:
    def request(method: str, *params: Any) -> Any:
        streams.send(id=7, method=method, params=list(params))
        return streams.receive(lambda m: "id" in m)

    assert request("SUBSCRIBE", "btcusdt@depth5", "ethusdt@trade") == {"result": None, "id": 7}
    assert request("UNSUBSCRIBE", "ethusdt@trade")["result"] is None
    assert request("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@depth5"]
    assert request("GET_PROPERTY", "combined")["result"] is False
    assert request("SET_PROPERTY", "combined", True)["result"] is None
    assert streams.receive()["stream"] == "btcusdt@depth5"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", 3),
        ('{"method":"SUBSCRIBE","params":["nope@trade"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"btcusdt@trade","id":1}', 2),
        ('{"method":"JUMP","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[],"id":{}}', 2),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1),
        ('{"method":"GET_PROPERTY","params":["colour"],"id":1}', 0),
        ('{"method":"GET_PROPERTY","params":[3],"id":1}', 2),
    ],
)
def test_a_wrong_message_is_refused_and_the_connection_goes_on(
    streams: Socket, message: str, code: int
) -> None:
    streams.connection.send(message)
    assert streams.receive()["error"]["code"] == code
    streams.send(id=2, method="LIST_SUBSCRIPTIONS")
    assert streams.receive()["result"] == []


def test_six_messages_in_a_second_end_it(streams: Socket) -> None:
    for number in range(6):
        streams.send(id=number, method="LIST_SUBSCRIPTIONS")
    with pytest.raises(ConnectionClosed) as closed:
        for _ in range(7):
            streams.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_more_streams_than_allowed_are_refused(streams: Socket) -> None:
    kinds = [f"kline_{i}" for i in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h")]
    assert len(kinds) * 5 < 1024
    names = [f"{s}usdt@{k}" for s in ("btc", "eth", "sol", "usdc", "usde") for k in kinds]
    streams.send(id=1, method="SUBSCRIBE", params=names * 30)
    assert streams.receive(lambda m: "id" in m)["result"] is None
    streams.send(id=2, method="LIST_SUBSCRIPTIONS")
    assert streams.receive(lambda m: m.get("id") == 2)["result"] == names


def test_times_are_in_microseconds_where_asked_for(up: Up) -> None:
    slow, fine = Socket(up, "/ws/btcusdt@miniTicker"), Socket(up, "/stream?timeUnit=MICROSECOND")
    try:
        fine.send(id=1, method="SUBSCRIBE", params=["btcusdt@miniTicker"])
        event = fine.receive(lambda m: "data" in m)["data"]
        assert len(str(event["E"])) == len(str(slow.receive()["E"])) + 3
    finally:
        slow.close()
        fine.close()
    with pytest.raises(InvalidStatus):
        Socket(up, "/ws/btcusdt@trade?timeUnit=NANOSECOND")


def test_an_order_over_the_websocket_api_and_what_the_user_stream_says(api: Socket) -> None:
    subscribed = api.signed("userDataStream.subscribe.signature")
    assert subscribed["result"] == {"subscriptionId": 0}
    placed = api.signed("order.place", **RESTING, newClientOrderId="over-ws")
    assert placed["status"] == 200
    limits = {(x["rateLimitType"], x["interval"]): x["count"] for x in placed["rateLimits"]}
    assert limits["ORDERS", "SECOND"] > 0
    assert limits["REQUEST_WEIGHT", "MINUTE"] > 0
    gone = api.signed("order.cancel", symbol="BTCUSDT", origClientOrderId="over-ws")
    assert gone["result"]["status"] == "CANCELED"
    again = api.signed("order.cancel", symbol="BTCUSDT", origClientOrderId="over-ws")
    assert (again["status"], again["error"]["code"]) == (400, -2011)
    api.send(id="x", method="userDataStream.unsubscribe", params={"subscriptionId": 0})
    ended = api.receive(lambda m: m.get("event", {}).get("e") == "eventStreamTerminated")
    assert ended["subscriptionId"] == 0
    assert api.receive()["result"] == {}
    assert api.request("session.subscriptions")["result"] == []


def test_events_of_an_order(api: Socket) -> None:
    api.signed("userDataStream.subscribe.signature")
    order = {**RESTING, "newClientOrderId": "seen"}
    api.send(id="ignored", method="ping")
    api.receive(lambda m: m.get("id") == "ignored")
    params = {"type": "MARKET", "symbol": "BTCUSDT", "side": "BUY", "quantity": "0.001"}
    api.send(**_signed_message(api, "order.place", order))
    report = api.receive(lambda m: m.get("event", {}).get("e") == "executionReport")["event"]
    assert (report["c"], report["x"], report["X"]) == ("seen", "NEW", "NEW")
    assert (report["r"], report["w"]) == ("NONE", True)
    position = api.receive(lambda m: m.get("event", {}).get("e") == "outboundAccountPosition")
    held = {b["a"]: float(b["l"]) for b in position["event"]["B"]}
    assert held["USDT"] >= 60
    # A rejected order is not an order: there is no event of it on the stream.
    refused = {**order, "newClientOrderId": "refused", "quantity": "20"}
    api.send(**_signed_message(api, "order.place", refused))
    api.send(**_signed_message(api, "order.place", params))
    fill = api.receive(lambda m: m.get("event", {}).get("c") == "refused" or _filled(m))
    assert fill["event"]["X"] == "FILLED"


def _filled(message: dict[str, Any]) -> bool:
    return bool(message.get("event", {}).get("X") == "FILLED")


def _signed_message(api: Socket, method: str, params: dict[str, Any]) -> dict[str, Any]:
    params = {**params, "apiKey": api._key, "timestamp": time.time_ns() // 1_000_000}
    payload = "&".join(f"{k}={v}" for k, v in sorted(params.items()))
    digest = hmac.new(api._secret, payload.encode(), hashlib.sha256).hexdigest()
    return {"id": 1, "method": method, "params": {**params, "signature": digest}}


def test_a_signature_is_over_numbers_as_they_were_written(api: Socket) -> None:
    order = {**RESTING, "quantity": "0.00100", "computeCommissionRates": "true"}
    text = json.dumps(_signed_message(api, "order.test", order))
    text = text.replace('"0.00100"', "0.00100").replace('"true"', "true")
    assert '"quantity": 0.00100, "price": "60000"' in text
    api.connection.send(text)
    assert api.receive()["status"] == 200


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", -1135),
        ("[1]", -1135),
        ('{"id":1,"method":"fly"}', -1020),
        ('{"id":1,"method":"depth","params":[1]}', -1135),
        ('{"id":1,"method":"depth","params":{}}', -1102),
        ('{"id":1,"method":"depth","params":{"symbol":"NOPE"}}', -1121),
        ('{"id":1,"method":"time","params":{"symbol":"BTCUSDT"}}', -1101),
        ('{"id":[],"method":"ping"}', -1100),
        ('{"id":1,"method":"account.status","params":{}}', -2014),
        ('{"id":1,"method":"account.status","params":{"apiKey":"!"}}', -2014),
        ('{"id":1,"method":"userDataStream.unsubscribe","params":{"subscriptionId":9}}', -1130),
    ],
)
def test_a_wrong_request_gets_binance_s_own_error(api: Socket, message: str, code: int) -> None:
    api.connection.send(message)
    answer = api.receive()
    assert (answer["error"]["code"], answer["status"]) == (code, 401 if code == -2014 else 400)
    assert api.request("time")["result"]["serverTime"] > 0


def test_rate_limits_may_be_left_out(api: Socket) -> None:
    assert "rateLimits" in api.request("ping")
    assert "rateLimits" not in api.request("ping", returnRateLimits=False)


def test_who_is_connected_hears_that_the_service_ends(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    market, api = Socket(up, "/ws/btcusdt@trade"), Socket(up, "/ws-api/v3")
    api.request("ping")
    up.stop()
    event = market.receive(lambda m: m.get("e") == "serverShutdown")
    assert event["E"] > 0
    assert api.receive()["event"]["e"] == "serverShutdown"
    for socket in (market, api):
        with pytest.raises(ConnectionClosed):
            socket.connection.recv(timeout=20)
        socket.close()
