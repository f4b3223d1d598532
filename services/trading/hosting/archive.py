"""Writes journals to archives: files that can be checked years later without a database.

An archive is a directory with a compressed file for each sealed segment, in the format of
GET /journal, and a manifest with the place of each file and the hashes around it. A file is written
under a temporary name and renamed once it is on the disk; the manifest is written after the files.
Entries are dropped from the store only after they have been read back from a file that the manifest
on the disk names. An attempt that was interrupted can therefore simply be repeated.
"""

import gzip
import os
from collections.abc import Callable
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import msgspec

from trading.hosting.archived import MANIFEST, Archived, ArchiveUnusable, Manifest, load, read
from trading.hosting.records import Segment, SessionLabel, decode_label
from trading.hosting.retention import Addressed, drop, droppable, needed_of
from trading.hosting.store import JournalStore
from trading.runtime.journal import GENESIS, to_ndjson


class _Session(msgspec.Struct):
    """A session of the store; ``run_id`` is empty between runs."""

    number: int
    run_id: str
    opened: str


class ArchiveResult(msgspec.Struct):
    """The result of :func:`create`: how many segments were written, and how many bytes dropped."""

    written: int = 0
    freed: int = 0


def create(
    store: JournalStore,
    name: str,
    directory: Path,
    *,
    before: str = "",
    keep_newest: int = 0,
    drop_entries: bool = False,
    addressed: Addressed | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> ArchiveResult:
    """Write the sessions of ``store``, called ``name``, to the archive in ``directory``.

    Segments that the archive has already are not written again. ``before`` selects sessions opened
    before that ISO date, ``keep_newest`` excludes so many of the newest. With ``drop_entries``
    entries that have been archived, and that a running session does not need, are dropped from
    the store; ``addressed`` is that of :func:`.retention.retain`. ``tell`` gets lines about the
    progress. Raises ArchiveUnusable, EntriesDamaged, StoreUnavailable, OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    manifest = load(directory)
    newest_session = store.newest_session()
    newest = newest_session[0] if newest_session is not None else 0
    # No process writes now, so that the newest entries can be sealed and archived, too.
    while store.seal(newest + 1, 16):
        pass
    result = ArchiveResult()
    sessions = [_session(number, spec) for number, spec in store.sessions()]
    for session in sessions[: max(len(sessions) - keep_newest, 0)]:
        if before and not "" < session.opened < before:
            continue
        written = _add(store, name, directory, manifest, session)
        result.written += written
        freed = 0
        if drop_entries:
            freed = _drop(store, name, directory, manifest, session.number, newest, addressed)
        result.freed += freed
        kind = f"run {session.run_id}" if session.run_id else "between runs"
        dropped = f", {freed} bytes dropped" if drop_entries else ""
        tell(f"{name}: session {session.number}, {kind}: {written} new segments{dropped}")
    return result


def _session(number: int, spec: bytes) -> _Session:
    try:
        label = decode_label(spec)
    except msgspec.DecodeError:
        label = SessionLabel()
    return _Session(number, label.run_id, label.opened)


def _add(
    store: JournalStore, name: str, directory: Path, manifest: Manifest, session: _Session
) -> int:
    """Write the segments of a session that the archive does not have; return their number."""
    recorded = {(*segment.journal, segment.first): segment for segment in manifest.segments}
    heads: dict[str, bytes] = {}
    additions: list[Archived] = []
    segments = store.segments(session.number)
    for segment in sorted(segments, key=lambda segment: (segment.source, segment.first)):
        before = heads.get(segment.source, GENESIS)
        heads[segment.source] = segment.head
        key = (name, session.number, segment.source, segment.first)
        existing = recorded.get(key)
        if existing is not None and (existing.last, existing.head) != (
            segment.last,
            segment.head.hex(),
        ):
            raise ArchiveUnusable(
                f"{directory} holds other journals of {name}, session {session.number}; use"
                " another directory"
            )
        if existing is not None and (not segment.size or _has_file(directory, existing)):
            continue
        recorded[key] = _write(store, name, directory, session, segment, before)
        additions.append(recorded[key])
    if additions:
        manifest.segments = list(recorded.values())
        _replace(directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    return sum(bool(segment.file) for segment in additions)


def _write(
    store: JournalStore,
    name: str,
    directory: Path,
    session: _Session,
    segment: Segment,
    before: bytes,
) -> Archived:
    """Write the file of a segment and return its record, without a file if it was dropped."""
    archived = Archived(
        store=name,
        session=session.number,
        run_id=session.run_id,
        opened=session.opened,
        source=segment.source,
        first=segment.first,
        last=segment.last,
        before=before.hex(),
        head=segment.head.hex(),
    )
    if not segment.size:
        return archived
    count = segment.last - segment.first + 1
    entries = store.read(session.number, segment.source, segment.first - 1, count)
    raw = gzip.compress(b"".join(to_ndjson(e) + b"\n" for e in entries), 6, mtime=0)
    folder = f"{session.number}-{session.run_id or 'between-runs'}"
    named = f"{segment.first:010}-{segment.last:010}.ndjson.gz"
    file = f"{name}/{folder}/{segment.source.replace(' ', '-')}/{named}"
    _replace(directory / file, raw)
    return msgspec.structs.replace(archived, file=file, sha256=sha256(raw).hexdigest())


def _drop(
    store: JournalStore,
    name: str,
    directory: Path,
    manifest: Manifest,
    session: int,
    newest: int,
    addressed: Addressed | None,
) -> int:
    """Drop what can be read back from the archive, oldest first; return the bytes freed."""
    recorded = {(*segment.journal, segment.first): segment for segment in manifest.segments}
    needed = needed_of(store, newest)
    held = sorted(
        store.segments(session, held=True), key=lambda segment: (segment.source, segment.first)
    )
    freed = 0
    for _, segments in groupby(held, key=lambda segment: segment.source):
        for segment in segments:
            existing = recorded.get((name, session, segment.source, segment.first))
            if existing is None or not droppable(segment, session, newest, needed):
                break
            if not _is_whole(directory, existing):
                break
            freed += drop(store, session, segment, addressed)
    return freed


def _has_file(directory: Path, archived: Archived) -> bool:
    """Return whether the file of a segment exists with its recorded content."""
    try:
        raw = (directory / archived.file).read_bytes() if archived.file else b""
    except OSError:
        return False
    return sha256(raw).hexdigest() == archived.sha256


def _is_whole(directory: Path, archived: Archived) -> bool:
    """Return whether the archive has the entries of a segment exactly as they were written."""
    if not archived.file:
        return False
    try:
        read(directory, archived)
    except (OSError, ValueError):
        return False
    return True


def _replace(path: Path, content: bytes) -> None:
    """Write a file atomically, and sync it to the disk with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    for folder in (path.parent, path.parent.parent):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
