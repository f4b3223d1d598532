"""What the journal stores of SQLite and PostgreSQL share: the queries, and who may seal when.

A store adds how it connects, how it writes new entries, and how it reads the oldest of them.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

from trading.hosting.segments import Execute, SegmentTable
from trading.hosting.store import Head, Segment, Snapshot
from trading.messages.audit import JournalEntry


class SqlStore(ABC):
    """Implements those methods of :class:`.store.JournalStore` that are the same in both databases.

    Placeholders of queries are question marks. A store sets ``_segments``, which reads journals,
    and ``_sealer``, which seals them. One thread at a time seals or drops segments; a store that
    is closed does neither.
    """

    _segments: SegmentTable
    _sealer: SegmentTable

    def __init__(self) -> None:
        self._sealing = Lock()
        self._closed = False

    @abstractmethod
    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Execute]:
        """Run what is executed in the context as one transaction. Raises StoreUnavailable."""

    def newest_session(self) -> tuple[int, bytes] | None:
        rows = self.rows("SELECT number, spec FROM session ORDER BY number DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def sessions(self) -> list[tuple[int, bytes]]:
        return [(n, spec) for n, spec in self.rows("SELECT number, spec FROM session ORDER BY 1")]

    def head(self, session: int, source: str) -> Head:
        """Return the head of a journal, from its unsealed entries if there are any."""
        rows = self.rows(
            "SELECT seq, hash FROM entry WHERE session=? AND source=? ORDER BY seq DESC LIMIT 1",
            (session, source),
        )
        return Head(*rows[0]) if rows else self._segments.head(session, source)

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        return self._segments.read(session, source, after, limit)

    def segments(self, session: int, *, held: bool = False) -> list[Segment]:
        return self._segments.segments(session, held)

    def seal(self, newest: int, at_most: int = 1) -> int:
        with self._sealing:
            return 0 if self._closed else self._sealer.seal(newest, at_most)

    def drop(self, session: int, source: str, until: int) -> int:
        with self._sealing:
            return 0 if self._closed else self._segments.drop(session, source, until)

    def snapshot(self, session: int) -> Snapshot | None:
        rows = self.rows("SELECT heads, blob FROM snapshot WHERE session=?", (session,))
        if not rows:
            return None
        heads = {n: Head(at, bytes.fromhex(h)) for n, (at, h) in json.loads(rows[0][0]).items()}
        return Snapshot(heads, rows[0][1])

    def put(self, kind: str, name: str, body: bytes) -> None:
        with self.transaction() as execute:
            execute(
                "INSERT INTO document VALUES (?, ?, ?) ON CONFLICT (kind, name)"
                " DO UPDATE SET body = excluded.body",
                (kind, name, body),
            )

    def document(self, kind: str, name: str) -> bytes | None:
        rows = self.rows("SELECT body FROM document WHERE kind=? AND name=?", (kind, name))
        return rows[0][0] if rows else None

    def documents(self, kind: str) -> dict[str, bytes]:
        return dict(
            self.rows("SELECT name, body FROM document WHERE kind=? ORDER BY name", (kind,))
        )

    def remove(self, kind: str, name: str) -> None:
        with self.transaction() as execute:
            execute("DELETE FROM document WHERE kind=? AND name=?", (kind, name))

    def _put_snapshot(self, execute: Execute, session: int, snapshot: Snapshot) -> None:
        """Write a snapshot in the place of an older one, within a transaction."""
        heads = json.dumps({n: [h.length, h.hash.hex()] for n, h in snapshot.heads.items()})
        execute(
            "INSERT INTO snapshot VALUES (?, ?, ?) ON CONFLICT (session)"
            " DO UPDATE SET heads = excluded.heads, blob = excluded.blob",
            (session, heads, snapshot.blob),
        )

    def _end_sealing(self) -> None:
        """Wait until nothing is sealed or dropped, and let nothing be from now on."""
        with self._sealing:
            self._closed = True
