"""The exchange's REST API, compared with Binance's documentation."""

import time
from typing import Any

import httpx
import pytest

from tests.api.running import Up, secrets_of, wait_for

LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
RESTING = {**LIMIT, "quantity": "0.001", "price": "60000"}


def error(answer: httpx.Response) -> tuple[int, int, str]:
    body = answer.json()
    return answer.status_code, body["code"], body["msg"]


def test_an_order_rests_is_found_and_is_cancelled(up: Up) -> None:
    placed = up.exchange.order(**RESTING, newClientOrderId="mine-1")
    assert placed.status_code == 200
    assert placed.headers["x-mbx-order-count-10s"].isdigit()
    assert int(placed.headers["x-mbx-used-weight-1m"]) > 0
    order = placed.json()
    assert (order["status"], order["clientOrderId"], order["fills"]) == ("NEW", "mine-1", [])
    queried = up.exchange.signed("GET", "order", symbol="BTCUSDT", orderId=order["orderId"]).json()
    assert (queried["status"], queried["origQty"], queried["price"]) == (
        "NEW",
        "0.00100000",
        "60000.00000000",
    )
    assert queried in up.exchange.signed("GET", "openOrders", symbol="BTCUSDT").json()
    gone = up.exchange.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine-1")
    assert gone.json()["status"] == "CANCELED"
    again = up.exchange.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine-1")
    assert error(again) == (400, -2011, "Unknown order sent.")


def test_a_market_order_fills_and_the_balances_say_so(up: Up) -> None:
    def held() -> dict[str, float]:
        account = up.exchange.signed("GET", "account").json()
        return {b["asset"]: float(b["free"]) + float(b["locked"]) for b in account["balances"]}

    before = held()
    answer = up.exchange.order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01").json()
    assert answer["status"] == "FILLED"
    paid = sum(float(f["price"]) * float(f["qty"]) for f in answer["fills"])
    assert sum(float(f["qty"]) for f in answer["fills"]) == pytest.approx(0.01)
    after = held()
    assert after["BTC"] - before["BTC"] == pytest.approx(0.01)
    assert before["USDT"] - after["USDT"] == pytest.approx(paid, abs=1e-6)
    mine = up.exchange.signed("GET", "myTrades", symbol="BTCUSDT", orderId=answer["orderId"]).json()
    assert [t["id"] for t in mine] == [f["tradeId"] for f in answer["fills"]]


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"symbol": "NOPE"}, (400, -1121, "Invalid symbol.")),
        ({"side": "HOLD"}, (400, -1117, "Invalid side.")),
        ({"type": "STOP"}, (400, -1116, "Invalid orderType.")),
        ({"timeInForce": "DAY"}, (400, -1115, "Invalid timeInForce.")),
        ({"price": "60000.001"}, (400, -1013, "Filter failure: PRICE_FILTER")),
        ({"quantity": "0.000001"}, (400, -1013, "Filter failure: LOT_SIZE")),
        ({"quantity": "0.00001"}, (400, -1013, "Filter failure: NOTIONAL")),
        ({"price": "90000"}, (400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE")),
        (
            {"quantity": "0.0000000001"},
            (400, -1111, "Parameter 'quantity' has too much precision."),
        ),
        (
            {"quantity": "1e3"},
            (
                400,
                -1100,
                "Illegal characters found in parameter 'quantity'; legal range is"
                r" '^([0-9]{1,20})(\.[0-9]{1,20})?$'.",
            ),
        ),
        ({"quantity": ""}, (400, -1105, "Parameter 'quantity' was empty.")),
        (
            {"quantity": "20"},
            (400, -2010, "Account has insufficient balance for requested action."),
        ),
        (
            {"type": "LIMIT_MAKER", "price": "70000", "timeInForce": None},
            (400, -2010, "Order would immediately match and take."),
        ),
        (
            {"quantity": None},
            (
                400,
                -1102,
                "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.",
            ),
        ),
        (
            {"newClientOrderId": "a" * 37},
            (
                400,
                -1100,
                "Illegal characters found in parameter 'newClientOrderId'; legal range is"
                " '^[a-zA-Z0-9-_.:/]{1,36}$'.",
            ),
        ),
        (
            {"symbol": "btcusdt"},
            (
                400,
                -1100,
                "Illegal characters found in parameter 'symbol'; legal range is"
                " '^[A-Z0-9-_.]{1,20}$'.",
            ),
        ),
        (
            {"type": "STOP_LOSS_LIMIT"},
            (400, -1013, "Stop loss limit orders are not supported for this symbol."),
        ),
        (
            {"icebergQty": "0.0001"},
            (400, -1013, "Iceberg orders are not supported for this symbol."),
        ),
        ({"stopPrice": "1"}, (400, -1106, "Parameter 'stopPrice' sent when not required.")),
        (
            {"type": "MARKET", "price": None, "timeInForce": None, "quantity": None},
            (
                400,
                -1102,
                "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
            ),
        ),
        (
            {"typo": "1"},
            (
                400,
                -1104,
                "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.",
            ),
        ),
        ({"quantity": "2000000000"}, (400, -1013, "Filter failure: LOT_SIZE")),
        (
            {"type": "MARKET", "price": None, "timeInForce": None, "quantity": "2000000000"},
            (400, -1013, "Filter failure: MARKET_LOT_SIZE"),
        ),
        ({"price": "2000000000"}, (400, -1013, "Filter failure: PRICE_FILTER")),
    ],
)
def test_a_wrong_order_gets_binance_s_own_error(
    up: Up, changed: dict[str, Any], wanted: tuple[int, int, str]
) -> None:
    params = {k: v for k, v in {**RESTING, **changed}.items() if v is not None}
    assert error(up.exchange.order(**params)) == wanted


def test_a_request_must_be_signed_now_by_a_known_key(up: Up) -> None:
    now = time.time_ns() // 1_000_000
    exchange = up.exchange
    account = "/api/v3/account"
    assert error(exchange.http.get(account))[1] == -1102
    unsigned = exchange.http.get(f"{account}?timestamp={now}&signature=00")
    assert error(unsigned) == (400, -1022, "Signature for this request is not valid.")
    late = exchange.signed("GET", "account", timestamp=now - 6000)
    assert error(late)[1:] == (-1021, "Timestamp for this request is outside of the recvWindow.")
    early = exchange.signed("GET", "account", timestamp=now + 5000)
    assert error(early)[1] == -1021
    assert exchange.signed("GET", "account", timestamp=now - 6000, recvWindow=30000).is_success
    assert error(exchange.signed("GET", "account", recvWindow=60001))[1] == -1131
    unknown = httpx.get(
        up.url["exchange"] + f"{account}?timestamp={now}&signature=00",
        headers={"X-MBX-APIKEY": "a" * 64},
    )
    assert error(unknown)[:2] == (401, -2015)
    nobody = httpx.get(up.url["exchange"] + f"{account}?timestamp={now}&signature=00")
    assert error(nobody)[:2] == (401, -2014)


def test_a_changed_byte_breaks_the_signature(up: Up) -> None:
    done = up.exchange.signed("GET", "openOrders", symbol="BTCUSDT")
    assert done.is_success
    changed = str(done.request.url).replace("BTCUSDT", "ETHUSDT")
    assert error(up.exchange.http.get(changed))[1] == -1022


def test_the_signature_is_over_query_and_body_together(up: Up) -> None:
    import hashlib
    import hmac

    now = time.time_ns() // 1_000_000
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT"
    body = f"timeInForce=GTC&quantity=0.001&price=60000&timestamp={now}"
    secret = up.credentials["api_secret"].encode()
    signature = hmac.new(secret, (query + body).encode(), hashlib.sha256).hexdigest()
    answer = up.exchange.http.post(
        f"/api/v3/order/test?{query}",
        content=f"{body}&signature={signature}",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status_code, answer.json()) == (200, {})


def test_the_query_wins_and_twice_in_one_place_is_an_error(up: Up) -> None:
    exchange = up.exchange
    path = "/api/v3/ticker/price?symbol=BTCUSDT"
    answer = exchange.http.request("GET", path, content="symbol=NOPE")
    assert answer.json()["symbol"] == "BTCUSDT"
    twice = exchange.http.get("/api/v3/depth?symbol=BTCUSDT&symbol=ETHUSDT")
    assert error(twice) == (400, -1101, "Duplicate values for a parameter detected.")
    none = exchange.http.get("/api/v3/time?symbol=BTCUSDT")
    assert error(none) == (400, -1101, "Too many parameters; expected '0' and received '1'.")


def test_timestamps_and_windows_may_be_in_microseconds(up: Up) -> None:
    exchange = up.exchange
    now = time.time_ns() // 1000
    assert exchange.signed("GET", "account", timestamp=now).is_success
    assert error(exchange.signed("GET", "account", timestamp=now - 6_000_000))[1] == -1021
    window = {"timestamp": now - 6_000_000, "recvWindow": "59999.999"}
    assert exchange.signed("GET", "account", **window).is_success
    assert error(exchange.signed("GET", "account", recvWindow="60000.001"))[1] == -1131
    assert error(exchange.signed("GET", "account", recvWindow="1.0001"))[1] == -1100


def test_times_are_answered_in_the_unit_that_was_asked_for(up: Up) -> None:
    def klines(**headers: str) -> list[int]:
        answer = up.exchange.http.get(
            "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1", headers=headers
        )
        return [field for row in answer.json() for field in (row[0], row[6])]

    start, end = wait_for("the first minute", klines)
    assert (start % 60_000, end - start) == (0, 59_999)
    start, end = klines(**{"X-MBX-TIME-UNIT": "MICROSECOND"})
    assert (start % 60_000_000, end - start) == (0, 59_999_999)
    wrong = up.exchange.http.get("/api/v3/time", headers={"X-MBX-TIME-UNIT": "NANOSECOND"})
    assert error(wrong)[1] == -1194


def test_every_reply_says_what_was_used(up: Up) -> None:
    http = up.exchange.http
    first = int(http.get("/api/v3/ping").headers["x-mbx-used-weight-1m"])
    refused = http.get("/api/v3/depth?symbol=NOPE")
    assert int(refused.headers["x-mbx-used-weight-1m"]) == first + 5
    deep = http.get("/api/v3/depth?symbol=BTCUSDT&limit=5000")
    assert int(deep.headers["x-mbx-used-weight-1m"]) == first + 255
    stub = http.get("/sapi/v1/capital/config/getall?timestamp=1&signature=00")
    assert (stub.json(), int(stub.headers["x-mbx-used-weight-1m"])) == ([], first + 256)
    order = up.exchange.order(**{**RESTING, "quantity": "20"})
    assert "x-mbx-order-count-10s" not in order.headers


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("ticker?symbol=BTCUSDT&windowSize=1h", {"openPrice", "weightedAvgPrice", "count"}),
        ("ticker/tradingDay?symbol=BTCUSDT", {"openPrice", "priceChange"}),
        ("ticker/24hr?symbol=BTCUSDT", {"bidPrice", "prevClosePrice", "lastQty"}),
        ("avgPrice?symbol=BTCUSDT", {"mins", "price", "closeTime"}),
    ],
)
def test_tickers(up: Up, path: str, fields: set[str]) -> None:
    assert fields <= set(up.exchange.http.get(f"/api/v3/{path}").json())


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("ticker", -1102),
        ("ticker?symbol=BTCUSDT&windowSize=60m", -1130),
        ("ticker/24hr?type=HALF", -1139),
        ("ticker/price?symbol=BTCUSDT&symbols=%5B%22ETHUSDT%22%5D", -1128),
        ("ticker/price?symbols=%5B%22ETHUSDT%22,%22ETHUSDT%22%5D", -1151),
        ("ticker/price?symbols=ETHUSDT", -1100),
        ("exchangeInfo?symbolStatus=OPEN", -1122),
        ("klines?symbol=BTCUSDT&interval=7m", -1120),
        ("trades?symbol=BTCUSDT&limit=-1", -1100),
        ("trades?symbol=BTC%C3%A9", -1100),
    ],
)
def test_a_wrong_question_gets_binance_s_own_error(up: Up, path: str, code: int) -> None:
    assert error(up.exchange.http.get(f"/api/v3/{path}"))[:2] == (400, code)


def test_lists_of_symbols_and_statuses(up: Up) -> None:
    http = up.exchange.http
    symbols = "%5B%22ETHUSDT%22,%22BTCUSDT%22%5D"
    prices = http.get(f"/api/v3/ticker/price?symbols={symbols}").json()
    assert [p["symbol"] for p in prices] == ["ETHUSDT", "BTCUSDT"]
    assert http.get("/api/v3/exchangeInfo?symbolStatus=HALT").json()["symbols"] == []
    info = http.get("/api/v3/exchangeInfo?symbol=BTCUSDT").json()["symbols"][0]
    filters = {f["filterType"] for f in info["filters"]}
    assert {"MARKET_LOT_SIZE", "MAX_NUM_ORDERS", "PERCENT_PRICE_BY_SIDE"} <= filters


def test_a_cancel_may_be_restricted(up: Up) -> None:
    placed = up.exchange.order(**RESTING).json()
    which = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    refused = up.exchange.signed(
        "DELETE", "order", **which, cancelRestrictions="ONLY_PARTIALLY_FILLED"
    )
    assert error(refused)[1:] == (-2011, "Order was not canceled due to cancel restrictions.")
    wrong = up.exchange.signed("DELETE", "order", **which, cancelRestrictions="NEVER")
    assert error(wrong)[1] == -1145
    gone = up.exchange.signed("DELETE", "order", **which, cancelRestrictions="ONLY_NEW")
    assert gone.json()["status"] == "CANCELED"


def test_what_an_account_may_know(up: Up) -> None:
    signed = up.exchange.signed
    up.exchange.order(**RESTING)
    counts = signed("GET", "rateLimit/order").json()
    assert [(c["interval"], c["count"] > 0) for c in counts] == [("SECOND", True), ("DAY", True)]
    commission = signed("GET", "account/commission", symbol="BTCUSDT").json()
    assert commission["standardCommission"]["taker"] == "0.00000000"
    assert signed("GET", "myPreventedMatches", symbol="BTCUSDT", orderId=1).json() == []
    day = {"startTime": 1, "endTime": 86_400_002}
    long = signed("GET", "allOrders", symbol="BTCUSDT", **day)
    assert error(long)[1:] == (-1127, "More than 24 hours between startTime and endTime.")
    filtered = up.exchange.signed("POST", "order/test", **{**RESTING, "quantity": "0.00001"})
    assert error(filtered)[1:] == (-1013, "Filter failure: NOTIONAL")


def test_too_large_a_body_is_refused_before_it_is_read(up: Up) -> None:
    answer = up.exchange.http.post("/api/v3/order", content=b"x" * 300_000)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "service",
    [
        "exchange",
        "custodian",
        "market-data",
        "trading-engine",
        "risk-monitor",
        "test-coordinator",
        "audit-correlator",
    ],
)
def test_every_service_has_the_common_routes(up: Up, service: str) -> None:
    url = up.url[service]
    assert httpx.get(url + "/health").json() == {"status": "ok", "service": service}
    assert httpx.get(url + "/ready").json()["ready"] is True
    assert f'trading_ready{{service="{service}"}} 1.0' in httpx.get(url + "/metrics").text
    described = httpx.get(url + "/openapi.json").json()
    assert "/journal" in described["paths"]
    headers = httpx.get(url + "/health").headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_journal_is_a_chain_that_can_be_gone_on_with(up: Up) -> None:
    from trading.runtime.journal import from_ndjson, verify

    url = up.url["exchange"] + "/journal"
    lines = httpx.get(url).content.splitlines()
    length, _ = verify(from_ndjson(line) for line in lines)
    assert length == len(lines) > 10
    assert httpx.get(url, params={"after": 5}).content.splitlines()[0] == lines[5]
    with httpx.stream("GET", url, params={"after": length, "follow": "true"}) as following:
        fresh = from_ndjson(next(following.iter_lines()).encode())
    assert fresh.body.startswith(b"[%d," % (length + 1))


def test_no_secret_is_in_the_logs(up: Up) -> None:
    up.exchange.signed("GET", "account")
    with up.coordinator() as coordinator:
        coordinator.get("/runs")
    log = (up.data.parent / f"{up.data.name}.log").read_text()
    assert '"path' in log or "GET /api/v3/account" in log
    for secret in secrets_of(up.credentials):
        assert secret not in log
