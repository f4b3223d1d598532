"""Sealed segments: the older entries of a journal as one compressed row instead of thousands.

A segment keeps the bodies of consecutive entries and the hash of the last one. The hashes between
are computed again when it is read, from the head of the segment before it, so that what is read
has been checked. A segment whose bodies have been dropped keeps its row: whoever holds the entries
elsewhere can still show that they are the ones that were written.
"""

import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from trading.hosting.records import EntriesDamaged, EntriesDropped, Head, Segment
from trading.messages.audit import JournalEntry
from trading.runtime.journal import ChainBroken, verify

#: Entries of a segment. Of a session that goes on as many stay as they are: the newest are read
#: again and again.
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
    """What the table of segments needs of a database; placeholders are question marks."""

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """All rows of a query. Raises StoreUnavailable."""
        ...

    def together(self) -> AbstractContextManager[Execute]:
        """One transaction: everything that is executed in it, or nothing."""
        ...

    def unpack(self, stored: bytes) -> bytes:
        """The body of an entry, of how the table of entries has it."""
        ...

    def oldest(self, session: int, source: str, count: int) -> list[JournalEntry]:
        """The first ``count`` entries of a journal that are not sealed. Raises StoreUnavailable."""
        ...


class _Row(NamedTuple):
    """A segment with the hash ``before`` its first entry."""

    first: int
    last: int
    head: bytes
    body: bytes | None
    before: bytes


def pack(entries: Sequence[JournalEntry]) -> bytes:
    """The bodies of consecutive entries, compressed; canonical JSON has no line ends in it."""
    return zlib.compress(b"\n".join(entry.body for entry in entries), 6)


def unpack(segment: Segment, body: bytes, before: bytes) -> list[JournalEntry]:
    """The entries of a segment, oldest first. ``before``: the hash of the entry before the first.
    Raises EntriesDamaged where they do not lead to the segment's head.
    """
    try:
        bodies = zlib.decompress(body).split(b"\n")
    except zlib.error as error:
        raise EntriesDamaged(segment.source, segment.first, segment.last, str(error)) from error
    entries = []
    head = before
    for one in bodies:
        head = sha256(head + one).digest()
        entries.append(JournalEntry(one, head))
    if len(entries) != segment.last - segment.first + 1 or head != segment.head:
        why = "the hash chain does not lead to the segment's head"
        raise EntriesDamaged(segment.source, segment.first, segment.last, why)
    return entries


class SegmentTable:
    """The table of segments of a database, beside its table of entries."""

    def __init__(self, sql: Sql, now: Callable[[], float]) -> None:
        self._sql = sql
        self._now = now
        #: Session and source of the journal that was looked at last.
        self._position = (0, "")

    def head(self, session: int, source: str) -> Head:
        """Up to where a journal is sealed, and the hash there."""
        found = self._sql.rows(
            "SELECT last, head FROM segment WHERE session=? AND source=?"
            " ORDER BY last DESC LIMIT 1",
            (session, source),
        )
        return Head(found[0][0], bytes(found[0][1])) if found else Head()

    def of(self, session: int, held: bool) -> list[Segment]:
        """All segments of a session, in the order in which they were sealed. ``held``: only those
        whose entries are still here.
        """
        found = self._sql.rows(
            "SELECT source, first, last, head, coalesce(length(body), 0) FROM segment"
            " WHERE session=? AND (? = 0 OR body IS NOT NULL) ORDER BY sealed, source, last",
            (session, int(held)),
        )
        return [Segment(s, first, last, bytes(head), size) for s, first, last, head, size in found]

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        """The next ``limit`` entries after ``after``, sealed or not. Raises EntriesDamaged,
        EntriesDropped.
        """
        found: list[JournalEntry] = []
        while len(found) < limit:
            after_found, rest = after + len(found), limit - len(found)
            first, page = self._unsealed(session, source, after_found, rest)
            if page:
                # They are the newest: after them there is nothing.
                return found + page
            # What was sealed meanwhile was sealed in one transaction: it is in a segment by now.
            page = self._sealed(session, source, after_found, rest)
            if not page:
                if first:
                    raise EntriesDamaged(source, after_found + 1, first - 1, "they are missing")
                break
            found += page
        return found

    def seal(self, newest: int, at_most: int) -> int:
        """Seal up to ``at_most`` segments, one of each journal in turn: of the session ``newest``
        the older entries where there are two segments' worth, of those before it everything.
        Returns how many were sealed. Raises EntriesDamaged where the entries are no chain; they
        stay.
        """
        sealed = 0
        passed: set[tuple[int, str]] = set()
        while sealed < at_most:
            journal = self._next_journal(self._position) or self._next_journal((0, ""))
            if journal is None or journal in passed:
                break
            self._position = journal
            count = self._to_seal(*journal, newest)
            if count:
                self._seal(*journal, count)
                sealed += 1
            else:
                passed.add(journal)
        return sealed

    def drop(self, session: int, source: str, until: int) -> int:
        """Drop the bodies of all segments that end at or before ``until``. Returns their bytes."""
        which = (session, source, until)
        found = self._sql.rows(
            "SELECT sum(length(body)) FROM segment WHERE session=? AND source=? AND last<=?", which
        )
        freed = int(found[0][0] or 0)
        if freed:
            with self._sql.together() as execute:
                execute(
                    "UPDATE segment SET body=NULL WHERE session=? AND source=? AND last<=?"
                    " AND body IS NOT NULL",
                    which,
                )
        return freed

    def _unsealed(
        self, session: int, source: str, after: int, limit: int
    ) -> tuple[int, list[JournalEntry]]:
        """Sequence number of the first entry after ``after`` that is not sealed, 0 where there is
        none; and, if it is the next one, it and those that follow.
        """
        found = self._sql.rows(
            "SELECT seq, body, hash FROM entry WHERE session=? AND source=? AND seq>? ORDER BY seq"
            " LIMIT ?",
            (session, source, after, limit),
        )
        first = int(found[0][0]) if found else 0
        if first != after + 1:
            return first, []
        unpack = self._sql.unpack
        return first, [JournalEntry(unpack(body), bytes(digest)) for _, body, digest in found]

    def _sealed(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        """Of the one segment that has the entry after ``after``; none where no segment has it."""
        row = self._row(session, source, after)
        if row is None:
            return []
        if row.body is None:
            dropped = self._sql.rows(
                "SELECT max(last) FROM segment WHERE session=? AND source=? AND body IS NULL",
                (session, source),
            )
            raise EntriesDropped(source, after + 1, dropped[0][0])
        segment = Segment(source, row.first, row.last, row.head, len(row.body))
        entries = unpack(segment, row.body, row.before)
        return entries[after + 1 - row.first :][:limit]

    def _row(self, session: int, source: str, after: int) -> _Row | None:
        found = self._sql.rows(
            "SELECT first, last, head, body FROM segment WHERE session=? AND source=? AND last>?"
            " ORDER BY last LIMIT 1",
            (session, source, after),
        )
        if not found:
            return None
        first, last, head, body = found[0]
        if first > after + 1:
            raise EntriesDamaged(source, after + 1, first - 1, "they are missing")
        before = self._sql.rows(
            "SELECT head FROM segment WHERE session=? AND source=? AND last=?",
            (session, source, first - 1),
        )
        if first > 1 and not before:
            raise EntriesDamaged(source, first, last, "the segment before it is missing")
        start = bytes(before[0][0]) if before else Head().hash
        return _Row(first, last, bytes(head), None if body is None else bytes(body), start)

    def _next_journal(self, position: tuple[int, str]) -> tuple[int, str] | None:
        found = self._sql.rows(
            "SELECT session, source FROM entry WHERE (session, source) > (?, ?)"
            " ORDER BY session, source LIMIT 1",
            position,
        )
        return (found[0][0], found[0][1]) if found else None

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
        with self._sql.together() as execute:
            execute(
                "INSERT INTO segment (session, source, first, last, head, sealed, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (session, source, first, last, entries[-1].hash, int(self._now()), body),
            )
            execute(
                "DELETE FROM entry WHERE session=? AND source=? AND seq<=?", (session, source, last)
            )
