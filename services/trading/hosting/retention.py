"""Limits how much is kept of the journals between runs, and says what may be dropped at all.

Journals of runs are evidence and stay until they are archived. Between runs the market only
trades: there the oldest segments lose their entries once more is kept than the limit allows.
Entries that a process needs to recover its running session are never dropped.
"""

import json
from collections.abc import Callable, Mapping, Sequence

import msgspec

from trading.hosting.parts import JournalAuditor
from trading.hosting.records import EntriesLost, RecoveryNeeds, Segment, decode_label
from trading.hosting.store import JournalStore
from trading.messages.audit import JournalEntry

#: Kinds of stored documents: which entries a session's process needs for its recovery, and which
#: services dropped entries were addressed to.
NEEDED = "needed"
ADDRESSED = "addressed"

#: Returns which services the entries of a journal were addressed to, each with the number of the
#: newest such entry. It gets the journal's source and the entries.
Addressed = Callable[[str, Sequence[JournalEntry]], Mapping[str, int]]

#: Stands for all services where the addressees are unknown.
_ANY_SERVICE = "*"

_decode_needed = msgspec.json.Decoder(RecoveryNeeds).decode


def needed_from(after: Mapping[str, int], auditor: JournalAuditor | None) -> RecoveryNeeds:
    """Return which entries are needed to recover a session from a snapshot.

    These are the entries ``after`` the snapshot in the journals of the process's own components,
    and what its ``auditor``, if it has one, has not read yet.
    """
    needed = dict(after)
    positions = auditor.positions() if auditor is not None else {}
    for source, length in positions.items():
        needed[source] = min(length, after.get(source, length))
    return RecoveryNeeds(needed, sorted(positions.keys() - after.keys()))


def needed_of(store: JournalStore, session: int) -> RecoveryNeeds:
    """Return which entries the process of a session needs for its recovery; all if not recorded."""
    document = store.document(NEEDED, str(session))
    return _decode_needed(document) if document is not None else RecoveryNeeds({})


def record_needed(store: JournalStore, session: int, needed: RecoveryNeeds) -> None:
    """Record which entries the session's process needs, after its snapshot became durable."""
    store.put(NEEDED, str(session), msgspec.json.encode(needed))


def is_run(spec: bytes) -> bool:
    """Return whether the session is a run. One that cannot be read counts as a run, so that its
    journals are kept.
    """
    try:
        return bool(decode_label(spec).run_id)
    except msgspec.DecodeError:
        return True


def droppable(segment: Segment, session: int, newest: int, needed: RecoveryNeeds) -> bool:
    """Return whether the entries of a segment may be dropped; ``needed`` is that of ``newest``."""
    return session < newest or segment.last <= needed.after.get(segment.source, 0)


def retain(
    store: JournalStore, newest: int, limit: int | None, addressed: Addressed | None = None
) -> int:
    """Drop the oldest sealed entries between runs until at most ``limit`` bytes of them are left.

    With None nothing is dropped but copies of other services' journals, which are never kept for
    longer than they are needed; their hashes stay. Returns the number of bytes that became free.
    """
    needed = needed_of(store, newest)
    if limit is None and not needed.copies:
        return 0
    between = [number for number, spec in store.sessions() if not is_run(spec)]
    held = [(n, segment) for n in between for segment in store.segments(n, held=True)]
    copies: list[tuple[int, Segment]] = []
    own: list[tuple[int, Segment]] = []
    for number, segment in held:
        if droppable(segment, number, newest, needed):
            (copies if segment.source in needed.copies else own).append((number, segment))
    excess = sum(segment.size for _, segment in held) - (limit or 0)
    freed = 0
    for number, segment in copies:
        freed += drop(store, number, segment, addressed)
    if limit is not None:
        for number, segment in own:
            if freed >= excess:
                break
            freed += drop(store, number, segment, addressed)
    return freed


def drop(store: JournalStore, session: int, segment: Segment, addressed: Addressed | None) -> int:
    """Drop the entries of a segment, and of those before it in the same journal.

    It is recorded first whom they were addressed to. Returns the number of bytes that became free.
    """
    if addressed is not None:
        _note_addressed(store, session, segment, addressed)
    return store.drop(session, segment.source, segment.last)


def last_addressed(store: JournalStore, session: int, source: str, to: str) -> int:
    """Return the newest dropped entry of a journal that was addressed to the service ``to``.

    Returns 0 where there was none. Without a record, every dropped entry may have been.
    """
    document = store.document(ADDRESSED, _document_name(session, source))
    newest: dict[str, int] = json.loads(document) if document is not None else {_ANY_SERVICE: 2**62}
    return max(newest.get(to, 0), newest.get(_ANY_SERVICE, 0))


def _note_addressed(
    store: JournalStore, session: int, segment: Segment, addressed: Addressed
) -> None:
    name = _document_name(session, segment.source)
    document = store.document(ADDRESSED, name)
    newest: dict[str, int] = json.loads(document) if document is not None else {}
    try:
        entries = store.read(
            session, segment.source, segment.first - 1, segment.last - segment.first + 1
        )
        newest |= addressed(segment.source, entries)
    except EntriesLost:
        # The entries cannot be read, so that any service may have been addressed.
        newest[_ANY_SERVICE] = segment.last
    store.put(ADDRESSED, name, json.dumps(newest).encode())


def _document_name(session: int, source: str) -> str:
    return f"{session}/{source}"
