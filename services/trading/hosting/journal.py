"""The journal of one component in a live process.

New entries go to a list that the store is written from; the newest ones also stay in memory, so
that readers which follow the journal rarely need the store.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from trading.hosting.store import EntryToWrite, Head, JournalStore
from trading.messages import Message
from trading.messages.audit import JournalEntry
from trading.runtime.journal import encode_entry, time_of

#: Newest entries of a journal that stay in memory, at least.
RECENT = 8192
#: Entries that are read from the store at once.
_PAGE = 2048


class StoredJournal:
    """Appends the entries of ``source`` to its hash chain and hands them over to the store.

    ``pending`` is the list that the store is written from. All journals of a process share it, so
    that it holds their entries in the order in which they were decided. ``head`` is the point
    in the journal after which this process continues.
    """

    def __init__(
        self,
        source: str,
        store: JournalStore,
        session: int,
        pending: list[EntryToWrite],
        head: Head = Head(),  # noqa: B008 - immutable
    ) -> None:
        self.source = source
        self.head = head.hash
        self.length = head.length
        self._store = store
        self._session = session
        self._pending = pending
        self._recent: list[JournalEntry] = []

    def append(self, now: int, kind: str, payload: Message | Sequence[Message]) -> bytes:
        """Append an entry of the simulated time ``now``, in microseconds; return its hash."""
        seq = self.length + 1
        body = encode_entry(seq, now, kind, payload)
        self.head = head = sha256(self.head + body).digest()
        self.length = seq
        self._pending.append(EntryToWrite(self.source, seq, body, head))
        recent = self._recent
        recent.append(JournalEntry(body, head))
        if len(recent) >= 2 * RECENT:
            del recent[:RECENT]
        return head

    def head_before(self, time: int) -> Head:
        """Return the length and the last hash of the part of the journal before ``time``.

        Only entries in memory are examined. The hash is empty where all of them are younger.
        """
        length = self.length
        for entry in reversed(self._recent):
            if time_of(entry.body) < time:
                return Head(length, entry.hash)
            length -= 1
        return Head(length) if length == 0 else Head(length, b"")

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """Yield the entries after the sequence number ``seq``.

        Entries that are no longer in memory are read from the store, a page at a time.
        """
        first = self.length - len(self._recent)
        while seq < first:
            page = self._store.read(self._session, self.source, seq, min(_PAGE, first - seq))
            if not page:
                return
            yield from page
            seq += len(page)
            first = self.length - len(self._recent)
        yield from self._recent[seq - first :]
