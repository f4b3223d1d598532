"""Merges stored journals in slices of simulated time, in the form in which an auditor reads them.

An auditor in the process of all services reads their journals regularly, all up to the same
instant. An auditor that reads them from elsewhere gets them in the same way, so that it never
examines a claim before the entries that the claim depends on.
"""

from collections.abc import Iterator, Mapping

from trading.messages.audit import JournalBatch, JournalEntry
from trading.runtime.agenda import ACTING_ORDER, OUTSIDE_RANK
from trading.runtime.journal import time_of
from trading.units import MINUTE


class _Reader:
    """Reads the entries of one journal after number ``after``; ``next`` is the one to come."""

    def __init__(self, source: str, after: int, entries: Iterator[JournalEntry]) -> None:
        self.source = source
        self.after = after
        self._entries = entries
        self.next = next(entries, None)

    def before(self, time: int) -> list[JournalEntry]:
        """Remove and return the entries from before the simulated time ``time``."""
        entries = []
        while self.next is not None and time_of(self.next.body) < time:
            entries.append(self.next)
            self.next = next(self._entries, None)
        self.after += len(entries)
        return entries


def time_slices(
    journals: Mapping[str, tuple[int, Iterator[JournalEntry]]], every: int = MINUTE
) -> Iterator[JournalBatch]:
    """Yield the entries of all journals in batches.

    Each round of batches, one of every journal, covers at most ``every`` microseconds of simulated
    time. ``journals`` maps the sources to the sequence number after which the entries come, and
    the entries.
    """
    readers = [_Reader(source, after, entries) for source, (after, entries) in journals.items()]
    readers.sort(key=lambda reader: (ACTING_ORDER.get(reader.source, OUTSIDE_RANK), reader.source))
    while times := [time_of(r.next.body) for r in readers if r.next is not None]:
        boundary = min(times) - min(times) % every + every
        for reader in readers:
            after = reader.after
            if entries := reader.before(boundary):
                yield JournalBatch(reader.source, after, tuple(entries))
