"""Measure detection: wall time from the order that breaks a limit to the alert on the risk
monitor's stream, over the real services.

An alert stays active until its condition has been clear for a minute, and each rule and account has
one active alert at most. So that 200 alerts do not take 200 minutes, each injection has a session
of its own: that of a scenario run which is aborted before its first fault. After the abort, time
advances at SIM_SPEED, as it does between runs.
"""

import asyncio
import contextlib
import json
import math
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.client import Client, get, order, post
from bench.measure import Figure
from bench.running import Running
from trading.topology import EXCHANGE, RISK_MONITOR, TEST_COORDINATOR

INJECTIONS = 200
AIM = 100.0
#: Wall seconds to wait for an alert, or for the start or the end of a session.
TIMEOUT = 20.0
#: Identical orders within a second: one more than the limit.
_IDENTICAL_ORDERS = 6
#: Minimum wall seconds between two sessions: the exchange accepts 100 orders in 10 s.
_SESSION_INTERVAL = 0.8
#: Simulated time is fast until the first prices arrive. The first fault is at least five minutes
#: later, so the run is aborted before it.
_SCENARIO = {"scenario": "market-crash", "overrides": {"clock.mode": "wall", "clock.speed": "20"}}


class Latencies(NamedTuple):
    """Wall seconds, one entry for each injection.

    `fat_finger` is the time until the alert for one order that is too large, `duplicate` the time
    until the alert for one identical order too many, and `answer` the time until the response to
    the first order.
    """

    fat_finger: list[float]
    duplicate: list[float]
    answer: list[float]


def run(injections: int = INJECTIONS) -> list[Figure]:
    """Measure this many injections; return the percentiles of their latencies."""
    with Running() as up:
        latencies = asyncio.run(measure(up, injections))
    figures = []
    for name, seconds in (
        ("one too large", latencies.fat_finger),
        ("repeated", latencies.duplicate),
    ):
        p99 = percentile(seconds, 99) * 1e3
        title = f"order to alert, {name}"
        figures += [
            Figure(f"{title}: p50", percentile(seconds, 50) * 1e3, "ms"),
            Figure(f"{title}: p99", p99, "ms", f"<= {AIM:.0f}", p99 <= AIM),
        ]
    answered = percentile(latencies.answer, 50) * 1e3
    return [*figures, Figure("order to its own answer: p50", answered, "ms")]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the percentile of the values by nearest rank."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class _Watcher:
    """Follows the risk monitor's event stream. `first_seen` has the time of the first event with an
    alert, by session and alert id, in seconds of the performance counter.
    """

    def __init__(self) -> None:
        self.first_seen: dict[tuple[int, str], float] = {}
        self._news = asyncio.Event()

    async def follow(self, port: int) -> None:
        """Read the event stream of the risk monitor at this port until cancelled."""
        client = await Client.open(port)
        try:
            async for arrived, data in client.events("/events"):
                self._record(json.loads(data), arrived)
        finally:
            client.close()

    def _record(self, event: dict[str, Any], arrived: float) -> None:
        for alert in event["alerts"]:
            key = (event["session"], alert["alert_id"])
            if key not in self.first_seen and event["speed"] != 1:
                raise RuntimeError(f"{key} came while simulated time was not at speed 1")
            self.first_seen.setdefault(key, arrived)
        self._news.set()

    async def wait(self, session: int, alert_id: str) -> float:
        """Wait for an alert; return the time at which it was first seen."""
        while (session, alert_id) not in self.first_seen:
            self._news.clear()
            await self._news.wait()
        return self.first_seen[session, alert_id]


async def measure(up: Running, injections: int) -> Latencies:
    """Open `injections` sessions one after the other, and send both kinds of order in each. Raises
    TimeoutError if an alert does not come in time.
    """
    watcher = _Watcher()
    following = asyncio.create_task(watcher.follow(up.ports[RISK_MONITOR]))
    exchange = await Client.open(up.ports[EXCHANGE])
    monitor = await Client.open(up.ports[RISK_MONITOR])
    coordinator = await Client.open(up.ports[TEST_COORDINATOR])
    phases = random.Random(7)
    latencies = Latencies([], [], [])
    try:
        for _ in range(injections):
            pause = asyncio.create_task(asyncio.sleep(_SESSION_INTERVAL))
            begun = await coordinator.send(post("/runs", _SCENARIO, up.token))
            async with asyncio.timeout(TIMEOUT):
                price = await _wait_for_price(monitor, exchange)
                await coordinator.send(post(f"/runs/{begun['id']}/abort", {}, up.token))
                await _wait_for_end(coordinator, begun["id"])
            await _inject(up, exchange, watcher, begun["session"], price, phases, latencies)
            await pause
    finally:
        for client in (exchange, monitor, coordinator):
            client.close()
        if not following.done():
            following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    return latencies


async def _inject(
    up: Running,
    exchange: Client,
    watcher: _Watcher,
    session: int,
    price: float,
    phases: random.Random,
    latencies: Latencies,
) -> None:
    def resting(quantity: str) -> bytes:
        """Return a buy order below the market and within the price collar, so that it does not
        trade.
        """
        return order(
            up.key,
            up.secret,
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity=quantity,
            price=f"{price * 0.995:.0f}",
        )

    # The risk monitor evaluates some rules once a second. Random phases of that second make the
    # injections independent of it.
    await asyncio.sleep(phases.uniform(0.1, 1.1))
    for number in range(_IDENTICAL_ORDERS):
        began = time.perf_counter()
        await exchange.send(resting("0.001"))
        if number == 0:
            latencies.answer.append(time.perf_counter() - began)
    async with asyncio.timeout(TIMEOUT):
        latencies.duplicate.append(
            await watcher.wait(session, "duplicate-orders/firm-api/1") - began
        )

    too_large = resting("1")
    began = time.perf_counter()
    await exchange.send(too_large)
    async with asyncio.timeout(TIMEOUT):
        latencies.fat_finger.append(await watcher.wait(session, "fat-finger/firm-api/1") - began)


async def _wait_for_price(monitor: Client, exchange: Client) -> float:
    """Wait until the exchange quotes bitcoin and the risk monitor has a price of every asset;
    return the best bid. Before that the risk monitor cannot value an order.
    """
    while True:
        health: dict[str, Any] = await monitor.send(get("/api/health"))
        top = await exchange.send(get("/api/v3/ticker/bookTicker?symbol=BTCUSDT"))
        bid = float(top["bidPrice"])
        if bid and all(feed["age"] != "never" for feed in health["feeds"]):
            return bid
        await asyncio.sleep(0.01)


async def _wait_for_end(coordinator: Client, run_id: str) -> None:
    while True:
        if (await coordinator.send(get(f"/runs/{run_id}")))["verdict"] is not None:
            return
        await asyncio.sleep(0.01)
