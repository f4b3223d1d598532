"""Tests services that are killed between runs: no acknowledged order is lost or duplicated."""

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.load import Load
from tests.api.running import quoted, wait_for
from tests.api.test_up import KILLS
from tests.serve.processes import Apart

pytestmark = pytest.mark.timeout(900)


def test_orders_and_settlements_survive_kills_of_the_venue_and_the_custodian(
    fresh: Apart,
) -> None:
    acknowledged: dict[str, int] = {}
    for number in range(KILLS):
        wait_for("a book", lambda: quoted(fresh))
        load = Load(fresh.exchange(), f"k{number}")
        load.wait(fresh.url["risk-monitor"], fresh.operator, 5 + 7 * (number % 5))
        fresh.kill("exchange", "custodian")
        load.stop()
        acknowledged |= load.acknowledged
        fresh.start("exchange", "custodian")
        client = fresh.exchange()
        client.signed("DELETE", "openOrders", symbol="BTCUSDT")
        client.http.close()
    order_ids: dict[str, set[int]] = {}
    for entry in fresh.journal("exchange"):
        if entry[2] == "ExecutionReport" and entry[3]["order_id"]:
            order_ids.setdefault(entry[3]["client_order_id"], set()).add(entry[3]["order_id"])
    assert {n: order_ids.get(n) for n in acknowledged} == {n: {i} for n, i in acknowledged.items()}
    trades = [e[3]["trade_id"] for e in fresh.journal("exchange") if e[2] == "Trade"]
    assert trades == list(range(1, len(trades) + 1))

    def received_trades() -> Any:
        received = [e[3] for e in fresh.journal("custodian") if e[2] == "Received"]
        ids = [m["trade_id"] for batch in received for m in batch if m["msg"] == "Trade"]
        return ids if len(ids) >= len(trades) else None

    ids = wait_for("the custodian to learn every trade", received_trades)
    assert ids == list(range(1, len(ids) + 1))


def test_ctrl_c_keeps_everything(tmp_path: Path) -> None:
    with Apart(tmp_path / "data", forked=False) as services:
        services.kill("risk-monitor", number=signal.SIGINT)
        assert services.log("risk-monitor").splitlines()[-1] == "stopped; everything is kept"
        services.start("risk-monitor")
        url = services.url["risk-monitor"] + "/api/portfolio"
        wait_for("the portfolio", lambda: httpx.get(url).json()["known"])
        assert set(services.stop().values()) == {0}
        assert "Traceback" not in "".join(services.log(name) for name in services.process)
