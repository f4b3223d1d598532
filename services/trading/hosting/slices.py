"""Journals in slices of time: what the auditor is fed when it reads them from a store.

An auditor in the ecosystem's own process reads all journals up to the same moment, again and again.
One that reads them from elsewhere is fed the same way, so that it never judges a claim before it
has seen what the claim stands on.
"""

from collections.abc import Iterator, Mapping

from trading.messages.audit import JournalBatch, JournalEntry
from trading.runtime.agenda import ACTING_ORDER, OUTSIDE
from trading.runtime.journal import time_of
from trading.units import MINUTE


class _Reader:
    """One journal's entries after ``after``, with a look at the next one."""

    def __init__(self, source: str, after: int, entries: Iterator[JournalEntry]) -> None:
        self.source = source
        self.after = after
        self._entries = entries
        self.next = next(entries, None)

    def before(self, time: int) -> list[JournalEntry]:
        taken = []
        while self.next is not None and time_of(self.next.body) < time:
            taken.append(self.next)
            self.next = next(self._entries, None)
        self.after += len(taken)
        return taken


def slices(
    journals: Mapping[str, tuple[int, Iterator[JournalEntry]]], every: int = MINUTE
) -> Iterator[JournalBatch]:
    """Yield the entries of all journals in batches that together never skip more than ``every``
    microseconds of simulated time. ``journals``: by source, the sequence number after which the
    entries come, and the entries.
    """
    readers = [_Reader(source, after, entries) for source, (after, entries) in journals.items()]
    readers.sort(key=lambda reader: (ACTING_ORDER.get(reader.source, OUTSIDE), reader.source))
    while waiting := [time_of(r.next.body) for r in readers if r.next is not None]:
        boundary = min(waiting) - min(waiting) % every + every
        for reader in readers:
            after = reader.after
            if taken := reader.before(boundary):
                yield JournalBatch(reader.source, after, tuple(taken))
