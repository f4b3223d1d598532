"""Measure fan-out: many subscribers of the exchange's market streams, and of the risk monitor's
events.

The load has a fixed number of subscribers and a fixed length, ends by itself, and goes to 127.0.0.1
only.
"""

import asyncio
import time
from typing import NamedTuple

from bench.client import Client, get
from bench.detection import percentile
from bench.measure import Figure
from bench.running import Running
from bench.subscribers import Arrivals, SubscriberFactory, follow, server_sent, web_socket
from trading.hosting.loop import run as run_loop
from trading.topology import EXCHANGE, RISK_MONITOR

SUBSCRIBERS = 500
SECONDS = 10.0
#: Simulated seconds per wall second, so that the books change ten times per wall second, which is
#: as often as the streams publish.
FAST_SPEED = 10
#: Factor on the measured time for the dashboard, whose stream has one event per second.
DASHBOARD_FACTOR = 3
#: Wall seconds between the last connection and the first message that counts.
SETTLE = 1.0
#: Wall seconds to wait at the end for subscribers that are behind.
GRACE = 2.0
#: Target in milliseconds for the 99th percentile of the time from the first to the last subscriber.
AIM = 100.0
_TIMEOUT = 60.0

MARKET = "/stream?streams=btcusdt@depth@100ms/btcusdt@trade"
TOP = "/ws/btcusdt@bookTicker"
EVENTS = "/events"


class Delivery(NamedTuple):
    """What the subscribers of one stream received.

    `rate` is messages received per second, all subscribers together. `spread` has for each message
    the wall seconds between the first and the last subscriber that received it. `arrived` is the
    share of the subscribers that a message reached, on average. `busy` is processor seconds of the
    server per second.
    """

    rate: float
    spread: list[float]
    arrived: float
    busy: float


class Fanout(NamedTuple):
    """The deliveries of all measured streams; `single` is the market stream with one subscriber."""

    single: Delivery
    market: Delivery
    top: Delivery
    events: Delivery


def run(subscribers: int = SUBSCRIBERS, seconds: float = SECONDS) -> list[Figure]:
    """Measure with this many subscribers for this many wall seconds; return the figures."""
    results = measure(subscribers, seconds)
    single, market = results.single, results.market
    each = (market.busy - single.busy) / (market.rate - single.rate) * 1e6
    return [
        *_figures(f"{subscribers} on depth and trades", market),
        Figure("the same, processor for one more message", each, "µs"),
        Figure("the same, processor / with one subscriber", market.busy / single.busy, "x"),
        *_figures(f"{subscribers} on book ticker", results.top),
        *_figures(f"{subscribers} on dashboard events", results.events, coalesced=True),
    ]


def _figures(title: str, delivery: Delivery, *, coalesced: bool = False) -> list[Figure]:
    """Return the figures of one stream. If it is `coalesced`, each message has the whole state, and
    a slow subscriber may miss older ones: then the share that arrived is no figure.
    """
    p99 = percentile(delivery.spread, 99) * 1e3
    arrived_figure = Figure(
        f"{title}: arrived", delivery.arrived * 100, "%", "100", delivery.arrived == 1
    )
    return [
        Figure(f"{title}: messages", delivery.rate, "/s"),
        *([] if coalesced else [arrived_figure]),
        Figure(f"{title}: first to last, p50", percentile(delivery.spread, 50) * 1e3, "ms"),
        Figure(f"{title}: first to last, p99", p99, "ms", f"<= {AIM:.0f}", p99 <= AIM),
        Figure(f"{title}: processor", delivery.busy * 100, "%"),
    ]


def measure(subscribers: int, seconds: float) -> Fanout:
    """Measure the market streams while the market changes as fast as they publish, and the
    dashboard's events at the speed of the wall clock.
    """
    market, top = web_socket(MARKET), web_socket(TOP)
    fast = [(EXCHANGE, market, 1), (EXCHANGE, market, subscribers), (EXCHANGE, top, subscribers)]
    slow = [(RISK_MONITOR, server_sent(EVENTS), subscribers)]
    return Fanout(
        *_streams(FAST_SPEED, seconds, fast), *_streams(1, DASHBOARD_FACTOR * seconds, slow)
    )


def _streams(
    speed: float, seconds: float, streams: list[tuple[str, SubscriberFactory, int]]
) -> list[Delivery]:
    """Measure streams one after the other against one server. A stream is a service, a factory of
    its subscribers, and their number.
    """
    deliveries: list[Delivery] = []

    async def main(up: Running) -> None:
        await _wait_for_quotes(up)
        for service, factory, count in streams:
            deliveries.append(await _measure_stream(up, service, factory, count, seconds))

    with Running(speed=speed) as up:
        run_loop(main(up))
    return deliveries


async def _measure_stream(
    up: Running, service: str, factory: SubscriberFactory, count: int, seconds: float
) -> Delivery:
    arrivals = Arrivals()
    async with asyncio.timeout(_TIMEOUT + seconds):
        subscribers = await follow(up.ports[service], factory, count, arrivals)
        try:
            # Exclude the initial messages, which go to each new subscriber alone.
            await asyncio.sleep(min(seconds, SETTLE))
            began, before = time.perf_counter(), up.cpu_seconds()
            await asyncio.sleep(seconds)
            end, used = time.perf_counter(), up.cpu_seconds() - before
            await asyncio.sleep(min(seconds, GRACE))
        finally:
            for subscriber in subscribers:
                subscriber.close()
    if arrivals.lost:
        raise RuntimeError(f"{service} dropped {arrivals.lost} of {count} subscribers")
    messages = arrivals.between(began, end)
    if not messages:
        raise RuntimeError(f"{service} sent no message in {seconds} s")
    arrived = sum(len(moments) for moments in messages)
    took = end - began
    return Delivery(
        rate=arrived / took,
        spread=[moments[-1] - moments[0] for moments in messages],
        arrived=arrived / (len(messages) * count),
        busy=used / took,
    )


async def _wait_for_quotes(up: Running) -> None:
    """Wait until the order book has both sides."""
    client = await Client.open(up.ports[EXCHANGE])
    async with asyncio.timeout(_TIMEOUT):
        while True:
            top = await client.send(get("/api/v3/ticker/bookTicker?symbol=BTCUSDT"))
            if float(top["bidPrice"]) and float(top["askPrice"]):
                break
            await asyncio.sleep(0.05)
    client.close()
