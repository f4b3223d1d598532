"""Journals in PostgreSQL, in a schema of their own: a write is committed when it returns.

Lost connections are made again by the next call; what was being written then is either all there
or not at all, and the caller, who writes it again, need not know which.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock, RLock
from typing import Any

import psycopg
from psycopg import sql

from trading.hosting.segments import SCHEMA as SEGMENTS
from trading.hosting.segments import Execute, SegmentTable
from trading.hosting.store import Head, Segment, Snapshot, StoreTaken, StoreUnavailable, Written
from trading.messages.audit import JournalEntry

_CONNECT_TIMEOUT = 5
# A connection whose other end has vanished must not keep the schema's lock for long.
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


class PostgresStore:
    """``url``: as libpq has it; the role needs to own ``schema``, or be allowed to create it.
    Raises StoreUnavailable at once if the database cannot be reached, StoreTaken while another
    process has the schema.
    """

    def __init__(self, url: str, schema: str = "trading") -> None:
        self._url = url
        self._schema = schema
        self._lock = RLock()
        self._sealing = Lock()
        self._closed = False
        self._segments = SegmentTable(self, time.time)
        self._held: psycopg.Connection[Any] | None = None
        with self._connection() as db:
            known = db.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
            try:
                if known.fetchone() is None:
                    db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
                db.execute(_SCHEMA)
                db.execute(SEGMENTS.format(integer="bigint", bytes="bytea"))
            except psycopg.errors.InsufficientPrivilege as error:
                raise StoreUnavailable(
                    f"schema {schema}: not there, or not this role's: trading database setup"
                ) from error

    def open_session(self, spec: bytes) -> int:
        with self._connection() as db:
            added = db.execute("INSERT INTO session (spec) VALUES (%s) RETURNING number", (spec,))
            found = added.fetchone()
        return int(found[0]) if found else 0

    def newest_session(self) -> tuple[int, bytes] | None:
        found = self._rows("SELECT number, spec FROM session ORDER BY number DESC LIMIT 1")
        return (found[0][0], found[0][1]) if found else None

    def sessions(self) -> list[tuple[int, bytes]]:
        return [(n, spec) for n, spec in self._rows("SELECT number, spec FROM session ORDER BY 1")]

    def write(
        self, session: int, entries: Sequence[Written], snapshot: Snapshot | None = None
    ) -> None:
        with self._connection() as db:
            fresh = self._without_written(db, session, entries)
            with db.cursor() as cursor:
                with cursor.copy(
                    "COPY entry (session, source, seq, body, hash) FROM STDIN BINARY"
                ) as copy:
                    copy.set_types(["int4", "text", "int8", "bytea", "bytea"])
                    for entry in fresh:
                        copy.write_row((session, *entry))
                if snapshot is not None:
                    heads = {n: [h.length, h.hash.hex()] for n, h in snapshot.heads.items()}
                    cursor.execute(
                        "INSERT INTO snapshot VALUES (%s, %s, %s) ON CONFLICT (session)"
                        " DO UPDATE SET heads = excluded.heads, blob = excluded.blob",
                        (session, json.dumps(heads), snapshot.blob),
                    )

    def head(self, session: int, source: str) -> Head:
        found = self._rows(
            "SELECT seq, hash FROM entry WHERE session=%s AND source=%s ORDER BY seq DESC LIMIT 1",
            (session, source),
        )
        return Head(*found[0]) if found else self._segments.head(session, source)

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        return self._segments.read(session, source, after, limit)

    def seal(self, newest: int, at_most: int = 1) -> int:
        with self._sealing:
            return 0 if self._closed else self._segments.seal(newest, at_most)

    def segments(self, session: int, *, held: bool = False) -> list[Segment]:
        return self._segments.of(session, held)

    def drop(self, session: int, source: str, until: int) -> int:
        with self._sealing:
            return 0 if self._closed else self._segments.drop(session, source, until)

    def snapshot(self, session: int) -> Snapshot | None:
        found = self._rows("SELECT heads, blob FROM snapshot WHERE session=%s", (session,))
        if not found:
            return None
        heads = {n: Head(at, bytes.fromhex(h)) for n, (at, h) in json.loads(found[0][0]).items()}
        return Snapshot(heads, found[0][1])

    def put(self, kind: str, name: str, body: bytes) -> None:
        with self._connection() as db:
            db.execute(
                "INSERT INTO document VALUES (%s, %s, %s) ON CONFLICT (kind, name)"
                " DO UPDATE SET body = excluded.body",
                (kind, name, body),
            )

    def document(self, kind: str, name: str) -> bytes | None:
        rows = self._rows("SELECT body FROM document WHERE kind=%s AND name=%s", (kind, name))
        return rows[0][0] if rows else None

    def documents(self, kind: str) -> dict[str, bytes]:
        return dict(self._rows("SELECT name, body FROM document WHERE kind=%s ORDER BY 1", (kind,)))

    def close(self) -> None:
        """Ends after what is being sealed."""
        with self._sealing:
            self._closed = True
        self._let_go()

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query whose placeholders are question marks. Raises StoreUnavailable."""
        return self._rows(query.replace("?", "%s"), values)

    @contextmanager
    def together(self) -> Iterator[Execute]:
        """One transaction. Raises StoreUnavailable."""
        with self._connection() as db:
            yield lambda query, values: db.execute(query.replace("?", "%s"), values)

    def oldest(self, session: int, source: str, count: int) -> list[JournalEntry]:
        """The first ``count`` entries of a journal that are not sealed. Raises StoreUnavailable."""
        found = self._rows(
            "SELECT body, hash FROM entry WHERE session=%s AND source=%s ORDER BY seq LIMIT %s",
            (session, source, count),
        )
        return [JournalEntry(body, digest) for body, digest in found]

    def unpack(self, stored: bytes) -> bytes:
        """The body of an entry, of how the table of entries has it."""
        return bytes(stored)

    def _let_go(self) -> None:
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None

    def _without_written(
        self, db: psycopg.Connection[Any], session: int, entries: Sequence[Written]
    ) -> list[Written]:
        """A commit whose answer was lost is written again by the caller: once is enough."""
        heads: dict[str, int] = {}
        for source in {e.source for e in entries}:
            found = db.execute(
                "SELECT coalesce((SELECT max(seq) FROM entry WHERE session=%s AND source=%s),"
                " (SELECT max(last) FROM segment WHERE session=%s AND source=%s), 0)",
                (session, source) * 2,
            ).fetchone()
            heads[source] = found[0] if found else 0
        return [e for e in entries if e.seq > heads[e.source]]

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with self._connection() as db:
            return db.execute(query, values).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        """One transaction on a connection that works."""
        with self._lock:
            try:
                db = self._held
                if db is None or db.closed:
                    db = self._held = self._connect()
                with db.transaction():
                    yield db
            except psycopg.Error as error:
                # Whatever it is, a new connection may lead to a server that can.
                self._let_go()
                raise StoreUnavailable(first_line(error)) from error

    def _connect(self) -> psycopg.Connection[Any]:
        made = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT,
            # Of a database without an encoding, texts would come as bytes.
            client_encoding="utf8",
            options=f"{_OPTIONS} -c search_path={self._schema}",
            application_name="trading",
        )
        lock = made.execute(
            "SELECT pg_try_advisory_lock(hashtext(%s))", (f"trading/{self._schema}",)
        )
        if lock.fetchone() != (True,):
            made.close()
            raise StoreTaken(f"schema {self._schema}: another process has it")
        return made


def first_line(error: psycopg.Error) -> str:
    """Return what the database says, without its details."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
