"""Journals in one SQLite file, in write-ahead mode: a write is on the disk when it returns."""

import fcntl
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from trading.hosting.store import Head, Snapshot, StoreTaken, StoreUnavailable, Written
from trading.messages.audit import JournalEntry

#: Entries above this many bytes are compressed.
_LONG = 400

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


class SqliteStore:
    """``path``: the file, made if it is not there, readable by its owner only. One process at a
    time: StoreTaken while another one has it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
        self.path = path
        self._mine = _claim(path.with_name(path.name + ".lock"))
        self._writing = Lock()
        self._reading = Lock()
        with _translated():
            self._writer = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")
            self._writer.executescript(_SCHEMA)
            self._reader = sqlite3.connect(path, check_same_thread=False, isolation_level=None)

    def open_session(self, spec: bytes) -> int:
        with _translated(), self._writing:
            added = self._writer.execute("INSERT INTO session (spec) VALUES (?)", (spec,))
        return int(added.lastrowid or 0)

    def newest_session(self) -> tuple[int, bytes] | None:
        found = self._rows("SELECT number, spec FROM session ORDER BY number DESC LIMIT 1")
        return (found[0][0], found[0][1]) if found else None

    def sessions(self) -> list[tuple[int, bytes]]:
        return [(n, spec) for n, spec in self._rows("SELECT number, spec FROM session ORDER BY 1")]

    def write(
        self, session: int, entries: Sequence[Written], snapshot: Snapshot | None = None
    ) -> None:
        with _translated(), self._writing, _transaction(self._writer) as db:
            db.executemany(
                "INSERT INTO entry VALUES (?, ?, ?, ?, ?)",
                [(session, e.source, e.seq, _packed(e.body), e.hash) for e in entries],
            )
            if snapshot is not None:
                heads = json.dumps({n: [h.length, h.hash.hex()] for n, h in snapshot.heads.items()})
                db.execute(
                    "INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?)",
                    (session, heads, snapshot.blob),
                )

    def head(self, session: int, source: str) -> Head:
        found = self._rows(
            "SELECT seq, hash FROM entry WHERE session=? AND source=? ORDER BY seq DESC LIMIT 1",
            (session, source),
        )
        return Head(*found[0]) if found else Head()

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        found = self._rows(
            "SELECT body, hash FROM entry WHERE session=? AND source=? AND seq>? ORDER BY seq"
            " LIMIT ?",
            (session, source, after, limit),
        )
        return [JournalEntry(_unpacked(body), digest) for body, digest in found]

    def snapshot(self, session: int) -> Snapshot | None:
        found = self._rows("SELECT heads, blob FROM snapshot WHERE session=?", (session,))
        if not found:
            return None
        heads = {n: Head(at, bytes.fromhex(h)) for n, (at, h) in json.loads(found[0][0]).items()}
        return Snapshot(heads, found[0][1])

    def put(self, kind: str, name: str, body: bytes) -> None:
        with _translated(), self._writing:
            self._writer.execute(
                "INSERT OR REPLACE INTO document VALUES (?, ?, ?)", (kind, name, body)
            )

    def documents(self, kind: str) -> dict[str, bytes]:
        return dict(
            self._rows("SELECT name, body FROM document WHERE kind=? ORDER BY name", (kind,))
        )

    def ping(self) -> None:
        self._rows("SELECT 1")

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        os.close(self._mine)

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with _translated(), self._reading:
            return self._reader.execute(query, values).fetchall()


def _claim(path: Path) -> int:
    """A lock that ends with the process, however that ends."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(opened)
        raise StoreTaken(f"{path}: another process has it") from error
    return opened


def _packed(body: bytes) -> bytes:
    """Long entries compressed; JSON never begins with zlib's first byte."""
    return zlib.compress(body, 1) if len(body) > _LONG else body


def _unpacked(stored: bytes) -> bytes:
    return zlib.decompress(stored) if stored[:1] == b"x" else stored


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
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(str(error)) from error
