"""Sealed segments: the older entries of a journal as one compressed row instead of thousands.

A segment keeps the bodies of consecutive entries and the hash of the last one. When it is read,
the hashes between are computed again from the head of the segment before it, so that everything
that is read has been checked. A segment whose bodies have been dropped keeps its row: copies of
the entries elsewhere can still be proved to be the ones that were written.
"""

import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from trading.hosting.records import EntriesDamaged, EntriesDropped, Head, Segment
from trading.messages.audit import JournalEntry
from trading.runtime.journal import ChainBroken, verify

#: Entries of a segment. In a running session at least as many of the newest entries stay unsealed,
#: since they are read often.
SEGMENT_ENTRIES = 4096

SCHEMA = """
CREATE TABLE IF NOT EXISTS segment (
    session INTEGER NOT NULL, source TEXT NOT NULL, first {integer} NOT NULL,
    last {integer} NOT NULL, head {bytes} NOT NULL, sealed {integer} NOT NULL, body {bytes},
    PRIMARY KEY (session, source, last)
);
"""

Execute = Callable[[str, Sequence[object]], object]


class Sql(Protocol):
    """What the table of segments needs of a database. Placeholders are question marks."""

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return all rows of a query. Raises StoreUnavailable."""
        ...

    def transaction(self) -> AbstractContextManager[Execute]:
        """Run what is executed in the context as one transaction. Raises StoreUnavailable."""
        ...

    def unpack(self, stored: bytes) -> bytes:
        """Return the body of an entry from its form in the table of entries."""
        ...

    def oldest(self, session: int, source: str, count: int) -> list[JournalEntry]:
        """Return the first ``count`` unsealed entries of a journal. Raises StoreUnavailable."""
        ...


class _Row(NamedTuple):
    """A row of the table; ``before`` is the hash of the entry before the first."""

    first: int
    last: int
    head: bytes
    body: bytes | None
    before: bytes


def pack(entries: Sequence[JournalEntry]) -> bytes:
    """Return the bodies of consecutive entries, compressed and separated by line feeds, which
    canonical JSON does not contain.
    """
    return zlib.compress(b"\n".join(entry.body for entry in entries), 6)


def unpack(segment: Segment, compressed: bytes, before: bytes) -> list[JournalEntry]:
    """Return the entries of a segment, oldest first, from their compressed bodies.

    ``before`` is the hash of the entry before the first. Raises EntriesDamaged where the hash
    chain does not lead to the segment's head.
    """
    try:
        bodies = zlib.decompress(compressed).split(b"\n")
    except zlib.error as error:
        raise EntriesDamaged(segment.source, segment.first, segment.last, str(error)) from error
    entries = []
    head = before
    for body in bodies:
        head = sha256(head + body).digest()
        entries.append(JournalEntry(body, head))
    if len(entries) != segment.last - segment.first + 1 or head != segment.head:
        why = "the hash chain does not lead to the segment's head"
        raise EntriesDamaged(segment.source, segment.first, segment.last, why)
    return entries


class SegmentTable:
    """The table of segments of a database, beside its table of entries.

    ``now`` returns the wall time in seconds since the Unix epoch.
    """

    def __init__(self, sql: Sql, now: Callable[[], float]) -> None:
        self._sql = sql
        self._now = now
        #: Session and source of the journal that was examined last.
        self._position = (0, "")

    def head(self, session: int, source: str) -> Head:
        """Return the length of the sealed part of a journal, and the hash of its last entry."""
        rows = self._sql.rows(
            "SELECT last, head FROM segment WHERE session=? AND source=?"
            " ORDER BY last DESC LIMIT 1",
            (session, source),
        )
        return Head(rows[0][0], bytes(rows[0][1])) if rows else Head()

    def segments(self, session: int, held: bool) -> list[Segment]:
        """Return the segments of a session in the order in which they were sealed.

        With ``held`` only those whose entries have not been dropped.
        """
        rows = self._sql.rows(
            "SELECT source, first, last, head, coalesce(length(body), 0) FROM segment"
            " WHERE session=? AND (? = 0 OR body IS NOT NULL) ORDER BY sealed, source, last",
            (session, int(held)),
        )
        return [Segment(s, first, last, bytes(head), size) for s, first, last, head, size in rows]

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        """Return the next ``limit`` entries after number ``after``, sealed or not.

        Raises EntriesDamaged, EntriesDropped.
        """
        entries: list[JournalEntry] = []
        while len(entries) < limit:
            position, remaining = after + len(entries), limit - len(entries)
            first, page = self._unsealed(session, source, position, remaining)
            if page:
                # Unsealed entries are the newest: no others follow.
                return entries + page
            # An entry that is not in one table is in the other, since sealing is one transaction.
            page = self._sealed(session, source, position, remaining)
            if not page:
                if first:
                    raise EntriesDamaged(source, position + 1, first - 1, "they are missing")
                break
            entries += page
        return entries

    def seal(self, newest: int, at_most: int) -> int:
        """Seal up to ``at_most`` segments, one of each journal in turn, and return their number.

        Of the session ``newest`` the older entries are sealed once there are enough for two
        segments; of earlier sessions everything is. Raises EntriesDamaged where the entries are
        not a chain; they stay unsealed.
        """
        sealed = 0
        nothing_to_seal: set[tuple[int, str]] = set()
        while sealed < at_most:
            journal = self._next_journal(self._position) or self._next_journal((0, ""))
            if journal is None or journal in nothing_to_seal:
                break
            self._position = journal
            count = self._to_seal(*journal, newest)
            if count:
                self._seal(*journal, count)
                sealed += 1
            else:
                nothing_to_seal.add(journal)
        return sealed

    def drop(self, session: int, source: str, until: int) -> int:
        """Drop the bodies of all segments that end at or before ``until``; return their bytes."""
        values = (session, source, until)
        rows = self._sql.rows(
            "SELECT sum(length(body)) FROM segment WHERE session=? AND source=? AND last<=?", values
        )
        freed = int(rows[0][0] or 0)
        if freed:
            with self._sql.transaction() as execute:
                execute(
                    "UPDATE segment SET body=NULL WHERE session=? AND source=? AND last<=?"
                    " AND body IS NOT NULL",
                    values,
                )
        return freed

    def _unsealed(
        self, session: int, source: str, after: int, limit: int
    ) -> tuple[int, list[JournalEntry]]:
        """Return the number of the first unsealed entry after ``after``, 0 if there is none; and up
        to ``limit`` entries from there, if it directly follows ``after``.
        """
        rows = self._sql.rows(
            "SELECT seq, body, hash FROM entry WHERE session=? AND source=? AND seq>? ORDER BY seq"
            " LIMIT ?",
            (session, source, after, limit),
        )
        first = int(rows[0][0]) if rows else 0
        if first != after + 1:
            return first, []
        unpack = self._sql.unpack
        return first, [JournalEntry(unpack(body), bytes(digest)) for _, body, digest in rows]

    def _sealed(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        """Return entries of the segment with the entry after ``after``; none if there is none."""
        row = self._row(session, source, after)
        if row is None:
            return []
        if row.body is None:
            rows = self._sql.rows(
                "SELECT max(last) FROM segment WHERE session=? AND source=? AND body IS NULL",
                (session, source),
            )
            raise EntriesDropped(source, after + 1, rows[0][0])
        segment = Segment(source, row.first, row.last, row.head, len(row.body))
        entries = unpack(segment, row.body, row.before)
        return entries[after + 1 - row.first :][:limit]

    def _row(self, session: int, source: str, after: int) -> _Row | None:
        rows = self._sql.rows(
            "SELECT first, last, head, body FROM segment WHERE session=? AND source=? AND last>?"
            " ORDER BY last LIMIT 1",
            (session, source, after),
        )
        if not rows:
            return None
        first, last, head, body = rows[0]
        if first > after + 1:
            raise EntriesDamaged(source, after + 1, first - 1, "they are missing")
        previous = self._sql.rows(
            "SELECT head FROM segment WHERE session=? AND source=? AND last=?",
            (session, source, first - 1),
        )
        if first > 1 and not previous:
            raise EntriesDamaged(source, first, last, "the segment before it is missing")
        start = bytes(previous[0][0]) if previous else Head().hash
        return _Row(first, last, bytes(head), None if body is None else bytes(body), start)

    def _next_journal(self, position: tuple[int, str]) -> tuple[int, str] | None:
        rows = self._sql.rows(
            "SELECT session, source FROM entry WHERE (session, source) > (?, ?)"
            " ORDER BY session, source LIMIT 1",
            position,
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def _to_seal(self, session: int, source: str, newest: int) -> int:
        bounds = self._sql.rows(
            "SELECT (SELECT min(seq) FROM entry WHERE session=? AND source=?),"
            " (SELECT max(seq) FROM entry WHERE session=? AND source=?)",
            (session, source) * 2,
        )
        first, last = bounds[0]
        count = int(last - first + 1)
        if session >= newest and count < 2 * SEGMENT_ENTRIES:
            return 0
        return min(count, SEGMENT_ENTRIES)

    def _seal(self, session: int, source: str, count: int) -> None:
        before = self.head(session, source)
        entries = self._sql.oldest(session, source, count)
        first, last = before.length + 1, before.length + count
        try:
            verify(entries, after=before.length, head=before.hash)
        except ChainBroken as error:
            raise EntriesDamaged(source, first, last, str(error)) from error
        body = pack(entries)
        with self._sql.transaction() as execute:
            execute(
                "INSERT INTO segment (session, source, first, last, head, sealed, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (session, source, first, last, entries[-1].hash, int(self._now()), body),
            )
            execute(
                "DELETE FROM entry WHERE session=? AND source=? AND seq<=?", (session, source, last)
            )
