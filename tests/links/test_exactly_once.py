"""Each message is received once and in order, whatever breaks between two services."""

import asyncio
import json
from random import Random
from typing import Any

import pytest

from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.store import MemoryStore
from trading.links.frames import peer_of
from trading.links.inbound import InboundLink
from trading.links.outbound import OutboundLink
from trading.market_data import MarketData
from trading.risk_monitor import RiskMonitor
from trading.runtime.journal import decode
from trading.scenario.plan import RunPlan
from trading.topology import MARKET_DATA, RISK_MONITOR

PLAN = RunPlan(name="world", seed=3, speed=500, faults=(), expectations=())


def host(component: Any, store: MemoryStore, links: list[OutboundLink]) -> Host:
    """Return a host of the component that ``component`` makes, which sends over ``links``."""

    def sender(items: Any) -> None:
        for outbound in links:
            outbound.put([i for i in items if peer_of(i.to) == outbound.peer])

    return Host(
        lambda session: [component(session)],
        store,
        idle=lambda: Session(plan=PLAN, key="world"),
        sender=sender,
    )


async def transfer(outbound: OutboundLink, inbound: InboundLink, count: int) -> None:
    """Transfer so many lists of frames; then the connection breaks."""
    stream: Any = outbound.messages()
    try:
        async with asyncio.timeout(5):
            for _ in range(count):
                inbound.receive(await anext(stream))
    finally:
        await stream.aclose()


async def kill(service: Host) -> None:
    """End the process of a host: what was not written is lost."""
    await service.tasks.stop()


async def play(seed: int) -> tuple[list[Any], list[Any]]:
    """Let one service send to another while connections and processes fail, and return the ticks
    in the sender's journal and in the receiver's.
    """
    rng = Random(seed)
    links: list[OutboundLink] = []
    source_store, target_store = MemoryStore(), MemoryStore()
    universe = PLAN.universe
    source = host(lambda s: MarketData(universe, 3, tick=PLAN.tick), source_store, links)
    await source.start()
    target = host(lambda s: RiskMonitor(universe), target_store, [])
    await target.start()
    for _ in range(12):
        inbound = InboundLink(target, RISK_MONITOR, MARKET_DATA, MARKET_DATA, chaos=False)
        outbound = OutboundLink(source, RISK_MONITOR, inbound.after())
        links[:] = [outbound]
        await transfer(outbound, inbound, rng.randrange(1, 6))
        links.clear()
        action = rng.randrange(3)
        if action == 0:
            await kill(target)
            target = host(lambda s: RiskMonitor(universe), target_store, [])
            await target.start()
        elif action == 1:
            await kill(source)
            source = host(lambda s: MarketData(universe, 3, tick=PLAN.tick), source_store, links)
            await source.start()
    await target.committed(target.clock.now())
    await kill(source)
    await kill(target)
    sent = [p for _, _, kind, p in entries(source_store, MARKET_DATA) if kind == "PriceTick"]
    received = [m for _, _, kind, p in entries(target_store, RISK_MONITOR) if kind == "Received"
                for m in p if m["msg"] == "PriceTick"]  # fmt: skip
    return sent, received


def entries(store: MemoryStore, source: str) -> list[tuple[int, int, str, Any]]:
    """Return the decoded entries of a journal: (seq, time, type, payload)."""
    return [decode(entry.body) for entry in store.read(1, source, 0, 10**9)]


@pytest.mark.parametrize("seed", range(8))
def test_every_tick_is_heard_once_and_in_order(seed: int) -> None:
    sent, received = asyncio.run(play(seed))
    assert len(received) > 20
    assert received == sent[: len(received)]


def test_a_repeated_frame_counts_once() -> None:
    async def twice() -> list[Any]:
        store = MemoryStore()
        target = host(lambda s: RiskMonitor(PLAN.universe), store, [])
        await target.start()
        inbound = InboundLink(target, RISK_MONITOR, MARKET_DATA, MARKET_DATA, chaos=False)
        tick = {"msg": "PriceTick", "asset": "BTC", "price": 1, "seq": 1, "event_time": 1}
        text = json.dumps([[MARKET_DATA, 7, RISK_MONITOR, tick, 1]])
        inbound.receive(text)
        inbound.receive(text)
        await target.committed(target.clock.now())
        await kill(target)
        return [
            m for _, _, kind, p in entries(store, RISK_MONITOR) if kind == "Received" for m in p
        ]

    received = asyncio.run(twice())
    assert [m["msg"] for m in received if m["msg"] in ("PriceTick", "Delivered")] == [
        "PriceTick",
        "Delivered",
    ]
