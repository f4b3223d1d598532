"""One session in a process: its kernel, its journals, its projections, and how it comes back."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from typing import Any, NamedTuple

from trading.hosting import snapshot as snapshots
from trading.hosting.journal import StoredJournal
from trading.hosting.session import Session
from trading.hosting.store import Head, JournalStore, Snapshot, Written
from trading.messages import Message
from trading.runtime.component import Component
from trading.runtime.journal import RECEIVED, kind_of
from trading.runtime.kernel import Kernel, Outbound, Tap
from trading.runtime.replay import received

log = logging.getLogger(__name__)

_PAGE = 4096


class Published(NamedTuple):
    message: Any
    now: int


class CannotRecover(Exception):
    """The journals do not lead to what they say: another version wrote them, or somebody else."""


class LiveSession:
    """``pending``: entries that are decided and not durable yet; ``outbox``: messages that
    listeners get with them.
    """

    def __init__(
        self,
        session: Session,
        number: int,
        store: JournalStore,
        components: Sequence[Component],
        projections: dict[str, Any],
        published: frozenset[type[Message]],
        *,
        auditor: str = "",
        outbound: Outbound | None = None,
    ) -> None:
        self.session = session
        self.number = number
        self.projections = projections
        self.pending: list[Written] = []
        self.outbox: list[Published] = []
        self.writing = False
        self.snapshot_wanted = False
        self.entries_since_snapshot = 0
        self._store = store
        self._components = components
        self._published = published
        self._auditor = auditor
        self._outbound = outbound
        self._replaying = False
        self.kernel: Kernel

    def begin(self) -> None:
        """Open the session: every component gets its Start."""
        self.kernel = self._kernel({}, started=False)

    def recover(self) -> None:
        """Be as the journals say: the newest snapshot that is of use, and what came after it.
        Raises CannotRecover when the same messages do not lead to the same entries.
        """
        kept = self._store.snapshot(self.number)
        heads: Mapping[str, Head] = {}
        state: dict[str, Any] | None = None
        if kept is not None:
            try:
                state = snapshots.load(kept.blob)
                heads = kept.heads
            except snapshots.SnapshotUnusable as error:
                log.warning("snapshot left aside, replaying from the start: %s", error)
        self.kernel = self._kernel(heads, started=True)
        if state is not None:
            self.kernel.thaw(state["kernel"])
            self.projections = state["projections"]
            self.kernel.retap(self._taps())
        names = list(self.kernel.journals)
        wanted = {name: self._store.head(self.number, name) for name in names}
        self._replaying = True
        if any(head.length for head in wanted.values()):
            self.kernel.replay(self._received(names, heads))
        else:
            self.begin()
        self._replaying = False
        for name, head in wanted.items():
            journal = self.kernel.journals[name]
            if head.length and (journal.length, journal.head) != head:
                raise CannotRecover(
                    f"{name}: replay ends at entry {journal.length}, the journal at {head.length};"
                    " it was written by another version, or changed. Start with fresh data"
                )
        if any(head.length for head in wanted.values()):
            self.pending.clear()

    def take(self) -> tuple[list[Written], list[Published]]:
        """What is to be written now, and told afterwards; both leave the session's lists."""
        entries = self.pending[:]
        self.pending.clear()
        outbox, self.outbox = self.outbox, []
        self.entries_since_snapshot += len(entries)
        return entries, outbox

    def freeze(self) -> Snapshot:
        """The state right now; belongs to the entries decided so far."""
        self.snapshot_wanted = False
        self.entries_since_snapshot = 0
        state = {"kernel": self.kernel.frozen(), "projections": self.projections}
        heads = {n: Head(j.length, j.head) for n, j in self.kernel.journals.items()}
        return Snapshot(heads, snapshots.dump(state))

    def _kernel(self, heads: Mapping[str, Head], *, started: bool) -> Kernel:
        def journal(name: str) -> StoredJournal:
            head = heads.get(name, Head())
            return StoredJournal(name, self._store, self.number, self.pending, head)

        return Kernel(
            self._components,
            start=self.session.plan.start,
            run_id=self.session.journal_id,
            auditor=self._auditor,
            taps=self._taps(),
            journal=journal,
            outbound=self._send_away if self._outbound is not None else None,
            started=started,
        )

    def _send_away(self, source: str, to: str, message: Any) -> None:
        if self._outbound is not None and not self._replaying:
            self._outbound(source, to, message)

    def _taps(self) -> dict[type[Message], Tap]:
        watchers: dict[type[Message], list[Callable[[Any, int], None]]] = {}
        for projection in self.projections.values():
            for kind, see in projection.taps().items():
                watchers.setdefault(kind, []).append(see)
        for kind in self._published:
            watchers.setdefault(kind, []).append(self._publish)
        return {kind: _all(seen) for kind, seen in watchers.items()}

    def _publish(self, message: Any, now: int) -> None:
        if not self._replaying:
            self.outbox.append(Published(message, now))

    def _received(
        self, names: Sequence[str], heads: Mapping[str, Head]
    ) -> Iterator[tuple[int, str, list[Message]]]:
        """What all components received, in the order in which they did."""

        def of(index: int, name: str) -> Iterator[tuple[int, int, str, list[Message]]]:
            seq = heads.get(name, Head()).length
            while page := self._store.read(self.number, name, seq, _PAGE):
                for entry in page:
                    if kind_of(entry.body) == RECEIVED:
                        now, messages = received(entry)
                        yield now, index, name, messages
                seq += len(page)

        streams = [of(index, name) for index, name in enumerate(names)]
        for now, _, name, messages in merge(*streams, key=lambda found: found[:2]):
            yield now, name, messages


def _all(watchers: list[Callable[[Any, int], None]]) -> Tap:
    if len(watchers) == 1:
        return watchers[0]

    def tap(message: Any, now: int) -> None:
        for watch in watchers:
            watch(message, now)

    return tap
