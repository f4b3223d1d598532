"""Reads from the journals what the components of a session received, to replay it."""

from collections.abc import Callable, Iterator, Mapping
from heapq import merge

from trading.hosting.parts import JournalAuditor
from trading.hosting.slices import time_slices
from trading.hosting.store import Head, JournalStore
from trading.messages import Message
from trading.messages.audit import AuditQuery, BatchRead, JournalBatch, JournalEntry
from trading.messages.base import Delivered
from trading.runtime.journal import RECEIVED, kind_of
from trading.runtime.kernel import Kernel
from trading.runtime.replay import decode_received

#: Journal entries that are read from the store at once.
_PAGE = 4096


class JournalReplay:
    """Reads the journals of the session ``number`` for a replay on ``kernel``.

    What the auditor read beside its messages is fed to it: ``auditor`` returns it where there is
    one. ``received_seq`` is brought up to date, which maps each peer to the sequence number up to
    which its journal has arrived. ``distributed`` says that other components run in other
    processes.
    """

    def __init__(
        self,
        store: JournalStore,
        number: int,
        kernel: Kernel,
        auditor: Callable[[], JournalAuditor],
        received_seq: dict[str, int],
        *,
        distributed: bool,
    ) -> None:
        self._store = store
        self._number = number
        self._kernel = kernel
        self._auditor = auditor
        self._received_seq = received_seq
        self._distributed = distributed

    def received_in_order(
        self, stored_names: Mapping[str, str], heads: Mapping[str, Head]
    ) -> Iterator[tuple[int, str, list[Message]]]:
        """Yield what all components received after ``heads``, in the original order.

        ``stored_names`` has the name under which the store has each component's journal. Raises
        EntriesLost, StoreUnavailable.
        """

        def received_by(index: int, name: str) -> Iterator[tuple[int, int, str, list[Message]]]:
            seq = heads.get(name, Head()).length
            while page := self._store.read(self._number, stored_names[name], seq, _PAGE):
                for entry in page:
                    if kind_of(entry.body) == RECEIVED:
                        now, messages = decode_received(entry)
                        yield now, index, name, messages
                seq += len(page)

        streams = [received_by(index, name) for index, name in enumerate(stored_names)]
        for now, _, name, messages in merge(*streams, key=lambda item: item[:2]):
            yield now, name, self._rehydrate(messages)

    def _rehydrate(self, messages: list[Message]) -> list[Message]:
        """Return the messages as they were received: a BatchRead stands for entries that the
        auditor read, which are in the store.
        """
        restored: list[Message] = []
        for message in messages:
            if isinstance(message, AuditQuery) and self._distributed:
                self._feed_auditor(message.heads)
            if isinstance(message, BatchRead):
                self._feed_auditor({message.source: message.after})
                entries = self._store.read(
                    self._number, message.source, message.after, message.count
                )
                restored.append(JournalBatch(message.source, message.after, tuple(entries)))
            else:
                restored.append(message)
                if isinstance(message, Delivered):
                    self._received_seq[message.peer] = max(
                        self._received_seq.get(message.peer, 0), message.seq
                    )
        return restored

    def _feed_auditor(self, heads: Mapping[str, int]) -> None:
        """Let the auditor read its copies of the journals up to ``heads``."""
        auditor = self._auditor()

        def stored_entries(source: str, after: int, head: int) -> Iterator[JournalEntry]:
            while after < head and (
                page := self._store.read(self._number, source, after, min(_PAGE, head - after))
            ):
                yield from page
                after += len(page)

        positions = {source: auditor.read_to(source) for source in heads}
        journals = {
            s: (positions[s], stored_entries(s, positions[s], head)) for s, head in heads.items()
        }
        for batch in time_slices(journals):
            self._kernel.feed_auditor(batch)
