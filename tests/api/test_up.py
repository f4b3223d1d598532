"""`trading up` starts, stops, and resumes where it stopped, whatever stopped it."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.load import RESTING, Load
from tests.api.running import Up, UpFromNothing, quoted, wait_for
from tests.forked import command

#: How often the ecosystem is killed under load; ``KILLS=200`` is the long version.
KILLS = int(os.environ.get("KILLS", "4"))


def book(up: Up, since: int) -> list[dict[str, Any]]:
    """Return the account's orders from the order id `since` on."""
    orders: list[dict[str, Any]] = up.exchange.signed(
        "GET", "allOrders", symbol="BTCUSDT", orderId=since, limit=1000
    ).json()
    return orders


def test_ctrl_c_ends_it_with_streams_open_and_nothing_lost(tmp_path: Path) -> None:
    up = UpFromNothing(tmp_path / "data")
    wait_for("a book", lambda: quoted(up))
    placed = up.exchange.order(**RESTING, newClientOrderId="kept").json()
    with httpx.stream("GET", up.url["risk-monitor"] + "/events", timeout=30) as events:
        next(events.iter_lines())
        code, output = up.stop()
    assert code == 0
    assert output.splitlines()[-1] == "stopped; everything is kept"
    assert "Traceback" not in (tmp_path / "data.log").read_text()

    up.start()
    try:
        order = up.exchange.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="kept")
        assert order.json()["orderId"] == placed["orderId"]
        assert order.json()["status"] == "NEW"
    finally:
        up.stop()


@pytest.mark.timeout(3600)
def test_kill_9_under_load_loses_no_acknowledged_order_and_makes_none_twice(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    first_order, first_trade, held = 1, 0, 1.0
    try:
        for number in range(KILLS):
            wait_for("a book", lambda: quoted(up))
            load = Load(up.client(), f"k{number}")
            load.wait(up.url["risk-monitor"], up.operator, 5 + 7 * (number % 5))
            code, _ = up.stop(signal.SIGKILL)
            assert code == -signal.SIGKILL
            load.stop()

            up.start()
            orders = book(up, first_order)
            ids = {str(o["clientOrderId"]): o["orderId"] for o in orders}
            assert {n: ids.get(n) for n in load.acknowledged} == load.acknowledged
            assert len(orders) == len(ids) == len(set(ids.values())) < 1000
            trades = up.exchange.signed(
                "GET", "myTrades", symbol="BTCUSDT", fromId=first_trade, limit=1000
            ).json()
            filled = sum(float(o["executedQty"]) for o in orders)
            assert len({t["id"] for t in trades}) == len(trades) < 1000
            assert sum(float(t["qty"]) for t in trades) == pytest.approx(filled)
            account = up.exchange.signed("GET", "account").json()
            owned = {b["asset"]: float(b["free"]) + float(b["locked"]) for b in account["balances"]}
            held += filled
            assert owned["BTC"] == pytest.approx(held)
            up.exchange.signed("DELETE", "openOrders", symbol="BTCUSDT")
            first_order = max(ids.values(), default=first_order - 1) + 1
            first_trade = max((t["id"] for t in trades), default=first_trade - 1) + 1
    finally:
        up.stop()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SIM_SPEED": "fast"}, "SIM_SPEED: Input should be a valid number"),
        ({"BIND_HOST": "0.0.0.0"}, "RISK_TOKEN: must be set"),  # noqa: S104
        ({"API_KEY": "a-key-of-the-exchange"}, "API_SECRET: API_KEY and API_SECRET go together"),
        ({"CHAOS_TOKEN_FILE": "/nowhere"}, "CHAOS_TOKEN_FILE: /nowhere: No such file"),
    ],
)
def test_a_wrong_setting_names_itself_and_stops_the_start(
    tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    done = command("up", cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    up = Up(tmp_path / "first")
    try:
        environment = {"PORT_OFFSET": str(up.offset)}
        done = command("up", "--data", str(tmp_path / "second"), env=environment, timeout=300)
        assert done.returncode == 2
        assert f"{8082 + up.offset} (market-data): Address already in use" in done.stderr
    finally:
        up.stop()
