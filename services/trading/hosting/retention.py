"""How much of the journals between runs is kept, and what may be dropped at all.

Journals of runs are evidence and stay until they are archived. Between runs the market only trades:
there the oldest segments lose their entries once more is kept than is wanted. Of the session that
goes on, nothing is dropped that its process reads when it comes back.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from trading.hosting.records import EntriesLost, Needed, Segment, decode_label
from trading.hosting.store import JournalStore
from trading.messages.audit import JournalEntry

#: Kind of the documents that say what a session's process reads when it comes back, and of those
#: that say up to where dropped entries were addressed to whom.
NEEDED = "needed"
ADDRESSED = "addressed"

#: Which services the entries of a journal go to: by service, the newest such entry.
Addressed = Callable[[str, Sequence[JournalEntry]], Mapping[str, int]]

#: Instead of a service: it is not known to whom.
_ANYBODY = "*"

_decode_needed = msgspec.json.Decoder(Needed).decode


def needed_from(after: Mapping[str, int], auditor: Any | None) -> Needed:
    """What is read when a session goes on from a snapshot: of the journals of its own components
    what comes ``after``, and what its ``auditor``, if it has one, has not read yet.
    """
    needed = dict(after)
    read: dict[str, int] = auditor.chains.lengths() if auditor is not None else {}
    for source, length in read.items():
        needed[source] = min(length, after.get(source, length))
    return Needed(needed, sorted(read.keys() - after.keys()))


def needed_of(store: JournalStore, session: int) -> Needed:
    """What the process of a session reads when it comes back; where none is known, everything."""
    kept = store.document(NEEDED, str(session))
    return _decode_needed(kept) if kept is not None else Needed({})


def keep_needed(store: JournalStore, session: int, needed: Needed) -> None:
    """Note what the session's process reads from now on, its snapshot being durable."""
    store.put(NEEDED, str(session), msgspec.json.encode(needed))


def is_run(spec: bytes) -> bool:
    """Is the session a run? One that cannot be read counts as one: what it has is kept."""
    try:
        return bool(decode_label(spec).run_id)
    except msgspec.DecodeError:
        return True


def droppable(segment: Segment, session: int, newest: int, needed: Needed) -> bool:
    """May the entries of a segment go without harm to the process? ``needed``: of ``newest``."""
    return session < newest or segment.last <= needed.after.get(segment.source, 0)


def retain(
    store: JournalStore, newest: int, limit: int | None, addressed: Addressed | None = None
) -> int:
    """Drop the oldest sealed entries from between runs until at most ``limit`` bytes of them are
    kept; None: keep all. Copies of other services' journals, whose hashes stay, are not kept for
    longer than they are needed. Returns the bytes that are free now.
    """
    needed = needed_of(store, newest)
    if limit is None and not needed.copies:
        return 0
    between = [number for number, spec in store.sessions() if not is_run(spec)]
    found = [(n, segment) for n in between for segment in store.segments(n, held=True)]
    copies: list[tuple[int, Segment]] = []
    own: list[tuple[int, Segment]] = []
    for number, segment in found:
        if droppable(segment, number, newest, needed):
            (copies if segment.source in needed.copies else own).append((number, segment))
    excess = sum(segment.size for _, segment in found) - (limit or 0)
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
    """Drop the entries of a segment and of those before it in its journal, after a note of whom
    they were addressed to. Returns the bytes that are free now.
    """
    if addressed is not None:
        _note_addressed(store, session, segment, addressed)
    return store.drop(session, segment.source, segment.last)


def last_addressed(store: JournalStore, session: int, source: str, to: str) -> int:
    """The newest of the dropped entries of a journal that was addressed to the service ``to``; 0
    where none was. Those of a journal that nobody has noted may have been.
    """
    kept = store.document(ADDRESSED, _name(session, source))
    known: dict[str, int] = json.loads(kept) if kept is not None else {_ANYBODY: 2**62}
    return max(known.get(to, 0), known.get(_ANYBODY, 0))


def _note_addressed(
    store: JournalStore, session: int, segment: Segment, addressed: Addressed
) -> None:
    name = _name(session, segment.source)
    kept = store.document(ADDRESSED, name)
    known: dict[str, int] = json.loads(kept) if kept is not None else {}
    try:
        entries = store.read(
            session, segment.source, segment.first - 1, segment.last - segment.first + 1
        )
        known |= addressed(segment.source, entries)
    except EntriesLost:
        # Nobody can know any more: whoever has not heard of all may have missed something.
        known[_ANYBODY] = segment.last
    store.put(ADDRESSED, name, json.dumps(known).encode())


def _name(session: int, source: str) -> str:
    return f"{session}/{source}"
