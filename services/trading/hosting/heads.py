"""Records the heads of the journals beside the store, so that a loss in the store is noticed.

A damaged store may come back shorter than it was and look whole: SQLite drops every frame of its
write-ahead log after one whose checksum is wrong, and a deleted journal is an empty one. So after
every write, and before anything of it becomes visible, the length and last hash of each journal
are written to a file beside the store. Both are compared at the start.

The file is written without waiting for the disk. A process that is killed loses nothing by that.
After a power failure the file may be older than the store, never newer, and an older file still
tells how much must be there.
"""

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from trading.hosting.records import EntriesDropped, EntriesLost, Head
from trading.hosting.store import EntryToWrite, JournalStore, StoreUnavailable

#: Bytes of each of the two copies in the file. They are written in turn, so that one is whole.
_SLOT = 4096
_MAGIC = b"heads "

#: Kind and name of the document that marks a store which has such a file.
_MARKER_KIND, _MARKER_NAME = "second place", "heads"


class Loss(NamedTuple):
    """Entries that were acknowledged and are lost.

    ``source`` is the journal, empty where the whole session is missing. ``acknowledged`` and
    ``remaining`` are the lengths that the journal had and has. ``text`` describes the loss.
    """

    source: str
    acknowledged: int
    remaining: int
    text: str


class _Record(msgspec.Struct):
    """The content of the file: the heads of the journals of ``session``.

    ``number`` counts the writes of the file. ``heads`` holds the length of each journal and its
    last hash in hex.
    """

    number: int = 0
    session: int = 0
    heads: dict[str, tuple[int, str]] = {}


class HeadsFile:
    """Writes the heads of the newest session of one store to ``path``, and compares them.

    ``lasts`` says that the file has the same lifetime as the store, so that a missing file is a
    loss, too.
    """

    def __init__(self, path: Path, *, lasts: bool) -> None:
        self.path = path
        self._persistent = lasts
        self._record = _Record()
        self._file: int | None = None

    def losses(self, store: JournalStore) -> list[Loss]:
        """Compare the file with ``store``, and return what is lost. Raises StoreUnavailable."""
        newest = store.newest_session()
        try:
            copies = self.path.read_bytes()
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                raise StoreUnavailable(f"{self.path}: {error.strerror}") from error
            if self._persistent and store.document(_MARKER_KIND, _MARKER_NAME) is not None:
                return [Loss("", 0, 0, f"{self.path.name} is missing: it says how much there was")]
            return []
        record = max(
            map(_decode, (copies[:_SLOT], copies[_SLOT:])), key=lambda record: record.number
        )
        if not record.number:
            return [Loss("", 0, 0, f"{self.path.name} is damaged: it says how much there was")]
        self._record = record
        newest_number = newest[0] if newest is not None else 0
        if record.session > newest_number:
            existing = f"the newest is {newest_number}" if newest_number else "there is none"
            return [Loss("", 0, 0, f"session {record.session} is missing, {existing}")]
        losses = (self._compare(store, source, head) for source, head in record.heads.items())
        return [loss for loss in losses if loss is not None]

    def begin(self, store: JournalStore, session: int, heads: Mapping[str, Head]) -> None:
        """Record ``session`` as the newest, with journals that continue after ``heads``.

        The record of the session before is overwritten. Raises StoreUnavailable.
        """
        noted = {source: (head.length, head.hash.hex()) for source, head in heads.items()}
        self._record = _Record(self._record.number, session, noted)
        try:
            self._write()
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror or error}") from error
        store.put(_MARKER_KIND, _MARKER_NAME, b"")

    def note(self, session: int, entries: Sequence[EntryToWrite]) -> None:
        """Record the heads after ``entries``, which are durable. Raises OSError."""
        if session != self._record.session:
            return
        for entry in entries:
            self._record.heads[entry.source] = (entry.seq, entry.hash.hex())
        self._write()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _compare(self, store: JournalStore, source: str, noted: tuple[int, str]) -> Loss | None:
        length, digest = noted
        where = f"journal of {source}, session {self._record.session}"
        stored = store.head(self._record.session, source)
        if stored.length < length:
            text = f"{where}: {length} entries were acknowledged, {stored.length} are there"
            return Loss(source, length, stored.length, text)
        try:
            at_length = (
                stored if stored.length == length else _head_at(store, self._record, source, length)
            )
        except EntriesDropped:
            return None
        except EntriesLost as error:
            return Loss(source, length, length - 1, str(error))
        if at_length.hash.hex() != digest:
            text = f"{where}: entry {length} is not the one that was acknowledged"
            return Loss(source, length, length - 1, text)
        return None

    def _write(self) -> None:
        record = self._record
        record.number += 1
        body = msgspec.json.encode(record)
        copy = _MAGIC + b"%08x " % zlib.crc32(body) + body + b"\n"
        if len(copy) > _SLOT:
            raise OSError(f"{self.path}: {len(copy)} bytes are more than fit")
        if self._file is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o600)
        os.pwrite(self._file, copy.ljust(_SLOT), record.number % 2 * _SLOT)


def _head_at(store: JournalStore, record: _Record, source: str, length: int) -> Head:
    """Return the head of a journal when it had ``length`` entries, none where its first ones were
    written and the process was killed before it recorded them.
    """
    if not length:
        return Head()
    entries = store.read(record.session, source, length - 1, 1)
    return Head(length, entries[0].hash) if entries else Head()


def _decode(copy: bytes) -> _Record:
    """Return the content of a copy; an empty record if it is damaged."""
    mark, text = copy[: len(_MAGIC)], copy[len(_MAGIC) :].rstrip(b" \n")
    body = text[9:]
    if mark != _MAGIC or text[:9] != b"%08x " % zlib.crc32(body):
        return _Record()
    try:
        return msgspec.json.decode(body, type=_Record)
    except msgspec.DecodeError:
        return _Record()
