"""Reads and checks archives: a manifest, and a file for each segment of a journal.

Archives are written by :mod:`trading.hosting.archive`.
"""

import gzip
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import msgspec

from trading.messages.audit import JournalEntry
from trading.runtime.journal import GENESIS, ChainBroken, from_ndjson, verify

MANIFEST = "manifest.json"


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest's record of a segment: entries ``first`` to ``last`` of the journal ``source``.

    ``store`` and ``session`` say where the journal is from, ``opened`` when the session was opened
    (ISO 8601). ``run_id`` is empty between runs. ``before`` and ``head`` are the hashes, in hex,
    of the entry before the first and of the last. ``file`` is a path in the archive, and ``sha256``
    the hash of its content in hex; both are empty where the entries had been dropped before.
    """

    store: str
    session: int
    run_id: str
    opened: str
    source: str
    first: int
    last: int
    before: str
    head: str
    file: str = ""
    sha256: str = ""

    @property
    def journal(self) -> tuple[str, int, str]:
        """The journal's store, session and source, which identify it."""
        return self.store, self.session, self.source


class Manifest(msgspec.Struct):
    """The content of an archive. ``format`` is the version of the archive's format."""

    segments: list[Archived] = []
    format: int = 1


class ArchiveUnusable(ValueError):
    """The directory is not an archive, or one of other journals."""


def load(directory: Path) -> Manifest:
    """Return the manifest of an archive, an empty one for a directory without a manifest.

    Raises ArchiveUnusable, OSError.
    """
    path = directory / MANIFEST
    if not path.exists():
        return Manifest()
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise ArchiveUnusable(f"{path}: {error}") from error
    if manifest.format != 1:
        raise ArchiveUnusable(f"{path}: format {manifest.format}, this version reads format 1")
    return manifest


def check(directory: Path) -> Iterator[tuple[str, str]]:
    """Check every file and every hash chain of an archive.

    Yields each journal's name with the problem that was found, empty if there is none. Entries
    that had been dropped before they were archived are reported in a text that begins with
    "note:". Raises ArchiveUnusable, OSError.
    """
    if not (directory / MANIFEST).exists():
        raise ArchiveUnusable(f"{directory}: no {MANIFEST} there")
    manifest = load(directory)
    ordered = sorted(manifest.segments, key=lambda segment: (segment.journal, segment.first))
    for (store, session, source), segments in groupby(ordered, key=lambda segment: segment.journal):
        yield f"{store}, session {session}, {source}", _check_journal(directory, segments)


def read(directory: Path, archived: Archived) -> list[JournalEntry]:
    """Return the checked entries of one segment's file. Raises ValueError, OSError."""
    raw = (directory / archived.file).read_bytes()
    if sha256(raw).hexdigest() != archived.sha256:
        raise ValueError("the file is not the one that was written")
    try:
        lines = gzip.decompress(raw).splitlines()
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(str(error)) from error
    entries = [from_ndjson(line) for line in lines]
    before = bytes.fromhex(archived.before)
    last, head = verify(entries, after=archived.first - 1, head=before)
    if last != archived.last or head.hex() != archived.head:
        raise ValueError(f"it ends at entry {last}, and not as the manifest says")
    return entries


def _check_journal(directory: Path, segments: Iterable[Archived]) -> str:
    last, head = 0, GENESIS.hex()
    dropped = 0
    for segment in segments:
        if segment.first != last + 1:
            return f"entries {last + 1} to {segment.first - 1} are missing"
        if segment.before != head:
            return f"entry {segment.first} does not follow the entry before it"
        if not segment.file:
            dropped += segment.last - segment.first + 1
        else:
            try:
                read(directory, segment)
            except FileNotFoundError:
                return f"{segment.file} is missing"
            except (ChainBroken, ValueError) as error:
                return f"{segment.file}: {error}"
        last, head = segment.last, segment.head
    return f"note: {dropped} entries had been dropped before they were archived" if dropped else ""
