"""Retention drops old entries, and a process that needs entries can still recover."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trading.hosting import maintenance as keeping
from trading.hosting import segments
from trading.hosting import store as stores
from trading.hosting.host import Host
from trading.hosting.live_session import CannotRecover, LiveSession
from trading.hosting.maintenance import Keeper
from trading.hosting.records import RecoveryNeeds
from trading.hosting.retention import last_addressed, record_needed, retain
from trading.hosting.session import Session, encode_session
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import EntriesDropped, EntryToWrite, MemoryStore, Snapshot
from trading.links.frames import newest_addressed
from trading.messages.audit import JournalEntry
from trading.runtime.journal import GENESIS, MemoryJournal, encode_entry
from trading.scenario.plan import ClockMode, RunPlan
from trading.server.service_specs import build_components
from trading.topology import AUDIT_CORRELATOR, CUSTODIAN, EXCHANGE, RISK_MONITOR
from trading.units import SECOND

SMALL = 64
IDLE = RunPlan(name="idle", clock_mode=ClockMode.WALL, speed=600, faults=(), expectations=())


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (segments, stores, keeping):
        monkeypatch.setattr(module, "SEGMENT_ENTRIES", SMALL)
    monkeypatch.setattr(keeping, "PAUSE", 0)
    monkeypatch.setattr(keeping, "AT_ONCE", 1000)


def filled(store: MemoryStore, run_id: str, sources: dict[str, int]) -> int:
    """Open a session with so many segments' worth of entries of each source."""
    session = store.open_session(encode_session(Session(plan=IDLE, run_id=run_id)))
    for source, count in sources.items():
        journal = MemoryJournal(source)
        for at in range(count * SMALL):
            journal.append(at, "X", [])
        entries = [
            EntryToWrite(source, n, e.body, e.hash) for n, e in enumerate(journal.after(0), 1)
        ]
        store.write(session, entries)
    return session


def held(store: MemoryStore, session: int, source: str) -> list[int]:
    """Return the first entries of the segments that have not been dropped."""
    return [s.first for s in store.segments(session, held=True) if s.source == source]


def test_the_oldest_from_between_runs_go_and_runs_stay() -> None:
    store = MemoryStore()
    first = filled(store, "", {EXCHANGE: 3})
    run = filled(store, "r1", {EXCHANGE: 3})
    newest = filled(store, "", {EXCHANGE: 6})
    while store.seal(newest, 1):
        pass
    sizes = [s.size for n in (first, newest) for s in store.segments(n)]
    record_needed(store, newest, RecoveryNeeds({EXCHANGE: 2 * SMALL}))
    retain(store, newest, sum(sizes[2:]))
    assert held(store, first, EXCHANGE) == [2 * SMALL + 1]
    retain(store, newest, sum(sizes[5:]))
    assert held(store, first, EXCHANGE) == []
    assert held(store, newest, EXCHANGE) == [2 * SMALL + 1, 3 * SMALL + 1, 4 * SMALL + 1]
    retain(store, newest, 0)
    assert len(held(store, newest, EXCHANGE)) == 3
    assert len(held(store, run, EXCHANGE)) == 3


def test_without_a_limit_everything_stays_but_copies() -> None:
    store = MemoryStore()
    newest = filled(store, "", {AUDIT_CORRELATOR: 4, EXCHANGE: 4})
    store.seal(newest, 100)
    retain(store, newest, None)
    record_needed(
        store, newest, RecoveryNeeds({EXCHANGE: 2 * SMALL, AUDIT_CORRELATOR: 4 * SMALL}, [EXCHANGE])
    )
    retain(store, newest, None)
    assert held(store, newest, AUDIT_CORRELATOR) == [1, SMALL + 1, 2 * SMALL + 1]
    assert held(store, newest, EXCHANGE) == [2 * SMALL + 1]
    assert store.segments(newest)[-3].head == store.segments(newest)[0].head


def test_a_session_whose_spec_nobody_can_read_is_kept() -> None:
    store = MemoryStore()
    session = store.open_session(b"of another version")
    journal = MemoryJournal(EXCHANGE)
    for at in range(3 * SMALL):
        journal.append(at, "X", [])
    entries = [EntryToWrite(EXCHANGE, n, e.body, e.hash) for n, e in enumerate(journal.after(0), 1)]
    store.write(session, entries)
    newest = filled(store, "", {})
    store.seal(newest, 100)
    retain(store, newest, 0)
    assert len(held(store, session, EXCHANGE)) == 3


def host(path: Path, retention: int | None = 0) -> Host:
    return Host(
        build_components,
        SqliteStore(path),
        idle=lambda: Session(plan=IDLE),
        auditor=AUDIT_CORRELATOR,
        retention=retention,
        snapshot_key=b"of every process",
    )


def state(live: LiveSession) -> Any:
    return [c.state() for c in live.kernel.hosted]


def recovered(path: Path, change: str = "") -> LiveSession:
    running = host(path)
    try:
        if change:
            running.store._writer.execute(change)  # type: ignore[attr-defined]
        live = running.sessions.newest()
        assert live is not None
        return live
    finally:
        running.store.close()


def traded(path: Path) -> Host:
    """Run an ecosystem for a while, with snapshots in between and one at the end."""

    async def run() -> Host:
        running = host(path)
        await running.start()
        for minutes in (10, 15, 20):
            await running.committed(IDLE.start + minutes * 60 * SECOND)
            running.live.request_snapshot()
            await running.committed(running.kernel.now)
        await running.stop()
        return running

    return asyncio.run(run())


def test_recovery_works_from_the_snapshot_after_what_was_dropped(tmp_path: Path) -> None:
    before = traded(tmp_path / "journal.sqlite")
    store = SqliteStore(tmp_path / "journal.sqlite")
    gone = [s for s in store.segments(1) if not s.size]
    assert {s.source for s in gone} >= {EXCHANGE, RISK_MONITOR, CUSTODIAN}
    with pytest.raises(EntriesDropped):
        store.read(1, EXCHANGE, 0, 1)
    assert all(store.head(1, n) == (j.length, j.head) for n, j in before.kernel.journals.items())
    store.close()
    after = recovered(tmp_path / "journal.sqlite")
    assert state(after) == state(before.live)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("DELETE FROM snapshot", "has no snapshot,"),
        (
            "UPDATE snapshot SET blob=X'00'",
            "has no snapshot that it can use (made with another SNAPSHOT_KEY",
        ),
    ],
)
def test_without_a_usable_snapshot_the_start_says_what_is_missing(
    tmp_path: Path, change: str, why: str
) -> None:
    traded(tmp_path / "journal.sqlite")
    with pytest.raises(CannotRecover) as failed:
        recovered(tmp_path / "journal.sqlite", change)
    assert why in str(failed.value)
    assert "entries 1 to " in str(failed.value)
    assert "JOURNAL_RETENTION" in str(failed.value)


def test_nothing_is_dropped_before_its_snapshot_is_durable(tmp_path: Path) -> None:
    """A process that is killed before it records what it needs must find all entries."""
    path = tmp_path / "journal.sqlite"

    async def run() -> None:
        running = host(path)
        await running.start()
        await running.committed(IDLE.start + 600 * SECOND)
        running.keeper.work(1, None)
        assert any(s.size for s in running.store.segments(1))
        assert all(s.size for s in running.store.segments(1))
        await running.stop()

    asyncio.run(run())


def test_a_damaged_journal_is_reported_and_the_market_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"

    async def run() -> None:
        running = host(path)
        await running.start()
        await running.committed(IDLE.start + 60 * SECOND)
        await running.keeper.stop()
        store: Any = running.store
        sealed = max((s.last for s in store.segments(1) if s.source == EXCHANGE), default=0)
        store._writer.execute(
            "UPDATE entry SET body=? WHERE source=? AND seq=?", (b"[0,0]", EXCHANGE, sealed + 1)
        )
        while not running.keeper.problem:
            await running.committed(running.kernel.now + 10 * SECOND)
        assert f"journal of {EXCHANGE}, entries " in running.keeper.problem
        await running.committed(running.kernel.now + 60 * SECOND)
        assert running.ready == ""
        await running.stop()

    asyncio.run(run())


def entry(seq: int, kind: str, payload: dict[str, object]) -> JournalEntry:
    return JournalEntry(encode_entry(seq, 0, kind, payload), GENESIS)  # type: ignore[arg-type]


def test_whom_dropped_entries_were_addressed_to_is_known() -> None:
    newest_by_service = newest_addressed(
        EXCHANGE,
        [
            entry(1, "Received", {}),
            entry(2, "Trade", {}),
            entry(3, "AccountSnapshot", {"to": RISK_MONITOR}),
            entry(4, "Other", {}),
            entry(5, "Trade", {}),
        ],
    )
    assert newest_by_service == {CUSTODIAN: 5, "test-coordinator": 5, RISK_MONITOR: 3}


def test_a_note_of_whom_goes_before_what_is_dropped() -> None:
    def everything(source: str, entries: Sequence[JournalEntry]) -> dict[str, int]:
        return {RISK_MONITOR: SMALL + 3} if entries[0].body.startswith(b"[65,") else {CUSTODIAN: 2}

    store = MemoryStore()
    newest = filled(store, "", {EXCHANGE: 4})
    store.seal(newest, 100)
    record_needed(store, newest, RecoveryNeeds({EXCHANGE: 2 * SMALL}))
    assert last_addressed(store, newest, EXCHANGE, CUSTODIAN) > 4 * SMALL
    retain(store, newest, 0, everything)
    assert len(held(store, newest, EXCHANGE)) == 1
    assert last_addressed(store, newest, EXCHANGE, CUSTODIAN) == 2
    assert last_addressed(store, newest, EXCHANGE, RISK_MONITOR) == SMALL + 3
    assert last_addressed(store, newest, EXCHANGE, "trading-engine") == 0


def test_what_the_keeper_does_ends_with_the_host(tmp_path: Path) -> None:
    """What the newest snapshot needs is recorded, however busy the keeper was."""

    async def run() -> dict[str, int]:
        store = MemoryStore()
        keeper = Keeper(store, None)
        session = filled(store, "", {EXCHANGE: 4})
        keeper.wrote(session, 1, None)
        keeper.wrote(session, 1, Snapshot({}, b"", RecoveryNeeds({EXCHANGE: 7})))
        await keeper.stop()
        after: dict[str, int] = stores_needed(store, session)
        return after

    assert asyncio.run(run()) == {EXCHANGE: 7}


def stores_needed(store: MemoryStore, session: int) -> dict[str, int]:
    from trading.hosting.retention import needed_of

    return needed_of(store, session).after
