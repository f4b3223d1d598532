"""The host: nothing is acknowledged before it is durable, and nothing decided is lost."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trading.embedded.api import load_scenario
from trading.embedded.ecosystem import components
from trading.hosting import snapshot
from trading.hosting.clock import SimClock
from trading.hosting.host import Host, Unavailable
from trading.hosting.live import CannotRecover, LiveSession
from trading.hosting.session import Session
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import JournalStore, MemoryStore, Snapshot, StoreUnavailable, Written
from trading.messages.orders import ExecutionReport, PlaceOrder
from trading.topology import AUDIT_CORRELATOR, EXCHANGE
from trading.units import SECOND, parse_units

PLAN = load_scenario("exchange-downtime", overrides={"clock.speed": "600"}).plan


def host(store: JournalStore) -> Host:
    return Host(
        lambda session: components(session.plan),
        store,
        idle=lambda: Session(plan=PLAN),
        published=[ExecutionReport],
        auditor=AUDIT_CORRELATOR,
    )


def order(name: str) -> PlaceOrder:
    return PlaceOrder("firm-api", name, "BTCUSDT", "BUY", "MARKET", parse_units("0.001"))


def state(live: LiveSession) -> Any:
    return [c.state() for c in live.kernel.hosted]


async def until(running: Host, at: int) -> None:
    """Wait for a simulated time."""
    await running.settled(at)


async def available(running: Host) -> None:
    """Until a command is acknowledged again."""
    while True:
        try:
            await running.settled(running.kernel.now)
        except Unavailable:
            continue
        return


def recovered(path: Path, *, without_snapshot: bool = False) -> LiveSession:
    store = SqliteStore(path)
    if without_snapshot:
        store._writer.execute("DELETE FROM snapshot")
    live = host(store)._prepare(Session(plan=PLAN), 1)
    live.recover()
    store.close()
    return live


@pytest.mark.parametrize("without_snapshot", [False, True])
def test_a_restart_comes_back_to_the_same_state_with_messages_in_flight(
    tmp_path: Path, without_snapshot: bool
) -> None:
    """Also in the middle of a fault, and for commands that came from outside."""

    async def run() -> Host:
        running = host(SqliteStore(tmp_path / "journal.sqlite"))
        await running.start()
        await until(running, PLAN.start + 300 * SECOND)
        at = running.send(EXCHANGE, order("outside"))
        await running.settled(at)
        await until(running, PLAN.start + 450 * SECOND)
        await running.stop()
        return running

    before = asyncio.run(run())
    after = recovered(tmp_path / "journal.sqlite", without_snapshot=without_snapshot)
    assert state(after) == state(before.live)
    assert after.kernel.frozen()["buckets"] == before.kernel.frozen()["buckets"]
    assert any(after.kernel.frozen()["buckets"].values())


def test_a_changed_journal_is_not_recovered_from(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"

    async def run() -> None:
        running = host(SqliteStore(path))
        await running.start()
        await until(running, PLAN.start + 60 * SECOND)
        await running.stop()

    asyncio.run(run())
    store = SqliteStore(path)
    last = store.head(1, EXCHANGE).length
    store._writer.execute(
        "UPDATE entry SET hash=? WHERE source=? AND seq=?", (bytes(32), EXCHANGE, last)
    )
    store.close()
    with pytest.raises(CannotRecover, match="exchange"):
        recovered(path, without_snapshot=True)


class Failing(MemoryStore):
    """A store that can be cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.written = 0

    def write(
        self, session: int, entries: Sequence[Written], snapshot: Snapshot | None = None
    ) -> None:
        if self.broken:
            raise StoreUnavailable("the database is away")
        self.written += len(entries)
        super().write(session, entries, snapshot)


def test_without_the_store_nothing_is_acknowledged_and_then_it_catches_up() -> None:
    async def run() -> None:
        store = Failing()
        running = host(store)
        await running.start()
        await until(running, PLAN.start + 30 * SECOND)
        assert running.ready == ""
        heard: list[Any] = []
        running.listen(heard.extend)
        store.broken = True
        at = running.send(EXCHANGE, order("unsure"))
        with pytest.raises(Unavailable, match="the database is away"):
            await running.settled(at)
        assert running.ready == "journal: the database is away"
        assert not [p for p in heard if p.message.client_order_id == "unsure"]
        store.broken = False
        await available(running)
        at = running.send(EXCHANGE, order("sure"))
        await running.settled(at)
        mine = {p.message.client_order_id for p in heard}
        assert {"unsure", "sure"} <= mine
        await running.stop()
        for name, journal in running.kernel.journals.items():
            assert store.head(1, name) == (journal.length, journal.head)

    asyncio.run(run())


def test_many_commands_share_one_write() -> None:
    async def run() -> None:
        store = Failing()
        writes = 0
        plain = store.write

        def counted(*arguments: Any) -> None:
            nonlocal writes
            writes += 1
            plain(*arguments)

        store.write = counted  # type: ignore[method-assign,assignment]
        running = host(store)
        await running.start()
        await until(running, PLAN.start + 30 * SECOND)
        before = writes
        waits = [running.settled(running.send(EXCHANGE, order(f"o{i}"))) for i in range(100)]
        await asyncio.gather(*waits)
        assert writes - before < 20
        await running.stop()

    asyncio.run(run())


def test_simulated_time_waits_for_a_machine_that_cannot_keep_up() -> None:
    wall = 0
    clock = SimClock(1000 * SECOND, 60, monotonic_ns=lambda: wall)
    wall = 2_000_000_000
    assert clock.now() == 1120 * SECOND
    clock.hold(1010 * SECOND, 0.25)
    assert clock.now() == 1025 * SECOND
    assert clock.slipped == 95 * SECOND
    clock.hold(1024 * SECOND, 0.25)
    assert clock.now() == 1025 * SECOND
    wall += 1_000_000_000
    assert clock.now() == 1085 * SECOND


class Evil:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    "call",
    [
        Evil(__import__("os").system, "true"),
        Evil(eval, "1"),
        Evil(getattr, PlaceOrder, "__init__"),
        Evil(__import__("subprocess").run, ["true"]),
    ],
)
def test_a_snapshot_calls_nothing_but_our_classes(call: Evil) -> None:
    with pytest.raises(snapshot.SnapshotUnusable):
        snapshot.load(snapshot.dump({"kernel": call}))
