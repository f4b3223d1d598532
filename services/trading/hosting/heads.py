"""A second place for how long the journals are, so that a loss in the store is noticed.

A store that is damaged may come back shorter than it was, and look whole: SQLite drops every frame
of its write-ahead log after one whose checksum is wrong, and a deleted journal is an empty one. So
after every write, and before anybody hears of what was written, the length and last hash of each
journal are noted in a file beside the store. At the start both are compared.

The file is written without waiting for the disk. A process that is killed loses nothing by that;
after a power failure the file may be older than the store, never newer, and an older one still
says how much must be there.
"""

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from trading.hosting.records import EntriesDropped, EntriesLost, Head
from trading.hosting.store import JournalStore, StoreUnavailable, Written

#: Bytes of one of the two copies in the file; they are written in turn, so that one is whole.
_SLOT = 4096
_MARK = b"heads "

#: Kind and name of the document by which a store knows that there is a file beside it.
_KIND, _NAME = "second place", "heads"


class Loss(NamedTuple):
    """Entries that were acknowledged and are not there. ``source``: name of the journal, empty
    where not even the session is there; ``acknowledged`` and ``kept``: how many entries.
    """

    source: str
    acknowledged: int
    kept: int
    text: str


class _Noted(msgspec.Struct):
    """``number``: counts the notes; ``heads``: by journal its length and last hash in hex."""

    number: int = 0
    session: int = 0
    heads: dict[str, tuple[int, str]] = {}


class HeadsFile:
    """Notes the heads of one store's newest session in ``path``. ``lasts``: does the file last as
    long as the store does, so that one that has gone is a loss, too?
    """

    def __init__(self, path: Path, *, lasts: bool) -> None:
        self.path = path
        self._lasts = lasts
        self._noted = _Noted()
        self._file: int | None = None

    def losses(self, store: JournalStore) -> list[Loss]:
        """Compare what was noted with what ``store`` has. Raises StoreUnavailable."""
        newest = store.newest_session()
        try:
            copies = self.path.read_bytes()
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                raise StoreUnavailable(f"{self.path}: {error.strerror}") from error
            if self._lasts and store.document(_KIND, _NAME) is not None:
                return [Loss("", 0, 0, f"{self.path.name} is missing: it says how much there was")]
            return []
        noted = max(map(_decoded, (copies[:_SLOT], copies[_SLOT:])), key=lambda one: one.number)
        if not noted.number:
            return [Loss("", 0, 0, f"{self.path.name} is damaged: it says how much there was")]
        self._noted = noted
        last = newest[0] if newest is not None else 0
        if noted.session > last:
            found = f"the newest is {last}" if last else "there is none"
            return [Loss("", 0, 0, f"session {noted.session} is missing, {found}")]
        compared = (self._compare(store, source, head) for source, head in noted.heads.items())
        return [loss for loss in compared if loss is not None]

    def begin(self, store: JournalStore, session: int, heads: Mapping[str, Head]) -> None:
        """Note that ``session`` is the newest one now, and that its journals go on from ``heads``.
        What was noted before is forgotten. Raises StoreUnavailable.
        """
        found = {source: (head.length, head.hash.hex()) for source, head in heads.items()}
        self._noted = _Noted(self._noted.number, session, found)
        try:
            self._write()
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error.strerror or error}") from error
        store.put(_KIND, _NAME, b"")

    def note(self, session: int, entries: Sequence[Written]) -> None:
        """Note the heads after ``entries``, which are durable. Raises OSError."""
        if session != self._noted.session:
            return
        for entry in entries:
            self._noted.heads[entry.source] = (entry.seq, entry.hash.hex())
        self._write()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _compare(self, store: JournalStore, source: str, noted: tuple[int, str]) -> Loss | None:
        length, digest = noted
        where = f"journal of {source}, session {self._noted.session}"
        kept = store.head(self._noted.session, source)
        if kept.length < length:
            text = f"{where}: {length} entries were acknowledged, {kept.length} are there"
            return Loss(source, length, kept.length, text)
        try:
            found = kept if kept.length == length else _head_at(store, self._noted, source, length)
        except EntriesDropped:
            return None
        except EntriesLost as error:
            return Loss(source, length, length - 1, str(error))
        if found.hash.hex() != digest:
            text = f"{where}: entry {length} is not the one that was acknowledged"
            return Loss(source, length, length - 1, text)
        return None

    def _write(self) -> None:
        noted = self._noted
        noted.number += 1
        body = msgspec.json.encode(noted)
        copy = _MARK + b"%08x " % zlib.crc32(body) + body + b"\n"
        if len(copy) > _SLOT:
            raise OSError(f"{self.path}: {len(copy)} bytes are more than fit")
        if self._file is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o600)
        os.pwrite(self._file, copy.ljust(_SLOT), noted.number % 2 * _SLOT)


def _head_at(store: JournalStore, noted: _Noted, source: str, length: int) -> Head:
    entries = store.read(noted.session, source, length - 1, 1)
    return Head(length, entries[0].hash) if entries else Head()


def _decoded(copy: bytes) -> _Noted:
    """Return what a copy says; nothing, where it is damaged."""
    mark, text = copy[: len(_MARK)], copy[len(_MARK) :].rstrip(b" \n")
    body = text[9:]
    if mark != _MARK or text[:9] != b"%08x " % zlib.crc32(body):
        return _Noted()
    try:
        return msgspec.json.decode(body, type=_Noted)
    except msgspec.DecodeError:
        return _Noted()
