"""``trading up``: starts, ends, and goes on where it stopped, however it was stopped."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.api.running import Up, wait_for

RESTING = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.0001",
}
#: How often the ecosystem is killed under load; ``KILLS=200`` is the long version.
KILLS = int(os.environ.get("KILLS", "4"))


def book(up: Up) -> list[dict[str, object]]:
    found: list[dict[str, object]] = up.exchange.signed(
        "GET", "allOrders", symbol="BTCUSDT", limit=1000
    ).json()
    return found


def quoted(up: Up) -> bool:
    top = httpx.get(up.url["exchange"] + "/api/v3/ticker/bookTicker?symbol=BTCUSDT").json()
    return bool(float(top["bidPrice"]))


def test_ctrl_c_ends_it_with_streams_open_and_nothing_lost(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    wait_for("a book", lambda: quoted(up))
    placed = up.exchange.order(**RESTING, price="60000", newClientOrderId="kept").json()
    with httpx.stream("GET", up.url["risk-monitor"] + "/events", timeout=30) as events:
        next(events.iter_lines())
        code, said = up.stop()
    assert code == 0
    assert said.splitlines()[-1] == "stopped; everything is kept"
    assert "Traceback" not in (tmp_path / "data.log").read_text()

    up.start()
    try:
        found = up.exchange.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="kept")
        assert found.json()["orderId"] == placed["orderId"]
        assert found.json()["status"] == "NEW"
    finally:
        up.stop()


@pytest.mark.timeout(1800)
def test_kill_9_under_load_loses_no_acknowledged_order_and_makes_none_twice(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    acknowledged: dict[str, int] = {}
    killed = False
    try:
        for round_number in range(KILLS):
            wait_for("a book", lambda: quoted(up))
            stop = threading.Event()

            def load(number: int = round_number, stop: threading.Event = stop) -> None:
                count = 0
                while not stop.is_set() and count < 80:
                    count += 1
                    name = f"k{number}-{count}"
                    kind = {"type": "MARKET"} if count % 3 == 0 else {**RESTING, "price": "60000"}
                    params = {**RESTING, **kind, "newClientOrderId": name}
                    if kind["type"] == "MARKET":
                        params.pop("timeInForce")
                    try:
                        answer = up.exchange.order(**params)
                    except httpx.HTTPError:
                        return
                    if answer.status_code == 200:
                        acknowledged[name] = answer.json()["orderId"]

            before = len(acknowledged)
            worker = threading.Thread(target=load)
            worker.start()
            wanted = before + 5 + 7 * (round_number % 5)
            wait_for("orders", lambda n=wanted: len(acknowledged) >= n)
            code, _ = up.stop(signal.SIGKILL)
            assert code == -signal.SIGKILL
            killed = True
            stop.set()
            worker.join()
            up.start()
            orders = {str(o["clientOrderId"]): o["orderId"] for o in book(up)}
            listed = [o["clientOrderId"] for o in book(up)]
            mine = [n for n in acknowledged if n.startswith(f"k{round_number}-")]
            assert {n: orders.get(n) for n in mine} == {n: acknowledged[n] for n in mine}
            assert len(listed) == len(set(listed))
            trades = up.exchange.signed("GET", "myTrades", symbol="BTCUSDT", limit=1000).json()
            ids = [t["id"] for t in trades]
            assert ids == sorted(set(ids))
            up.exchange.signed("DELETE", "openOrders", symbol="BTCUSDT")
        assert killed
    finally:
        up.stop()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SIM_SPEED": "fast"}, "SIM_SPEED: Input should be a valid number"),
        ({"BIND_HOST": "0.0.0.0"}, "RISK_TOKEN: must be set"),  # noqa: S104
        ({"API_KEY": "a"}, "API_SECRET: API_KEY and API_SECRET go together"),
        ({"CHAOS_TOKEN_FILE": "/nowhere"}, "CHAOS_TOKEN_FILE: /nowhere: No such file"),
    ],
)
def test_a_wrong_setting_names_itself_and_stops_the_start(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trading.cli", "up"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **environment},
        timeout=60,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    up = Up(tmp_path / "first")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "trading.cli", "up", "--data", str(tmp_path / "second")],
            capture_output=True,
            text=True,
            env={**os.environ, "PORT_OFFSET": str(up.offset)},
            timeout=60,
        )
        assert done.returncode == 2
        assert f"{8082 + up.offset} (market-data): Address already in use" in done.stderr
    finally:
        up.stop()
