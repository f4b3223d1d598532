"""A store of journals in a schema of PostgreSQL.

What was written is committed when :meth:`PostgresStore.write` returns. A lost connection is opened
again by the next call. A write that was interrupted has either been committed or not; the caller
repeats it in both cases, and entries that are there already are left out.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

import psycopg
from psycopg import sql

from trading.hosting.segments import SCHEMA as SEGMENTS
from trading.hosting.segments import Execute, SegmentTable
from trading.hosting.sql_store import SqlStore
from trading.hosting.store import EntryToWrite, Snapshot, StoreInUse, StoreUnavailable
from trading.messages.audit import JournalEntry

#: Wall seconds that opening a connection may take.
_CONNECT_TIMEOUT = 5
# A connection whose other end has vanished must not hold the schema's lock for long.
_OPTIONS = (
    "-c statement_timeout=30000 -c synchronous_commit=on"
    " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, spec bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS entry (
    session integer NOT NULL, source text NOT NULL, seq bigint NOT NULL,
    body bytea NOT NULL, hash bytea NOT NULL,
    PRIMARY KEY (session, source, seq)
);
CREATE TABLE IF NOT EXISTS snapshot (
    session integer PRIMARY KEY, heads text NOT NULL, blob bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS document (
    kind text NOT NULL, name text NOT NULL, body bytea NOT NULL, PRIMARY KEY (kind, name)
);
"""


class PostgresStore(SqlStore):
    """Keeps journals in ``schema`` of a database, and implements :class:`.store.JournalStore`.

    ``url`` is a connection string of libpq. The role must own the schema, or be allowed to
    create it. One process at a time can use the schema. Raises StoreUnavailable at once if the
    database cannot be reached, and StoreInUse while another process uses the schema.
    """

    def __init__(self, url: str, schema: str = "trading") -> None:
        super().__init__()
        self._url = url
        self._schema = schema
        self._lock = RLock()
        self._segments = self._sealer = SegmentTable(self, time.time)
        self._open_connection: psycopg.Connection[Any] | None = None
        with self._connection() as db:
            schemas = db.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
            try:
                if schemas.fetchone() is None:
                    db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
                db.execute(_SCHEMA)
                db.execute(SEGMENTS.format(integer="bigint", bytes="bytea"))
            except psycopg.errors.InsufficientPrivilege as error:
                raise StoreUnavailable(
                    f"schema {schema}: not there, or not this role's: trading database setup"
                ) from error

    def open_session(self, spec: bytes) -> int:
        with self._connection() as db:
            inserted = db.execute(
                "INSERT INTO session (spec) VALUES (%s) RETURNING number", (spec,)
            )
            row = inserted.fetchone()
        return int(row[0]) if row else 0

    def write(
        self, session: int, entries: Sequence[EntryToWrite], snapshot: Snapshot | None = None
    ) -> None:
        """Write the entries that are not there yet, and the snapshot, in one transaction."""
        with self._connection() as db:
            fresh = self._without_written(db, session, entries)
            with (
                db.cursor() as cursor,
                cursor.copy(
                    "COPY entry (session, source, seq, body, hash) FROM STDIN BINARY"
                ) as copy,
            ):
                copy.set_types(["int4", "text", "int8", "bytea", "bytea"])
                for entry in fresh:
                    copy.write_row((session, *entry))
            if snapshot is not None:
                self._put_snapshot(_executor(db), session, snapshot)

    def close(self) -> None:
        """Close the connection, after sealing has ended."""
        self._end_sealing()
        self._disconnect()

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query whose placeholders are question marks.

        Raises StoreUnavailable.
        """
        with self._connection() as db:
            return db.execute(query.replace("?", "%s"), values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """Run what is executed in the context as one transaction. Raises StoreUnavailable."""
        with self._connection() as db:
            yield _executor(db)

    def oldest(self, session: int, source: str, count: int) -> list[JournalEntry]:
        """Return the first ``count`` unsealed entries of a journal. Raises StoreUnavailable."""
        rows = self.rows(
            "SELECT body, hash FROM entry WHERE session=? AND source=? ORDER BY seq LIMIT ?",
            (session, source, count),
        )
        return [JournalEntry(body, digest) for body, digest in rows]

    def unpack(self, stored: bytes) -> bytes:
        """Return the body of an entry from its form in the table of entries."""
        return bytes(stored)

    def _disconnect(self) -> None:
        with self._lock:
            if self._open_connection is not None:
                self._open_connection.close()
                self._open_connection = None

    def _without_written(
        self, db: psycopg.Connection[Any], session: int, entries: Sequence[EntryToWrite]
    ) -> list[EntryToWrite]:
        """Return the entries that are not in the database yet.

        A caller that lost the answer to a commit writes the same entries again.
        """
        heads: dict[str, int] = {}
        for source in {e.source for e in entries}:
            row = db.execute(
                "SELECT coalesce((SELECT max(seq) FROM entry WHERE session=%s AND source=%s),"
                " (SELECT max(last) FROM segment WHERE session=%s AND source=%s), 0)",
                (session, source) * 2,
            ).fetchone()
            heads[source] = row[0] if row else 0
        return [e for e in entries if e.seq > heads[e.source]]

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Run the context as one transaction, on a new connection if the old one is broken."""
        with self._lock:
            try:
                db = self._open_connection
                if db is None or db.closed:
                    db = self._open_connection = self._connect()
                with db.transaction():
                    yield db
            except psycopg.Error as error:
                # Whatever the error, a new connection may lead to a server that works.
                self._disconnect()
                raise StoreUnavailable(first_line(error)) from error

    def _connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT,
            # In a database without an encoding, texts would arrive as bytes.
            client_encoding="utf8",
            options=f"{_OPTIONS} -c search_path={self._schema}",
            application_name="trading",
        )
        lock = connection.execute(
            "SELECT pg_try_advisory_lock(hashtext(%s))", (f"trading/{self._schema}",)
        )
        if lock.fetchone() != (True,):
            connection.close()
            raise StoreInUse(f"schema {self._schema}: another process has it")
        return connection


def _executor(db: psycopg.Connection[Any]) -> Execute:
    """Return what executes statements whose placeholders are question marks."""
    return lambda query, values: db.execute(query.replace("?", "%s"), values)


def first_line(error: psycopg.Error) -> str:
    """Return the first line of the database's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
