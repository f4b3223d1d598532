"""The host acknowledges nothing before it is durable, and loses nothing that was decided."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trading.embedded.api import load_scenario
from trading.embedded.ecosystem import components
from trading.hosting import snapshot
from trading.hosting.clock import SimClock
from trading.hosting.host import Host
from trading.hosting.inputs import BacklogFull, Unavailable
from trading.hosting.live_session import CannotRecover, LiveSession
from trading.hosting.session import Session
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import (
    EntryToWrite,
    Head,
    JournalStore,
    MemoryStore,
    Snapshot,
    StoreUnavailable,
)
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
        snapshot_key=b"of every process",
    )


def order(name: str) -> PlaceOrder:
    return PlaceOrder("firm-api", name, "BTCUSDT", "BUY", "MARKET", parse_units("0.001"))


def state(live: LiveSession) -> Any:
    return [c.state() for c in live.kernel.hosted]


async def until(running: Host, at: int) -> None:
    """Wait until everything up to a simulated time is durable."""
    await running.committed(at)


async def available(running: Host) -> None:
    """Wait until the store works again."""
    while True:
        try:
            await running.committed(running.kernel.now)
        except Unavailable:
            continue
        return


def recovered(path: Path, *, without_snapshot: bool = False) -> LiveSession:
    store = SqliteStore(path)
    if without_snapshot:
        store._writer.execute("DELETE FROM snapshot")
    live = host(store).sessions.newest()
    store.close()
    assert live is not None
    return live


@pytest.mark.parametrize("without_snapshot", [False, True])
def test_a_restart_comes_back_to_the_same_state_with_messages_in_flight(
    tmp_path: Path, without_snapshot: bool
) -> None:
    """Also in the middle of a fault, and with commands from outside."""

    async def run() -> Host:
        running = host(SqliteStore(tmp_path / "journal.sqlite"))
        await running.start()
        await until(running, PLAN.start + 300 * SECOND)
        at = running.send(EXCHANGE, order("outside"))
        await running.committed(at)
        await until(running, PLAN.start + 450 * SECOND)
        await running.stop()
        return running

    before = asyncio.run(run())
    after = recovered(tmp_path / "journal.sqlite", without_snapshot=without_snapshot)
    assert state(after) == state(before.live)
    pending = after.kernel.snapshot()["agenda"].pending()
    assert pending == before.kernel.snapshot()["agenda"].pending()
    assert any(pending.values())


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
    """A store whose writes can be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: Exception | None = None
        self.written = 0

    def write(
        self, session: int, entries: Sequence[EntryToWrite], snapshot: Snapshot | None = None
    ) -> None:
        if self.broken is not None:
            raise self.broken
        self.written += len(entries)
        super().write(session, entries, snapshot)


@pytest.mark.parametrize("kind", [StoreUnavailable, OSError, ValueError, MemoryError])
def test_without_the_store_nothing_is_acknowledged_and_then_it_catches_up(
    kind: type[Exception],
) -> None:
    """It holds for all errors, since a database may raise any."""

    async def run() -> None:
        store = Failing()
        running = host(store)
        await running.start()
        await until(running, PLAN.start + 30 * SECOND)
        assert running.ready == ""
        published: list[Any] = []
        running.listen(published.extend)
        store.broken = kind("the database is away")
        at = running.send(EXCHANGE, order("unsure"))
        with pytest.raises(Unavailable, match="the database is away"):
            await running.committed(at)
        assert running.ready == "journal: the database is away"
        assert not [p for p in published if p.message.client_order_id == "unsure"]
        store.broken = None
        await available(running)
        at = running.send(EXCHANGE, order("sure"))
        await running.committed(at)
        mine = {p.message.client_order_id for p in published}
        assert {"unsure", "sure"} <= mine
        await running.stop()
        for name, journal in running.kernel.journals.items():
            assert store.head(1, name) == (journal.length, journal.head)

    asyncio.run(run())


def test_what_cannot_be_written_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store fails and the backlog is full, time stops and commands are refused."""
    monkeypatch.setattr("trading.hosting.host.BACKLOG", 200)

    async def run() -> None:
        store = Failing()
        running = host(store)
        await running.start()
        await until(running, PLAN.start + 30 * SECOND)
        store.broken = StoreUnavailable("the database is away")
        async with asyncio.timeout(60):
            while not (running.full and running.unavailable):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        before = running.kernel.now
        with pytest.raises(BacklogFull, match="the database is away"):
            running.command(EXCHANGE, order("refused"))
        with pytest.raises(StoreUnavailable):
            running.deliver("custodian", [])
        # If the pump did not wait, each of these wake-ups would process something.
        for _ in range(100):
            running._pump.wake()
            await asyncio.sleep(0)
        assert running.kernel.now == before
        store.broken = None
        await available(running)
        monkeypatch.undo()
        await until(running, before + 30 * SECOND)
        await running.committed(running.command(EXCHANGE, order("taken")))
        await running.stop()
        assert running.lost == ""

    asyncio.run(run())


def test_a_writer_that_fails_for_good_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """Only a restart helps: nothing is acknowledged, and those who wait get the error."""

    async def run() -> None:
        running = host(Failing())
        await running.start()
        await until(running, PLAN.start + 30 * SECOND)

        def listener(published: Sequence[Any]) -> None:
            raise KeyError("a defect")

        waiting = asyncio.ensure_future(running.committed(PLAN.start + 900 * SECOND))
        running.listen(listener)
        async with asyncio.timeout(60):
            await running.tasks.failed.wait()
        assert running.ready == "the journal's writer failed: KeyError: 'a defect'"
        with pytest.raises(Unavailable, match="a defect"):
            await waiting
        with pytest.raises(Unavailable, match="a defect"):
            await running.committed(running.send(EXCHANGE, order("late")))
        await running.stop()
        assert "a defect" in running.lost

    asyncio.run(run())
    assert "the journal's writer failed" in caplog.text


def test_at_the_end_it_says_what_could_not_be_written() -> None:
    async def run() -> None:
        store = Failing()
        running = host(store)
        await running.start()
        await until(running, PLAN.start + 30 * SECOND)
        store.broken = OSError("the disk is full")
        await running.stop()
        assert "could not be written: the disk is full" in running.lost

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
        waits = [running.committed(running.send(EXCHANGE, order(f"o{i}"))) for i in range(100)]
        await asyncio.gather(*waits)
        assert writes - before < 20
        await running.stop()

    asyncio.run(run())


def test_simulated_time_waits_for_a_machine_that_cannot_keep_up() -> None:
    wall = 0
    clock = SimClock(1000 * SECOND, 60, monotonic_ns=lambda: wall)
    wall = 2_000_000_000
    assert clock.now() == 1120 * SECOND
    clock.limit_lead(1010 * SECOND, 0.25)
    assert clock.now() == 1025 * SECOND
    assert clock.slipped == 95 * SECOND
    clock.limit_lead(1024 * SECOND, 0.25)
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


def test_a_snapshot_is_not_taken_by_other_code_of_the_same_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A renamed attribute of a component would be missing in an object that is loaded."""
    blob = snapshot.dump({"kernel": 1})
    assert snapshot.load(blob) == {"kernel": 1}
    other = (*snapshot._STATE, "trading.hosting.snapshot")
    monkeypatch.setattr(snapshot, "_STATE", other)
    snapshot._made_by.cache_clear()
    try:
        with pytest.raises(snapshot.SnapshotUnusable, match="another version"):
            snapshot.load(blob)
    finally:
        monkeypatch.undo()
        snapshot._made_by.cache_clear()


HEADS = {EXCHANGE: Head(7, b"h" * 32)}


@pytest.mark.parametrize(
    ("key", "session", "heads"),
    [
        (b"another", 1, HEADS),
        (b"key", 2, HEADS),
        (b"key", 1, {EXCHANGE: Head(8, b"h" * 32)}),
        (b"key", 1, {}),
    ],
)
def test_a_snapshot_is_taken_only_with_its_key_session_and_heads(
    key: bytes, session: int, heads: dict[str, Head]
) -> None:
    authenticated = snapshot.authenticate(b"state", b"key", 1, HEADS)
    assert snapshot.verified(authenticated, b"key", 1, HEADS) == b"state"
    for changed in (
        authenticated[:-1] + b"E",
        bytes([authenticated[0] ^ 1]) + authenticated[1:],
        b"state",
        b"",
    ):
        with pytest.raises(snapshot.SnapshotUnusable, match="another SNAPSHOT_KEY, or changed"):
            snapshot.verified(changed, b"key", 1, HEADS)
    with pytest.raises(snapshot.SnapshotUnusable, match="another SNAPSHOT_KEY, or changed"):
        snapshot.verified(authenticated, key, session, heads)


def test_a_snapshot_of_somebody_without_the_key_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker with access to the database stores a snapshot with another state."""

    async def run() -> Any:
        running = host(SqliteStore(tmp_path / "journal.sqlite"))
        await running.start()
        await until(running, PLAN.start + 60 * SECOND)
        await running.stop()
        return state(running.live)

    expected = asyncio.run(run())
    store = SqliteStore(tmp_path / "journal.sqlite")
    stored = store.snapshot(1)
    assert stored is not None
    key = b"of every process"
    forged = snapshot.load(snapshot.verified(stored.blob, key, 1, stored.heads))
    forged["kernel"] = None
    blob = snapshot.authenticate(snapshot.dump(forged), b"guessed", 1, stored.heads)
    store.write(1, [], Snapshot(stored.heads, blob))
    store.close()
    assert state(recovered(tmp_path / "journal.sqlite")) == expected
    assert "snapshot not usable" in caplog.text


def test_a_snapshot_runs_no_command(tmp_path: Path) -> None:
    """The pickled reference goes through a name that one of our modules has imported."""
    mark = tmp_path / "mark"
    command = f"touch {mark}".encode()
    blob = (
        b"cbuiltins\ngetattr\n(ctrading.server.credentials\nos\nS'system'\ntR(S'" + command
    ) + b"'\ntR."
    with pytest.raises(snapshot.SnapshotUnusable, match=r"credentials\.os is not part"):
        snapshot.load(blob)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("trading.server.credentials", "os"),
        ("trading.server.credentials", "credentials"),
        ("trading.hosting.sqlite", "SqliteStore"),
        ("trading.embedded.api", "load_scenario"),
        ("trading.scenario.plan", "hashlib"),
        ("trading.scenario.plan", "default_universe"),
        ("trading.runtime.kernel", "Kernel"),
        ("trading.exchange.component", "Sequence"),
        ("builtins", "eval"),
    ],
)
def test_a_snapshot_reaches_nothing_but_state(module: str, name: str) -> None:
    with pytest.raises(snapshot.SnapshotUnusable, match="is not part of a snapshot"):
        snapshot.load(f"c{module}\n{name}\n.".encode())
