"""Journals as files that need no database: written once, checked years later.

An archive is a directory with a file for each sealed segment, in the format of GET /journal and
compressed, and a manifest that says where each belongs and between which hashes. A file is written
beside its place and moved there when it is on the disk; the manifest follows the files, and only
what the manifest on the disk names, and what has been read again from there, is dropped from the
store. So an archive can be made again at any time, whatever ended the last attempt.
"""

import gzip
import os
from collections.abc import Callable
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import msgspec

from trading.hosting.archived import MANIFEST, Archived, ArchiveUnusable, Manifest, load, read
from trading.hosting.records import Label, Segment, decode_label
from trading.hosting.retention import Addressed, drop, droppable, needed_of
from trading.hosting.store import JournalStore
from trading.runtime.journal import GENESIS, to_ndjson


class _Session(msgspec.Struct):
    number: int
    run_id: str
    opened: str


class Done(msgspec.Struct):
    """What one call of :func:`create` has done: segments written, and bytes dropped."""

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
) -> Done:
    """Write what ``store``, called ``name``, has of its sessions, and what is not in the archive
    yet, to ``directory``. ``before``: only sessions opened before that ISO date; ``keep_newest``:
    but for so many of the newest. ``drop_entries``: then drop from the store what is safe in the
    archive and not needed by a session that goes on. ``tell`` hears of the progress. Raises
    ArchiveUnusable, EntriesDamaged, StoreUnavailable, OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    manifest = load(directory)
    newest_session = store.newest_session()
    newest = newest_session[0] if newest_session is not None else 0
    # Nobody writes now: also what is newest can be sealed, and is archived.
    while store.seal(newest + 1, 16):
        pass
    done = Done()
    sessions = [_session(number, spec) for number, spec in store.sessions()]
    for session in sessions[: max(len(sessions) - keep_newest, 0)]:
        if before and not "" < session.opened < before:
            continue
        written = _add(store, name, directory, manifest, session)
        done.written += written
        freed = 0
        if drop_entries:
            freed = _drop(store, name, directory, manifest, session.number, newest, addressed)
        done.freed += freed
        what = f"run {session.run_id}" if session.run_id else "between runs"
        dropped = f", {freed} bytes dropped" if drop_entries else ""
        tell(f"{name}: session {session.number}, {what}: {written} new segments{dropped}")
    return done


def _session(number: int, spec: bytes) -> _Session:
    try:
        label = decode_label(spec)
    except msgspec.DecodeError:
        label = Label()
    return _Session(number, label.run_id, label.opened)


def _add(
    store: JournalStore, name: str, directory: Path, manifest: Manifest, session: _Session
) -> int:
    """Write the segments of a session that the archive does not have; their number."""
    known = {(*one.journal, one.first): one for one in manifest.segments}
    heads: dict[str, bytes] = {}
    fresh: list[Archived] = []
    segments = store.segments(session.number)
    for segment in sorted(segments, key=lambda one: (one.source, one.first)):
        before = heads.get(segment.source, GENESIS)
        heads[segment.source] = segment.head
        key = (name, session.number, segment.source, segment.first)
        there = known.get(key)
        if there is not None and (there.last, there.head) != (segment.last, segment.head.hex()):
            raise ArchiveUnusable(
                f"{directory} holds other journals of {name}, session {session.number}; use"
                " another directory"
            )
        if there is not None and (not segment.size or _is_there(directory, there)):
            continue
        known[key] = _write(store, name, directory, session, segment, before)
        fresh.append(known[key])
    if fresh:
        manifest.segments = list(known.values())
        _replace(directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    return sum(bool(one.file) for one in fresh)


def _write(
    store: JournalStore,
    name: str,
    directory: Path,
    session: _Session,
    segment: Segment,
    before: bytes,
) -> Archived:
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
    """Drop, oldest first, what has been read again from the archive; the bytes that are free."""
    known = {(*one.journal, one.first): one for one in manifest.segments}
    needed = needed_of(store, newest)
    held = sorted(store.segments(session, held=True), key=lambda one: (one.source, one.first))
    freed = 0
    for _, segments in groupby(held, key=lambda one: one.source):
        for segment in segments:
            there = known.get((name, session, segment.source, segment.first))
            if there is None or not droppable(segment, session, newest, needed):
                break
            if not _is_whole(directory, there):
                break
            freed += drop(store, session, segment, addressed)
    return freed


def _is_there(directory: Path, archived: Archived) -> bool:
    try:
        raw = (directory / archived.file).read_bytes() if archived.file else b""
    except OSError:
        return False
    return sha256(raw).hexdigest() == archived.sha256


def _is_whole(directory: Path, archived: Archived) -> bool:
    """Has the archive the entries, as they were written?"""
    if not archived.file:
        return False
    try:
        read(directory, archived)
    except (OSError, ValueError):
        return False
    return True


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    for folder in (path.parent, path.parent.parent):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
