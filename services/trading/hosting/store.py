"""What keeps journals: the interface of its backends, and the one in memory."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from trading.messages.audit import JournalEntry
from trading.runtime.journal import GENESIS


class Written(NamedTuple):
    """One entry on its way to the store."""

    source: str
    seq: int
    body: bytes
    hash: bytes


class Head(NamedTuple):
    """How long a journal is, and its last hash."""

    length: int = 0
    hash: bytes = GENESIS


class Snapshot(NamedTuple):
    """``heads``: the journals' when the snapshot was taken, by component."""

    heads: Mapping[str, Head]
    blob: bytes


class StoreUnavailable(Exception):
    """The backend cannot be reached; nothing was written, and trying again makes sense."""


class StoreTaken(StoreUnavailable):
    """Another process keeps its journal there."""


class JournalStore(Protocol):
    """Journals by session and component. Every method may block and is called from any thread;
    ``write`` is durable when it returns. All raise StoreUnavailable.
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

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]: ...

    def snapshot(self, session: int) -> Snapshot | None: ...

    def put(self, kind: str, name: str, body: bytes) -> None:
        """Keep a document; one of that kind and name is replaced."""
        ...

    def documents(self, kind: str) -> dict[str, bytes]:
        """All documents of a kind by name."""
        ...

    def ping(self) -> None:
        """Is the backend there?"""
        ...

    def close(self) -> None: ...


class MemoryStore:
    """Durable for as long as the process lives: for tests and for trying things out."""

    def __init__(self) -> None:
        self._specs: list[bytes] = []
        self._entries: dict[tuple[int, str], list[JournalEntry]] = {}
        self._snapshots: dict[int, Snapshot] = {}
        self._documents: dict[str, dict[str, bytes]] = {}

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
        for source, _, body, digest in entries:
            self._entries.setdefault((session, source), []).append(JournalEntry(body, digest))
        if snapshot is not None:
            self._snapshots[session] = snapshot

    def head(self, session: int, source: str) -> Head:
        entries = self._entries.get((session, source))
        return Head(len(entries), entries[-1].hash) if entries else Head()

    def read(self, session: int, source: str, after: int, limit: int) -> list[JournalEntry]:
        return self._entries.get((session, source), [])[after : after + limit]

    def snapshot(self, session: int) -> Snapshot | None:
        return self._snapshots.get(session)

    def put(self, kind: str, name: str, body: bytes) -> None:
        self._documents.setdefault(kind, {})[name] = body

    def documents(self, kind: str) -> dict[str, bytes]:
        return dict(self._documents.get(kind, {}))

    def ping(self) -> None:
        return

    def close(self) -> None:
        return
