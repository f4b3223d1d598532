"""A store of journals in one SQLite file, in write-ahead mode.

What was written is on the disk when :meth:`SqliteStore.write` returns.
"""

import fcntl
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from trading.hosting.segments import SCHEMA as SEGMENTS
from trading.hosting.segments import Execute, SegmentTable
from trading.hosting.sql_store import SqlStore
from trading.hosting.store import EntryToWrite, Snapshot, StoreInUse, StoreUnavailable
from trading.messages.audit import JournalEntry

#: Bodies of more than so many bytes are stored compressed.
_COMPRESS_ABOVE = 400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
    number INTEGER PRIMARY KEY, spec BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS entry (
    session INTEGER NOT NULL, source TEXT NOT NULL, seq INTEGER NOT NULL,
    body BLOB NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (session, source, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS snapshot (
    session INTEGER PRIMARY KEY, heads TEXT NOT NULL, blob BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS document (
    kind TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, name)
);
"""


class SqliteStore(SqlStore):
    """Keeps journals in the file ``path``, and implements :class:`.store.JournalStore`.

    The file is created if it does not exist, readable by its owner only. One process at a time
    can use it. Raises StoreInUse while another process does, and StoreUnavailable where the file
    cannot be opened or is not an SQLite database.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=True)
            self._lock_descriptor = _lock_file(path.with_name(path.name + ".lock"))
        except OSError as error:
            raise StoreUnavailable(f"{error.filename}: {error.strerror}") from error
        self._writing = Lock()
        self._reading = Lock()
        with _errors_translated():
            self._writer = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")
            self._writer.executescript(_SCHEMA)
            self._writer.executescript(SEGMENTS.format(integer="INTEGER", bytes="BLOB"))
            self._reader = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            # A connection of its own: readers must not wait while segments are sealed.
            self._sealing_reader = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None
            )
        self._segments = SegmentTable(self, time.time)
        self._sealer = SegmentTable(_ReadConnection(self, self._sealing_reader), time.time)

    def open_session(self, spec: bytes) -> int:
        with _errors_translated(), self._writing:
            added = self._writer.execute("INSERT INTO session (spec) VALUES (?)", (spec,))
        return int(added.lastrowid or 0)

    def write(
        self, session: int, entries: Sequence[EntryToWrite], snapshot: Snapshot | None = None
    ) -> None:
        """Write entries and snapshot in one transaction, which is on the disk on return."""
        with _errors_translated(), self._writing, _transaction(self._writer) as db:
            db.executemany(
                "INSERT INTO entry VALUES (?, ?, ?, ?, ?)",
                [(session, e.source, e.seq, _compressed(e.body), e.hash) for e in entries],
            )
            if snapshot is not None:
                self._put_snapshot(db.execute, session, snapshot)

    def close(self) -> None:
        """Close the file, after sealing has ended."""
        self._end_sealing()
        self._sealing_reader.close()
        self._reader.close()
        self._writer.close()
        os.close(self._lock_descriptor)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query. Raises StoreUnavailable."""
        with _errors_translated(), self._reading:
            return self._reader.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """Run what is executed in the context as one transaction. Raises StoreUnavailable."""
        with _errors_translated(), self._writing, _transaction(self._writer) as db:
            yield db.execute

    def oldest(self, session: int, source: str, count: int) -> list[JournalEntry]:
        """Return the first ``count`` unsealed entries of a journal. Raises StoreUnavailable."""
        return _ReadConnection(self, self._reader).oldest(session, source, count)

    def unpack(self, stored: bytes) -> bytes:
        """Return the body of an entry from its form in the table of entries."""
        return zlib.decompress(stored) if stored[:1] == b"x" else stored


class _ReadConnection:
    """Reads ``store`` over a connection of its own. Only one thread at a time may use it."""

    def __init__(self, store: SqliteStore, reader: sqlite3.Connection) -> None:
        self._reader = reader
        self.transaction = store.transaction
        self.unpack = store.unpack

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query. Raises StoreUnavailable."""
        with _errors_translated():
            return self._reader.execute(query, values).fetchall()

    def oldest(self, session: int, source: str, count: int) -> list[JournalEntry]:
        """Return the first ``count`` unsealed entries of a journal. Raises StoreUnavailable."""
        # All in one row: between two rows, another thread may hold the interpreter's lock for
        # milliseconds.
        rows = self.rows(
            "SELECT group_concat(hex(body), ' '), group_concat(hex(hash), ' ') FROM (SELECT body,"
            " hash FROM entry WHERE session=? AND source=? ORDER BY seq LIMIT ?)",
            (session, source, count),
        )
        bodies, hashes = (map(bytes.fromhex, column.split(" ")) for column in rows[0])
        return [
            JournalEntry(self.unpack(body), digest)
            for body, digest in zip(bodies, hashes, strict=True)
        ]


def _lock_file(path: Path) -> int:
    """Lock the file and return its descriptor; the lock ends with the process in any case."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreInUse(f"{path}: another process has it") from error
    return descriptor


def _compressed(body: bytes) -> bytes:
    """Return the form of a body in the table of entries: compressed if it is long.

    JSON never begins with the first byte of zlib's format, so that the two can be told apart.
    """
    return zlib.compress(body, 1) if len(body) > _COMPRESS_ABOVE else body


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error
