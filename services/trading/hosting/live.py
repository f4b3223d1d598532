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
from trading.messages.audit import BatchRead, JournalBatch
from trading.messages.base import Delivered
from trading.runtime.component import Component
from trading.runtime.journal import RECEIVED, kind_of
from trading.runtime.kernel import Kernel, Tap
from trading.runtime.network import Network
from trading.runtime.replay import received

log = logging.getLogger(__name__)

_PAGE = 4096


class Published(NamedTuple):
    message: Any
    now: int


class Outward(NamedTuple):
    """A message for a component in another process. ``source``: who sends it, ``seq``: of that
    one's journal when it was sent, its own entry included.
    """

    source: str
    seq: int
    to: str
    message: Any
    arrival: int


class CannotRecover(Exception):
    """The journals do not lead to what they say: another version wrote them, or somebody else."""


class LiveSession:
    """``pending``: entries that are decided and not durable yet; ``outbox``: messages that
    listeners get with them, ``outward`` those for other processes. ``alone``: the components'
    counterparts are elsewhere. ``heard``: by peer, up to where its journal has arrived here, and
    ``marked``: when that is decided upon.
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
        alone: bool = False,
        network: Network | None = None,
    ) -> None:
        self.session = session
        self.number = number
        self.projections = projections
        self.pending: list[Written] = []
        self.outbox: list[Published] = []
        self.outward: list[Outward] = []
        self.heard: dict[str, int] = {}
        self.marked: dict[str, int] = {}
        self.writing = False
        self.snapshot_wanted = False
        self.entries_since_snapshot = 0
        self._store = store
        self._components = components
        self._published = published
        self._auditor = auditor
        self._alone = alone
        self._network = network
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
            self.heard = state["heard"]
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

    def take(self) -> tuple[list[Written], list[Published], list[Outward]]:
        """What is to be written now, told and sent afterwards; all leave the session's lists."""
        entries = self.pending[:]
        self.pending.clear()
        outbox, self.outbox = self.outbox, []
        outward, self.outward = self.outward, []
        self.entries_since_snapshot += len(entries)
        return entries, outbox, outward

    def freeze(self) -> Snapshot:
        """The state right now; belongs to the entries decided so far."""
        self.snapshot_wanted = False
        self.entries_since_snapshot = 0
        state = {
            "kernel": self.kernel.frozen(),
            "projections": self.projections,
            "heard": self.heard,
        }
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
            outbound=self._send_away if self._alone else None,
            network=self._network,
            started=started,
        )

    def _send_away(self, source: str, to: str, message: Any, arrival: int) -> None:
        if not self._replaying:
            seq = self.kernel.journals[source].length
            self.outward.append(Outward(source, seq, to, message, arrival))

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
                        yield now, index, name, self._again(messages)
                seq += len(page)

        streams = [of(index, name) for index, name in enumerate(names)]
        for now, _, name, messages in merge(*streams, key=lambda found: found[:2]):
            yield now, name, messages

    def _again(self, messages: list[Message]) -> list[Message]:
        """As they were received: what the auditor had read comes from where it keeps it."""
        found: list[Message] = []
        for message in messages:
            if isinstance(message, BatchRead):
                read = self._store.read(self.number, message.source, message.after, message.count)
                found.append(JournalBatch(message.source, message.after, tuple(read)))
            else:
                found.append(message)
                if isinstance(message, Delivered):
                    self.heard[message.peer] = max(self.heard.get(message.peer, 0), message.seq)
        return found


def _all(watchers: list[Callable[[Any, int], None]]) -> Tap:
    if len(watchers) == 1:
        return watchers[0]

    def tap(message: Any, now: int) -> None:
        for watch in watchers:
            watch(message, now)

    return tap
