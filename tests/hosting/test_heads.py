"""The heads of acknowledged entries are recorded beside the store, and a loss is noticed."""

import os
from pathlib import Path

import pytest

from trading.hosting.heads import HeadsFile
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import EntryToWrite, Head, JournalStore, StoreUnavailable
from trading.messages import Wake
from trading.runtime.journal import GENESIS, MemoryJournal

NAMES = ("exchange", "custodian")


def written(name: str, count: int) -> list[EntryToWrite]:
    """Return ``count`` chained entries of a journal."""
    journal = MemoryJournal(name)
    for number in range(count):
        journal.append(number, "Wake", Wake(number, "tick"))
    return [EntryToWrite(name, n, e.body, e.hash) for n, e in enumerate(journal.after(0), 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.heads"


@pytest.fixture
def store(tmp_path: Path, path: Path) -> JournalStore:
    """A store with a session of three entries in each of two journals, all recorded."""
    store = SqliteStore(tmp_path / "journal.sqlite")
    heads = HeadsFile(path, lasts=True)
    session = store.open_session(b"{}")
    heads.begin(store, session, {})
    for count in range(3):
        entries = [written(name, 3)[count] for name in NAMES]
        store.write(session, entries)
        heads.note(session, entries)
    heads.close()
    return store


def losses(path: Path, store: JournalStore, *, lasts: bool = True) -> list[str]:
    return [loss.text for loss in HeadsFile(path, lasts=lasts).losses(store)]


def test_nothing_is_missed_where_all_is_there(path: Path, store: JournalStore) -> None:
    assert losses(path, store) == []


def test_more_than_was_noted_is_no_loss(path: Path, store: JournalStore) -> None:
    """After a power failure the file may be older than the store."""
    store.write(1, written("exchange", 5)[3:])
    assert losses(path, store) == []


def test_first_entries_that_were_not_noted_are_no_loss(path: Path, store: JournalStore) -> None:
    """The process was killed between its first write and the note of it."""
    heads = HeadsFile(path, lasts=True)
    assert heads.losses(store) == []
    session = store.open_session(b"{}")
    heads.begin(store, session, {"exchange": Head()})
    store.write(session, written("exchange", 2))
    assert losses(path, store) == []


def test_a_newer_session_is_no_loss(path: Path, store: JournalStore) -> None:
    store.open_session(b"{}")
    assert losses(path, store) == []


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (
            "DELETE FROM entry WHERE source='exchange' AND seq=3",
            "journal of exchange, session 1: 3 entries were acknowledged, 2 are there",
        ),
        (
            "DELETE FROM entry WHERE source='custodian'",
            "journal of custodian, session 1: 3 entries were acknowledged, 0 are there",
        ),
        (
            "UPDATE entry SET hash=zeroblob(32) WHERE source='exchange' AND seq=3",
            "journal of exchange, session 1: entry 3 is not the one that was acknowledged",
        ),
        ("DELETE FROM session", "session 1 is missing, there is none"),
    ],
)
def test_what_is_gone_is_missed(path: Path, store: SqliteStore, statement: str, text: str) -> None:
    with store.transaction() as execute:
        execute(statement, ())
    assert losses(path, store) == [text]


def test_a_different_entry_below_newer_ones_is_missed(path: Path, store: SqliteStore) -> None:
    """The newer entries follow another entry than the acknowledged one."""
    with store.transaction() as execute:
        execute("UPDATE entry SET hash=zeroblob(32) WHERE source='exchange' AND seq=3", ())
    store.write(1, written("exchange", 5)[3:])
    assert losses(path, store) == [
        "journal of exchange, session 1: entry 3 is not the one that was acknowledged"
    ]


def test_a_missing_file_is_missed_only_where_it_lasts(path: Path, store: JournalStore) -> None:
    path.unlink()
    assert losses(path, store) == ["journal.heads is missing: it says how much there was"]
    assert losses(path, store, lasts=False) == []


def test_a_store_from_before_there_was_a_second_place_goes_on(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "old.sqlite")
    store.open_session(b"{}")
    assert losses(tmp_path / "old.heads", store) == []


@pytest.mark.parametrize("copy", [0, 1])
def test_one_damaged_copy_is_made_up_for(path: Path, store: JournalStore, copy: int) -> None:
    """A power failure during a write of the file leaves the copy before it."""
    with path.open("r+b") as file:
        file.seek(copy * 4096 + 100)
        file.write(b"#")
    assert losses(path, store) == []


def test_two_damaged_copies_are_missed(path: Path, store: JournalStore) -> None:
    path.write_bytes(b"#" * 8192)
    assert losses(path, store) == ["journal.heads is damaged: it says how much there was"]


def test_it_goes_on_from_what_was_recovered(path: Path, store: SqliteStore) -> None:
    """After an accepted loss the remaining entries are what must be there next time."""
    with store.transaction() as execute:
        execute("DELETE FROM entry WHERE source='exchange' AND seq=3", ())
    heads = HeadsFile(path, lasts=True)
    assert heads.losses(store)
    heads.begin(store, 1, {name: store.head(1, name) for name in NAMES})
    heads.close()
    assert losses(path, store) == []
    with store.transaction() as execute:
        execute("DELETE FROM entry WHERE source='exchange' AND seq=2", ())
    assert losses(path, store) == [
        "journal of exchange, session 1: 2 entries were acknowledged, 1 are there"
    ]


def test_a_file_that_cannot_be_read_is_no_loss(path: Path, store: JournalStore) -> None:
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreUnavailable, match=r"journal\.heads: Is a directory"):
        losses(path, store)
    with pytest.raises(StoreUnavailable, match=r"journal\.heads: Is a directory"):
        HeadsFile(path, lasts=True).begin(store, 1, {"exchange": Head(0, GENESIS)})


def test_it_is_for_its_owner_only(path: Path, store: JournalStore) -> None:
    assert store.newest_session() and os.stat(path).st_mode & 0o777 == 0o600
