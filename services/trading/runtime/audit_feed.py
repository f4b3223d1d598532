"""Decides which journal entries the auditor of an in-process ecosystem receives, and when.

The auditor is fed beside the messages: at every full period of simulated time it gets the entries
that the journals have gained since. The moments follow from the instants alone, so a replay of the
journals feeds the auditor at the same moments.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from trading.messages.audit import AuditQuery, JournalBatch
from trading.runtime.agenda import Inbox
from trading.runtime.journal import Journal


class AuditFeed:
    """Tracks how far the auditor has read each of ``journals``, and when it is fed next.

    ``auditor`` is the index of the auditor's own journal, which it does not read, or -1 where no
    auditor is fed by the kernel. ``start`` and ``period`` are simulated microseconds.
    """

    def __init__(
        self, journals: Sequence[Journal], auditor: int, *, start: int, period: int
    ) -> None:
        self._journals = journals
        self._auditor = auditor
        self._period = period
        #: Number of entries read so far, by index of the journal.
        self.positions = [0] * len(journals)
        #: Simulated time, in microseconds, from which on the auditor is fed again.
        self.next_at = start + period

    def schedule_after(self, now: int) -> None:
        """Schedule the next feeding for the end of the period that ``now`` is in."""
        self.next_at = now - now % self._period + self._period

    def batches(self, heads: Mapping[str, int] | None = None) -> Iterator[JournalBatch]:
        """Yield one batch for each journal that has entries which the auditor has not read.

        ``heads`` limits the reading to the given sequence number of each journal; None reads
        everything. A journal with fewer entries than its head says is damaged: the batch then has
        all that there is, and the auditor notices.
        """
        if self._auditor < 0:
            return
        for index, journal in enumerate(self._journals):
            position = self.positions[index]
            head = journal.length if heads is None else heads.get(journal.source, 0)
            if index != self._auditor and head > position:
                unread = journal.after(position)
                entries = tuple(unread if heads is None else islice(unread, head - position))
                self.positions[index] = head
                yield JournalBatch(journal.source, position, entries)

    def complete_queries(self, inbox: Inbox) -> Iterator[JournalBatch]:
        """Yield the batches that the auditor must have read before the queries in its ``inbox``,
        and write into each query the journals' heads, which stand for everything before this
        instant. In a replay the query has the heads already, and reading stops there.
        """
        for position, message in enumerate(inbox):
            if isinstance(message, AuditQuery):
                heads = message.heads or {
                    journal.source: journal.length
                    for index, journal in enumerate(self._journals)
                    if index != self._auditor
                }
                yield from self.batches(message.heads or None)
                inbox[position] = msgspec.structs.replace(message, heads=heads)
