"""One component's journal in a live process: new entries wait for the store in order."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

from trading.hosting.store import Head, JournalStore, Written
from trading.messages import Message
from trading.messages.audit import JournalEntry
from trading.runtime.journal import encode_entry, time_of

#: Entries that are kept in memory, so that who reads along needs no store.
RECENT = 8192
_PAGE = 2048


class StoredJournal:
    """``pending``: the list, shared by all journals of a process, that the store is written from;
    in it the entries are in the order in which they were decided.
    """

    def __init__(
        self,
        source: str,
        store: JournalStore,
        session: int,
        pending: list[Written],
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
        seq = self.length + 1
        body = encode_entry(seq, now, kind, payload)
        self.head = head = sha256(self.head + body).digest()
        self.length = seq
        self._pending.append(Written(self.source, seq, body, head))
        recent = self._recent
        recent.append(JournalEntry(body, head))
        if len(recent) >= 2 * RECENT:
            del recent[:RECENT]
        return head

    def head_before(self, time: int) -> Head:
        """Length and last hash of what is from before ``time``. Looks at those in memory alone."""
        length = self.length
        for entry in reversed(self._recent):
            if time_of(entry.body) < time:
                return Head(length, entry.hash)
            length -= 1
        return Head(length) if length == 0 else Head(length, b"")

    def after(self, seq: int) -> Iterator[JournalEntry]:
        """Those that are no longer in memory come from the store, a page at a time."""
        first = self.length - len(self._recent)
        while seq < first:
            page = self._store.read(self._session, self.source, seq, min(_PAGE, first - seq))
            if not page:
                return
            yield from page
            seq += len(page)
            first = self.length - len(self._recent)
        yield from self._recent[seq - first :]
