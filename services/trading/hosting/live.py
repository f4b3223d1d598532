"""One session in a process: its kernel, its journals, its projections, and how it comes back."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from typing import Any, NamedTuple

from trading.hosting import snapshot as snapshots
from trading.hosting.inputs import Arrived
from trading.hosting.journal import StoredJournal
from trading.hosting.retention import needed_from
from trading.hosting.session import Session
from trading.hosting.slices import slices
from trading.hosting.store import EntriesLost, Head, JournalStore, Snapshot, Written
from trading.hosting.streams import Frame, Stream
from trading.messages import Message
from trading.messages.audit import AuditQuery, BatchRead, JournalBatch, JournalEntry
from trading.messages.base import Delivered
from trading.runtime.component import Component
from trading.runtime.delivery import Tap
from trading.runtime.journal import RECEIVED, kind_of
from trading.runtime.kernel import Kernel
from trading.runtime.network import Network
from trading.runtime.replay import received
from trading.topology import AUDIT_CORRELATOR, SERVICES, TEST_COORDINATOR

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
    counterparts are elsewhere; in virtual time ``streams`` has what was sent to each of them.
    ``heard``: by peer, up to where its journal has arrived here, and ``marked``: when that is
    decided upon. ``snapshot_key``: authenticates snapshots.
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
        snapshot_key: bytes,
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
        self.streams: dict[str, Stream] = {}
        self.in_lockstep = alone and session.virtual
        #: Was there virtual time before? What was heard then has no number in anybody's journal.
        self.left_lockstep = False
        if self.in_lockstep:
            hosted = {component.name for component in components}
            self.streams = {name: Stream() for name in SERVICES if name not in hosted}
        self.heard: dict[str, int] = {}
        self.marked: dict[str, int] = {}
        self.writing = False
        self.snapshot_wanted = False
        self.entries_since_snapshot = 0
        self._store = store
        self._components = components
        self._published = published
        self._snapshot_key = snapshot_key
        self._auditor = auditor
        self._alone = alone
        self._network = network
        self._replaying = False
        self.kernel: Kernel

    def begin(self) -> None:
        """Open the session: every component gets its Start."""
        self.kernel = self._kernel({}, started=False)

    def recover(self, *, from_start: bool = False) -> None:
        """Be as the journals say: the newest snapshot that is of use, and what came after it.
        ``from_start``: without a snapshot. Raises CannotRecover when the same messages do not lead
        to the same entries.
        """
        kept = None if from_start else self._store.snapshot(self.number)
        heads: Mapping[str, Head] = {}
        state: dict[str, Any] | None = None
        unusable = ""
        if kept is not None:
            try:
                key, blob = self._snapshot_key, kept.blob
                state = snapshots.load(snapshots.verified(blob, key, self.number, kept.heads))
                heads = kept.heads
            except snapshots.SnapshotUnusable as error:
                log.warning("snapshot left aside, replaying from the start: %s", error)
                unusable = f" that it can use ({error})"
        self.kernel = self._kernel(heads, started=True)
        if state is not None:
            self.kernel.thaw(state["kernel"])
            self.projections = state["projections"]
            self.heard = state["heard"]
            self.streams = state["streams"]
            self.in_lockstep = state["in_lockstep"]
            self.left_lockstep = state["left_lockstep"]
            self.kernel.retap(self._taps())
        names = list(self.kernel.journals)
        wanted = {name: self._store.head(self.number, self.stored_as(name)) for name in names}
        self._replaying = True
        try:
            if any(head.length for head in wanted.values()):
                self.kernel.replay(self._received(names, heads))
            else:
                self.begin()
        except EntriesLost as error:
            since = "goes on from the newest snapshot" if state is not None else "has no snapshot"
            raise CannotRecover(
                f"{error}. This process {since}{unusable}, and needs them to come back; without"
                " them only fresh data lets it start"
            ) from error
        self._replaying = False
        if self.in_lockstep:
            self.kernel.lose_arrivals()
        for name, head in wanted.items():
            journal = self.kernel.journals[name]
            if head.length and (journal.length, journal.head) != head:
                raise CannotRecover(
                    f"{name}: replay ends at entry {journal.length}, the journal at {head.length};"
                    " it was written by another version, or changed. Start with fresh data"
                )
        if any(head.length for head in wanted.values()):
            self.pending.clear()

    @property
    def run_over(self) -> bool:
        """Has the run of this session come to its end? Never where no coordinator is hosted."""
        hosted = (c for c in self.kernel.hosted if c.name == TEST_COORDINATOR)
        return any(getattr(coordinator, "done", False) for coordinator in hosted)

    def take(self) -> tuple[list[Written], list[Published], list[Outward]]:
        """What is to be written now, told and sent afterwards; all leave the session's lists."""
        entries = self.pending[:]
        self.pending.clear()
        outbox, self.outbox = self.outbox, []
        outward, self.outward = self.outward, []
        self.entries_since_snapshot += len(entries)
        return entries, outbox, outward

    def deliver(self, peer: str, arrived: Sequence[Arrived], soonest: int) -> None:
        """What came over a link from ``peer``, in its order, arrives, but not before ``soonest``.
        With the last of what arrives at one moment it is noted up to where the peer's journal has
        been heard: both are kept, or none.
        """
        latest = max(soonest, self.marked.get(peer, 0))
        seq = 0
        for item in arrived:
            at = max(soonest, item.arrival)
            if at > latest:
                self.mark(peer, seq, latest)
                latest = at
            seq = max(seq, item.seq)
            if item.message is not None:
                self.kernel.send(item.to, item.message, at)
        self.mark(peer, seq, latest)

    def mark(self, peer: str, seq: int, at: int) -> None:
        """Note at ``at`` that the peer's journal has been heard up to ``seq``."""
        if seq > self.heard.get(peer, 0):
            self.heard[peer] = seq
            self.marked[peer] = at
            self.kernel.send(self.kernel.hosted[0].name, Delivered(peer, seq), at)

    def freeze(self) -> Snapshot:
        """The state right now; belongs to the entries decided so far."""
        self.snapshot_wanted = False
        self.entries_since_snapshot = 0
        state = {
            "kernel": self.kernel.frozen(),
            "projections": self.projections,
            "heard": self.heard,
            "streams": self.streams,
            "in_lockstep": self.in_lockstep,
            "left_lockstep": self.left_lockstep,
        }
        heads = {n: Head(j.length, j.head) for n, j in self.kernel.journals.items()}
        after = {self.stored_as(name): head.length for name, head in heads.items()}
        auditor = self.kernel.component(self._auditor) if self._auditor else None
        blob = snapshots.dump(state)
        authenticated = snapshots.authenticate(blob, self._snapshot_key, self.number, heads)
        return Snapshot(heads, authenticated, needed_from(after, auditor))

    def durable_heads(self) -> dict[str, Head]:
        """Return the heads of the journals that the session was recovered from, by the names that
        the store has for them; none where it has only just begun.
        """
        journals = {} if self.pending else self.kernel.journals
        return {self.stored_as(n): Head(j.length, j.head) for n, j in journals.items()}

    def journal(self, name: str) -> StoredJournal:
        """A hosted component's journal. KeyError for one that is elsewhere."""
        found = self.kernel.journals[name]
        assert isinstance(found, StoredJournal)  # noqa: S101 - made in _kernel
        return found

    def stored_as(self, name: str) -> str:
        """Under which name a component's journal is kept. An auditor that is alone keeps everybody
        else's journals, too, and among them that of the network in the coordinator's process.
        """
        beside = self._alone and self._auditor and name == Network.name
        return f"{name} here" if beside else name

    def _kernel(self, heads: Mapping[str, Head], *, started: bool) -> Kernel:
        def journal(name: str) -> StoredJournal:
            head = heads.get(name, Head())
            source = self.stored_as(name)
            return StoredJournal(source, self._store, self.number, self.pending, head)

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
            sorted_inboxes=self.in_lockstep,
        )

    def leave_lockstep(self) -> None:
        """From now on time goes by the wall clock; what has arrived keeps its time."""
        self.in_lockstep = False
        self.left_lockstep = True
        self.streams = {}
        self.kernel.follow_arrivals()
        self.snapshot_wanted = True

    def _send_away(self, source: str, to: str, message: Any, arrival: int) -> None:
        if self.in_lockstep:
            # Also in a replay: whoever lost it is going to ask for it. Each process has the
            # network as the others have it, so only the coordinator's own speaks for it.
            if source != Network.name:
                frame = Frame(self.kernel.now, arrival, to, message)
                for peer in self.streams if to == Network.name else (to,):
                    self.streams[peer].put(frame)
        elif not self._replaying:
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
            while page := self._store.read(self.number, self.stored_as(name), seq, _PAGE):
                for entry in page:
                    if kind_of(entry.body) == RECEIVED:
                        now, messages = received(entry)
                        yield now, index, name, messages
                seq += len(page)

        streams = [of(index, name) for index, name in enumerate(names)]
        for now, _, name, messages in merge(*streams, key=lambda found: found[:2]):
            yield now, name, self._again(messages)

    def _again(self, messages: list[Message]) -> list[Message]:
        """As they were received: what the auditor had read comes from where it keeps it."""
        found: list[Message] = []
        for message in messages:
            if isinstance(message, AuditQuery) and self._alone:
                self._read_again(message.heads)
            if isinstance(message, BatchRead):
                self._read_again({message.source: message.after})
                read = self._store.read(self.number, message.source, message.after, message.count)
                found.append(JournalBatch(message.source, message.after, tuple(read)))
            else:
                found.append(message)
                if isinstance(message, Delivered):
                    self.heard[message.peer] = max(self.heard.get(message.peer, 0), message.seq)
        return found

    def _read_again(self, heads: Mapping[str, int]) -> None:
        """Let the auditor read the journals that it keeps, up to ``heads``."""
        auditor: Any = self.kernel.component(AUDIT_CORRELATOR)

        def kept(source: str, after: int, head: int) -> Iterator[JournalEntry]:
            while after < head and (
                page := self._store.read(self.number, source, after, min(_PAGE, head - after))
            ):
                yield from page
                after += len(page)

        read = {source: auditor.read_to(source) for source in heads}
        journals = {s: (read[s], kept(s, read[s], head)) for s, head in heads.items()}
        for batch in slices(journals):
            self.kernel.feed(batch)


def _all(watchers: list[Callable[[Any, int], None]]) -> Tap:
    if len(watchers) == 1:
        return watchers[0]

    def tap(message: Any, now: int) -> None:
        for watch in watchers:
            watch(message, now)

    return tap
