"""The interface of the stores that keep journals, and a store in memory.

The stores on a disk are in :mod:`trading.hosting.sqlite` and :mod:`trading.hosting.postgres`.
"""

from collections.abc import Mapping, Sequence
from threading import RLock
from typing import NamedTuple, Protocol

from trading.hosting.records import (
    EntriesDamaged,
    EntriesDropped,
    EntriesLost,
    Head,
    RecoveryNeeds,
    Segment,
)
from trading.hosting.segments import SEGMENT_ENTRIES, pack, unpack
from trading.messages.audit import JournalEntry

__all__ = [
    "EntriesDamaged",
    "EntriesDropped",
    "EntriesLost",
    "EntryToWrite",
    "Head",
    "JournalStore",
    "MemoryStore",
    "RecoveryNeeds",
    "Segment",
    "Snapshot",
    "StoreInUse",
    "StoreUnavailable",
]


class EntryToWrite(NamedTuple):
    """An entry of the journal ``source`` that is to be written: its number, body and hash."""

    source: str
    seq: int
    body: bytes
    hash: bytes


class Snapshot(NamedTuple):
    """The state of a process's components as bytes.

    ``heads`` holds the heads of the journals at the time of the snapshot, by component. ``needed``
    says which entries a process that recovers from it will read; it is stored separately.
    """

    heads: Mapping[str, Head]
    blob: bytes
    needed: RecoveryNeeds | None = None


class StoreUnavailable(Exception):
    """The store cannot be reached. Nothing was written, and a later attempt may succeed."""


class StoreInUse(StoreUnavailable):
    """Another process uses the store."""


class JournalStore(Protocol):
    """Keeps journals by session and component, with snapshots and documents.

    Every method may block, may be called from any thread, and may raise StoreUnavailable.
    What was written is durable when :meth:`write` returns.

    The older entries of a journal are in sealed segments; :meth:`read` returns them like any
    others. The bodies of the oldest segments may have been dropped.
    """

    def open_session(self, spec: bytes) -> int:
        """Begin a session with empty journals and return its number. ``spec`` describes it."""
        ...

    def newest_session(self) -> tuple[int, bytes] | None:
        """Return number and spec of the newest session; None if there is none."""
        ...

    def sessions(self) -> list[tuple[int, bytes]]:
        """Return number and spec of all sessions, oldest first."""
        ...

    def write(
        self, session: int, entries: Sequence[EntryToWrite], snapshot: Snapshot | None = None
    ) -> None:
        """Write entries and snapshot in one transaction; a newer snapshot replaces the older."""
        ...

    def head(self, session: int, source: str) -> Head:
        """Return the length and last hash of a journal; those of an empty one if there is none."""
        ...

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        """Return the next ``limit`` entries after number ``after``, fewer only at the end.

        Raises EntriesDamaged, EntriesDropped.
        """
        ...

    def seal(self, newest: int, at_most: int = 1) -> int:
        """Seal up to ``at_most`` segments, as :meth:`.segments.SegmentTable.seal` describes."""
        ...

    def segments(self, session: int, *, held: bool = False) -> list[Segment]:
        """Return the segments of a session in the order in which they were sealed.

        With ``held`` only those whose entries have not been dropped.
        """
        ...

    def drop(self, session: int, source: str, until: int) -> int:
        """Drop the bodies of all segments that end at or before ``until``; their heads stay.

        Returns the number of bytes that became free.
        """
        ...

    def snapshot(self, session: int) -> Snapshot | None:
        """Return the snapshot of a session; None if there is none."""
        ...

    def put(self, kind: str, name: str, body: bytes) -> None:
        """Store a document, in the place of the one with the same kind and name, if any."""
        ...

    def document(self, kind: str, name: str) -> bytes | None:
        """Return the document of that kind and name; None if there is none."""
        ...

    def documents(self, kind: str) -> dict[str, bytes]:
        """Return all documents of a kind by name."""
        ...

    def remove(self, kind: str, name: str) -> None:
        """Remove the document of that kind and name, if there is one."""
        ...

    def close(self) -> None:
        """Release the store's files or connections. No method may be called afterwards."""
        ...


class MemoryStore:
    """Keeps journals in memory, until the process ends: for tests and first trials.

    It implements :class:`JournalStore`, where the methods are described.
    """

    def __init__(self) -> None:
        self._specs: list[bytes] = []
        self._entries: dict[tuple[int, str], list[JournalEntry]] = {}
        self._sealed: dict[tuple[int, str], list[Segment]] = {}
        self._bodies: dict[tuple[int, str], list[bytes | None]] = {}
        self._snapshots: dict[int, Snapshot] = {}
        self._documents: dict[str, dict[str, bytes]] = {}
        self._lock = RLock()

    def open_session(self, spec: bytes) -> int:
        self._specs.append(spec)
        return len(self._specs)

    def newest_session(self) -> tuple[int, bytes] | None:
        return (len(self._specs), self._specs[-1]) if self._specs else None

    def sessions(self) -> list[tuple[int, bytes]]:
        return list(enumerate(self._specs, 1))

    def write(
        self, session: int, entries: Sequence[EntryToWrite], snapshot: Snapshot | None = None
    ) -> None:
        with self._lock:
            for source, _, body, digest in entries:
                self._entries.setdefault((session, source), []).append(JournalEntry(body, digest))
            if snapshot is not None:
                self._snapshots[session] = snapshot

    def head(self, session: int, source: str) -> Head:
        with self._lock:
            sealed = self._sealed_head(session, source)
            entries = self._entries.get((session, source))
            return Head(sealed.length + len(entries), entries[-1].hash) if entries else sealed

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        result: list[JournalEntry] = []
        with self._lock:
            for index, segment in enumerate(self._sealed.get((session, source), ())):
                start = after + len(result)
                if segment.last > start and len(result) < limit:
                    entries = self._opened_segment(session, source, index, start)
                    result += entries[start + 1 - segment.first :][: limit - len(result)]
            open_after = self._sealed_head(session, source).length
            start = max(after + len(result) - open_after, 0)
            entries = self._entries.get((session, source), [])
            return result + entries[start : start + limit - len(result)]

    def seal(self, newest: int, at_most: int = 1) -> int:
        sealed = 0
        with self._lock:
            for (session, source), entries in self._entries.items():
                least = 2 * SEGMENT_ENTRIES if session >= newest else 1
                while sealed < at_most and len(entries) >= least:
                    older = entries[:SEGMENT_ENTRIES]
                    before, body = self._sealed_head(session, source).length, pack(older)
                    last = before + len(older)
                    segment = Segment(source, before + 1, last, older[-1].hash, len(body))
                    self._sealed.setdefault((session, source), []).append(segment)
                    self._bodies.setdefault((session, source), []).append(body)
                    del entries[:SEGMENT_ENTRIES]
                    sealed += 1
        return sealed

    def segments(self, session: int, *, held: bool = False) -> list[Segment]:
        with self._lock:
            sealed_segments = [f for (n, _), f in self._sealed.items() if n == session]
        return [s for sealed in sealed_segments for s in sealed if s.size or not held]

    def drop(self, session: int, source: str, until: int) -> int:
        freed = 0
        with self._lock:
            segments = self._sealed.get((session, source), [])
            for index, segment in enumerate(segments):
                if segment.last <= until:
                    freed += segment.size
                    segments[index] = segment._replace(size=0)
                    self._bodies[session, source][index] = None
        return freed

    def snapshot(self, session: int) -> Snapshot | None:
        return self._snapshots.get(session)

    def put(self, kind: str, name: str, body: bytes) -> None:
        self._documents.setdefault(kind, {})[name] = body

    def document(self, kind: str, name: str) -> bytes | None:
        return self._documents.get(kind, {}).get(name)

    def documents(self, kind: str) -> dict[str, bytes]:
        return dict(self._documents.get(kind, {}))

    def remove(self, kind: str, name: str) -> None:
        self._documents.get(kind, {}).pop(name, None)

    def close(self) -> None:
        return

    def _sealed_head(self, session: int, source: str) -> Head:
        sealed = self._sealed.get((session, source))
        return Head(sealed[-1].last, sealed[-1].head) if sealed else Head()

    def _opened_segment(
        self, session: int, source: str, index: int, after: int
    ) -> list[JournalEntry]:
        segments = self._sealed[session, source]
        body = self._bodies[session, source][index]
        if body is None:
            dropped = max(s.last for s in segments if not s.size)
            raise EntriesDropped(source, after + 1, dropped)
        before = segments[index - 1].head if index else Head().hash
        return unpack(segments[index], body, before)
