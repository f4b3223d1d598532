"""What an archive is: a manifest, a file for each segment, and how both are checked."""

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
    """One segment: entries ``first`` to ``last`` of the journal ``source`` of a session of
    ``store``. ``run_id``: empty between runs. ``opened``: the session, ISO 8601. ``before`` and
    ``head``: hex hashes of the entry before the first, and of the last. ``file``: in the archive,
    with its ``sha256`` in hex; empty where the entries had been dropped before.
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
        return self.store, self.session, self.source


class Manifest(msgspec.Struct):
    """What an archive holds. ``format``: of the archive."""

    segments: list[Archived] = []
    format: int = 1


class ArchiveUnusable(ValueError):
    """The directory is no archive, or that of other journals."""


def load(directory: Path) -> Manifest:
    """The manifest of an archive, an empty one for a directory without. Raises ArchiveUnusable,
    OSError.
    """
    path = directory / MANIFEST
    if not path.exists():
        return Manifest()
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise ArchiveUnusable(f"{path}: {error}") from error
    if found.format != 1:
        raise ArchiveUnusable(f"{path}: format {found.format}, this version reads format 1")
    return found


def check(directory: Path) -> Iterator[tuple[str, str]]:
    """Check every file and every chain of an archive. Yields, by journal, (its name, what is
    wrong); an empty string where everything is as it was written, or a journal's range that had
    been dropped before in words that begin with "note:". Raises ArchiveUnusable, OSError.
    """
    if not (directory / MANIFEST).exists():
        raise ArchiveUnusable(f"{directory}: no {MANIFEST} there")
    manifest = load(directory)
    ordered = sorted(manifest.segments, key=lambda one: (one.journal, one.first))
    for (store, session, source), segments in groupby(ordered, key=lambda one: one.journal):
        yield f"{store}, session {session}, {source}", _check_journal(directory, segments)


def read(directory: Path, archived: Archived) -> list[JournalEntry]:
    """The entries of one segment's file, checked. Raises ValueError, OSError."""
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
    missing = 0
    for one in segments:
        if one.first != last + 1:
            return f"entries {last + 1} to {one.first - 1} are missing"
        if one.before != head:
            return f"entry {one.first} does not follow the entry before it"
        if not one.file:
            missing += one.last - one.first + 1
        else:
            try:
                read(directory, one)
            except FileNotFoundError:
                return f"{one.file} is missing"
            except (ChainBroken, ValueError) as error:
                return f"{one.file}: {error}"
        last, head = one.last, one.head
    return f"note: {missing} entries had been dropped before they were archived" if missing else ""
