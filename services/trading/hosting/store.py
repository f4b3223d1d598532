"""What keeps journals: the interface of its backends, and the one in memory."""

from collections.abc import Mapping, Sequence
from threading import RLock
from typing import NamedTuple, Protocol

from trading.hosting.records import (
    EntriesDamaged,
    EntriesDropped,
    EntriesLost,
    Head,
    Needed,
    Segment,
)
from trading.hosting.segments import SEGMENT_ENTRIES, pack, unpack
from trading.messages.audit import JournalEntry

__all__ = [
    "EntriesDamaged",
    "EntriesDropped",
    "EntriesLost",
    "Head",
    "JournalStore",
    "MemoryStore",
    "Needed",
    "Segment",
    "Snapshot",
    "StoreTaken",
    "StoreUnavailable",
    "Written",
]


class Written(NamedTuple):
    """One entry on its way to the store."""

    source: str
    seq: int
    body: bytes
    hash: bytes


class Snapshot(NamedTuple):
    """``heads``: the journals' when the snapshot was taken, by component. ``needed``: what whoever
    goes on from it reads of the journals; it is not kept with it.
    """

    heads: Mapping[str, Head]
    blob: bytes
    needed: Needed | None = None


class StoreUnavailable(Exception):
    """The backend cannot be reached; nothing was written, and trying again makes sense."""


class StoreTaken(StoreUnavailable):
    """Another process keeps its journal there."""


class JournalStore(Protocol):
    """Journals by session and component. Every method may block and is called from any thread;
    ``write`` is durable when it returns. All raise StoreUnavailable.

    The older entries of a journal are kept in sealed segments, which are read as if they were not;
    the bodies of the oldest may have been dropped.
    """

    def open_session(self, spec: bytes) -> int:
        """Begin a session with fresh journals; its number."""
        ...

    def newest_session(self) -> tuple[int, bytes] | None: ...

    def sessions(self) -> list[tuple[int, bytes]]:
        """All of them, oldest first."""
        ...

    def write(
        self, session: int, entries: Sequence[Written], snapshot: Snapshot | None = None
    ) -> None:
        """All of it, or nothing."""
        ...

    def head(self, session: int, source: str) -> Head: ...

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        """The next ``limit`` entries after ``after``, fewer only at the journal's end. Raises
        EntriesDamaged, EntriesDropped.
        """
        ...

    def seal(self, newest: int, at_most: int = 1) -> int:
        """Seal up to ``at_most`` segments: see :meth:`.segments.SegmentTable.seal`."""
        ...

    def segments(self, session: int, *, held: bool = False) -> list[Segment]:
        """All segments of a session, in the order in which they were sealed; or those whose
        entries are still here.
        """
        ...

    def drop(self, session: int, source: str, until: int) -> int:
        """Drop the bodies of all segments that end at or before ``until``; their heads stay.
        Returns the bytes that are free now.
        """
        ...

    def snapshot(self, session: int) -> Snapshot | None: ...

    def put(self, kind: str, name: str, body: bytes) -> None:
        """Keep a document; one of that kind and name is replaced."""
        ...

    def document(self, kind: str, name: str) -> bytes | None:
        """The document of that kind and name; None where there is none."""
        ...

    def documents(self, kind: str) -> dict[str, bytes]:
        """All documents of a kind by name."""
        ...

    def close(self) -> None: ...


class MemoryStore:
    """Durable for as long as the process lives: for tests and for trying things out."""

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
        self, session: int, entries: Sequence[Written], snapshot: Snapshot | None = None
    ) -> None:
        with self._lock:
            for source, _, body, digest in entries:
                self._entries.setdefault((session, source), []).append(JournalEntry(body, digest))
            if snapshot is not None:
                self._snapshots[session] = snapshot

    def head(self, session: int, source: str) -> Head:
        with self._lock:
            sealed = self._sealed_to(session, source)
            entries = self._entries.get((session, source))
            return Head(sealed.length + len(entries), entries[-1].hash) if entries else sealed

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        found: list[JournalEntry] = []
        with self._lock:
            for index, segment in enumerate(self._sealed.get((session, source), ())):
                start = after + len(found)
                if segment.last > start and len(found) < limit:
                    entries = self._unsealed(session, source, index, start)
                    found += entries[start + 1 - segment.first :][: limit - len(found)]
            open_after = self._sealed_to(session, source).length
            start = max(after + len(found) - open_after, 0)
            entries = self._entries.get((session, source), [])
            return found + entries[start : start + limit - len(found)]

    def seal(self, newest: int, at_most: int = 1) -> int:
        sealed = 0
        with self._lock:
            for (session, source), entries in self._entries.items():
                least = 2 * SEGMENT_ENTRIES if session >= newest else 1
                while sealed < at_most and len(entries) >= least:
                    older = entries[:SEGMENT_ENTRIES]
                    before, body = self._sealed_to(session, source).length, pack(older)
                    last = before + len(older)
                    segment = Segment(source, before + 1, last, older[-1].hash, len(body))
                    self._sealed.setdefault((session, source), []).append(segment)
                    self._bodies.setdefault((session, source), []).append(body)
                    del entries[:SEGMENT_ENTRIES]
                    sealed += 1
        return sealed

    def segments(self, session: int, *, held: bool = False) -> list[Segment]:
        with self._lock:
            found = [f for (n, _), f in self._sealed.items() if n == session]
        return [s for sealed in found for s in sealed if s.size or not held]

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

    def close(self) -> None:
        return

    def _sealed_to(self, session: int, source: str) -> Head:
        sealed = self._sealed.get((session, source))
        return Head(sealed[-1].last, sealed[-1].head) if sealed else Head()

    def _unsealed(self, session: int, source: str, index: int, after: int) -> list[JournalEntry]:
        segments = self._sealed[session, source]
        body = self._bodies[session, source][index]
        if body is None:
            dropped = max(s.last for s in segments if not s.size)
            raise EntriesDropped(source, after + 1, dropped)
        before = segments[index - 1].head if index else Head().hash
        return unpack(segments[index], body, before)
