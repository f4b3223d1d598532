"""The event stream of ticks: in order of publication, each once, across gaps and restarts too."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from trading.api.market_data import hub as hubs
from trading.api.market_data.app import PROJECTIONS, PUBLISHED
from trading.api.market_data.hub import (
    BACKLOG,
    MAX_SUBSCRIBERS,
    Subscriber,
    TickHub,
    TooManySubscribers,
)
from trading.api.market_data.ticks import Ticks
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import JournalStore, MemoryStore
from trading.market_data import MarketData
from trading.messages.chaos import FeedDisruption, InjectFault
from trading.messages.market import PriceTick
from trading.scenario.plan import RunPlan
from trading.topology import MARKET_DATA
from trading.units import DAY, SECOND

ASSETS = 6


@asynccontextmanager
async def running(store: JournalStore, speed: float = 50) -> AsyncIterator[tuple[Host, TickHub]]:
    plan = RunPlan(name="idle", speed=speed, faults=(), expectations=())
    host = Host(
        lambda session: [MarketData(session.plan.universe, session.plan.seed, tick=SECOND)],
        store,
        idle=lambda: Session(plan=plan),
        projections=PROJECTIONS,
        published=PUBLISHED,
    )
    hub = TickHub(host)
    await host.start()
    try:
        yield host, hub
    finally:
        await host.stop()


class Reader:
    """Reads a subscriber's event stream as a client does, and collects what it receives."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.ids: list[str] = []
        self.ticks: list[dict[str, Any]] = []
        self.other: list[tuple[str, Any]] = []
        self._events = subscriber.events()

    async def until(self, enough: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not enough():
                self._read_chunk((await anext(self._events)).decode())

    async def to_the_end(self) -> None:
        async with asyncio.timeout(30):
            async for chunk in self._events:
                self._read_chunk(chunk.decode())

    def seqs(self, asset: str) -> list[int]:
        return [t["seq"] for t in self.ticks if t["asset"] == asset]

    def _read_chunk(self, chunk: str) -> None:
        for event in chunk.strip().split("\n\n"):
            if event.startswith(":"):
                continue
            fields = dict(line.split(": ", 1) for line in event.splitlines())
            data = json.loads(fields["data"])
            if "event" in fields:
                self.other.append((fields["event"], data))
            else:
                self.ids.append(fields["id"])
                self.ticks.append(data)


def positions(reader: Reader) -> list[int]:
    return [int(i.partition("-")[2]) for i in reader.ids]


def test_every_tick_comes_once_and_in_order() -> None:
    async def run() -> None:
        async with running(MemoryStore()) as (_, hub):
            reader = Reader(hub.join(""))
            await reader.until(lambda: len(reader.ticks) > 20 * ASSETS)
            event_positions = positions(reader)
            assert event_positions == list(
                range(event_positions[0], event_positions[0] + len(event_positions))
            )
            seqs = reader.seqs("BTC")
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
            assert reader.other == [("session", {"session": 1, "run_id": None})]

    asyncio.run(run())


@pytest.mark.parametrize("mode", ["out-of-order", "nan", "negative", "gap"])
def test_a_disrupted_feed_is_told_as_it_is(mode: str) -> None:
    async def run() -> None:
        async with running(MemoryStore()) as (host, hub):
            reader = Reader(hub.join(""))
            await reader.until(lambda: reader.seqs("BTC"))
            fault = FeedDisruption(mode=mode, assets=("BTC",))
            host.send(MARKET_DATA, InjectFault(MARKET_DATA, "f", fault, host.kernel.now + DAY))
            odd = {
                "out-of-order": lambda: sorted(seqs := reader.seqs("BTC")) != seqs,
                "nan": lambda: any(t["price"] is None for t in reader.ticks),
                "negative": lambda: any(float(t["price"] or 0) < 0 for t in reader.ticks),
                "gap": lambda: len(s := reader.seqs("BTC")) < s[-1] - s[0] + 1,
            }
            await reader.until(odd[mode])
            event_positions = positions(reader)
            assert event_positions == list(
                range(event_positions[0], event_positions[0] + len(event_positions))
            )
            if mode == "out-of-order":
                seqs = reader.seqs("BTC")
                last = hub.ticks.after("BTC", seqs[0] - 1, 1000, hub.published_seq)
                assert [t.seq for t in last] == sorted(t.seq for t in last)

    asyncio.run(run())


def test_a_stream_goes_on_after_the_last_event_that_was_seen() -> None:
    async def run() -> None:
        async with running(MemoryStore()) as (_, hub):
            reader = Reader(hub.join(""))
            await reader.until(lambda: len(reader.ticks) > 3 * ASSETS)
            last_event_id = reader.ids[7]
            resumed = Reader(hub.join(last_event_id))
            await resumed.until(lambda: len(resumed.ticks) > 10 * ASSETS)
            event_positions = positions(resumed)
            assert event_positions[0] == int(last_event_id.partition("-")[2]) + 1
            assert event_positions == list(
                range(event_positions[0], event_positions[0] + len(event_positions))
            )
            both = min(len(resumed.ids), len(reader.ids) - 8)
            assert resumed.ids[:both] == reader.ids[8 : 8 + both]
            assert resumed.ticks[:both] == reader.ticks[8 : 8 + both]

    asyncio.run(run())


def test_it_says_how_much_is_not_kept_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "KEPT_OF_ALL", 30)

    async def run() -> None:
        async with running(MemoryStore()) as (_, hub):
            reader = Reader(hub.join(""))
            await reader.until(lambda: hub.published_seq > 60)
            resumed = Reader(hub.join("1-10"))
            published = hub.published_seq
            await resumed.until(lambda: resumed.ticks)
            assert resumed.other[1] == ("gap", {"missed": published - 30 - 10})
            assert positions(resumed)[0] == published - 30 + 1

    asyncio.run(run())


@pytest.mark.parametrize("odd", ["", "x", "1", "1-", "-1", "1-x", "²-1", "1-" + "9" * 40])
def test_an_odd_event_id_is_nothing_to_go_on_from(odd: str) -> None:
    async def run() -> None:
        async with running(MemoryStore()) as (_, hub):
            reader = Reader(hub.join(odd))
            published = hub.published_seq
            await reader.until(lambda: reader.ticks)
            assert positions(reader)[0] == published + 1

    asyncio.run(run())


def test_a_restart_goes_on_where_the_stream_was(tmp_path: Path) -> None:
    """Every event that was published before the restart has the same id afterwards."""

    async def first() -> Reader:
        async with running(SqliteStore(tmp_path / "j.sqlite")) as (_, hub):
            reader = Reader(hub.join(""))
            await reader.until(lambda: len(reader.ticks) > 10 * ASSETS)
            return reader

    async def second(before: Reader) -> None:
        async with running(SqliteStore(tmp_path / "j.sqlite")) as (_, hub):
            reader = Reader(hub.join(before.ids[4]))
            await reader.until(lambda: len(reader.ticks) > len(before.ticks) + ASSETS)
            repeated = len(before.ids) - 5
            assert reader.ids[:repeated] == before.ids[5:]
            assert reader.ticks[:repeated] == before.ticks[5:]
            event_positions = positions(reader)
            assert event_positions == list(
                range(event_positions[0], event_positions[0] + len(event_positions))
            )

    asyncio.run(second(asyncio.run(first())))


def test_another_session_is_announced_and_counts_anew() -> None:
    async def run() -> None:
        async with running(MemoryStore()) as (host, hub):
            reader = Reader(hub.join(""))
            await reader.until(lambda: len(reader.ticks) > ASSETS)
            await host.open(Session(plan=host.session.plan, run_id="run-1"))
            await reader.until(lambda: reader.ids and reader.ids[-1].startswith("2-"))
            assert reader.other[-1] == ("session", {"session": 2, "run_id": "run-1"})
            fresh = [i for i in reader.ids if i.startswith("2-")]
            assert fresh[0] == "2-1"
            late = Reader(hub.join("1-3"))
            await late.until(lambda: late.ids)
            assert late.ids[0] == "2-1"

    asyncio.run(run())


def test_each_tick_is_encoded_once_for_five_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    encode = hubs._encode

    def counted(data: Any) -> bytes:
        nonlocal calls
        calls += "seq" in data
        return encode(data)

    monkeypatch.setattr(hubs, "_encode", counted)

    async def run() -> None:
        async with running(MemoryStore()) as (_, hub):
            readers = [Reader(hub.join("")) for _ in range(500)]
            for reader in readers:
                await reader.until(lambda r=reader: len(r.ticks) > 3 * ASSETS)  # type: ignore[misc]
            assert calls == hub.published_seq
            first = positions(readers[0])[: 3 * ASSETS]
            assert all(positions(r)[: 3 * ASSETS] == first for r in readers)

    asyncio.run(run())


def test_who_is_too_slow_is_dropped_and_the_others_are_not() -> None:
    async def run() -> None:
        async with running(MemoryStore(), speed=1000) as (_, hub):
            slow, quick = hub.join(""), Reader(hub.join(""))
            await quick.until(lambda: slow.ended)
            assert hub.subscribers == 1
            assert slow.queue.qsize() <= BACKLOG
            dropped = Reader(slow)
            await dropped.to_the_end()
            assert dropped.ticks == []
            before = len(quick.ticks)
            await quick.until(lambda: len(quick.ticks) > before + ASSETS)
            hub.close()
            await quick.to_the_end()
            assert hub.subscribers == 0

    asyncio.run(run())


def test_there_is_a_limit_to_who_can_follow() -> None:
    async def run() -> None:
        async with running(MemoryStore(), speed=1) as (_, hub):
            joined = [hub.join("") for _ in range(MAX_SUBSCRIBERS)]
            with pytest.raises(TooManySubscribers):
                hub.join("")
            hub.leave(joined[0])
            hub.join("")

    asyncio.run(run())


def test_what_is_not_durable_yet_is_not_shown() -> None:
    ticks = Ticks()
    on_tick = ticks.taps()[PriceTick]
    for seq, price in ((1, 5), (2, None), (4, 7), (3, 6)):
        on_tick(PriceTick("BTC", price, seq, seq), seq)
    assert [t.seq for t in ticks.after("BTC", 0, 10, until=3)] == [1, 2, 4]
    assert [t.seq for t in ticks.after("BTC", 1, 2, until=4)] == [2, 3]
    newest = ticks.last("BTC", until=2)
    good = ticks.last("BTC", until=2, good=True)
    assert newest is not None and newest.price is None
    assert good is not None and good.price == 5
    assert ticks.last("BTC", until=0) is None and ticks.after("ETH", 0, 10, until=4) == []
