"""One session of a process: its kernel, journals and projections, and its recovery.

A process recovers by loading the newest usable snapshot and replaying what its components received
afterwards. The hash chains of the journals must come out as the store has them.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from typing import Any, NamedTuple, TypeVar

from trading.hosting import snapshot as snapshots
from trading.hosting.inputs import InboundMessage
from trading.hosting.journal import StoredJournal
from trading.hosting.parts import JournalAuditor, NotInSession, part_of_class
from trading.hosting.retention import needed_from
from trading.hosting.session import Session
from trading.hosting.slices import time_slices
from trading.hosting.store import EntriesLost, EntryToWrite, Head, JournalStore, Snapshot
from trading.hosting.streams import Frame, Stream
from trading.messages import Message
from trading.messages.audit import AuditQuery, BatchRead, JournalBatch, JournalEntry
from trading.messages.base import Delivered
from trading.runtime.component import Component
from trading.runtime.delivery import Tap
from trading.runtime.journal import RECEIVED, kind_of
from trading.runtime.kernel import Kernel
from trading.runtime.network import Network
from trading.runtime.replay import decode_received
from trading.topology import SERVICES, TEST_COORDINATOR

log = logging.getLogger(__name__)

_Part = TypeVar("_Part")

#: Journal entries that are read from the store at once.
_PAGE = 4096


class PublishedMessage(NamedTuple):
    """A message for listeners, with the simulated time, in microseconds, at which it was sent."""

    message: Any
    now: int


class OutboundMessage(NamedTuple):
    """A message for the component ``to``, which runs in another process.

    ``seq`` is the length of the journal of ``source``, the sender, at the time of sending, with
    the entry of the message included. ``arrival`` is in simulated microseconds.
    """

    source: str
    seq: int
    to: str
    message: Any
    arrival: int


class CannotRecover(Exception):
    """The journals cannot be replayed to their own heads: another version wrote them, or they were
    changed.
    """


class LiveSession:
    """Holds the components of one session and everything that belongs to them in this process.

    ``pending`` holds entries that are decided but not durable yet, ``outbox`` the messages for
    listeners that become visible with them, and ``outbound`` the messages for other processes.
    ``received_seq`` maps each peer to the sequence number up to which its journal has arrived
    here, and ``receipt_times`` to the simulated time at which that is recorded. With
    ``snapshot_requested`` the writer adds a snapshot to its next write.

    ``number`` is the session's number in the store. ``auditor`` names the hosted component that
    reads journals; empty if there is none. With ``distributed`` the others run in other
    processes; in virtual time ``streams`` holds what was sent to each of them. ``snapshot_key``
    authenticates snapshots.
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
        distributed: bool = False,
        network: Network | None = None,
    ) -> None:
        self.session = session
        self.number = number
        self.projections = projections
        self.pending: list[EntryToWrite] = []
        self.outbox: list[PublishedMessage] = []
        self.outbound: list[OutboundMessage] = []
        self.streams: dict[str, Stream] = {}
        self.in_lockstep = distributed and session.virtual
        #: Was the session in lockstep before? Messages received then have no sequence number of
        #: the sender's journal.
        self.left_lockstep = False
        if self.in_lockstep:
            hosted = {component.name for component in components}
            self.streams = {name: Stream() for name in SERVICES if name not in hosted}
        self.received_seq: dict[str, int] = {}
        self.receipt_times: dict[str, int] = {}
        self.writing = False
        self.snapshot_requested = False
        self.entries_since_snapshot = 0
        self._store = store
        self._components = components
        self._published = published
        self._snapshot_key = snapshot_key
        self._auditor = auditor
        self._distributed = distributed
        self._network = network
        self._replaying = False
        self.kernel: Kernel

    def begin(self) -> None:
        """Build the kernel and send every component its Start."""
        self.kernel = self._new_kernel({}, started=False)

    def recover(self, *, from_start: bool = False) -> None:
        """Restore the state that the journals describe, from the newest usable snapshot.

        With ``from_start`` no snapshot is used. Raises CannotRecover when the replay does not
        reproduce the journals, or entries that it needs are lost.
        """
        stored = None if from_start else self._store.snapshot(self.number)
        heads: Mapping[str, Head] = {}
        state: dict[str, Any] | None = None
        unusable = ""
        if stored is not None:
            try:
                key, blob = self._snapshot_key, stored.blob
                state = snapshots.load(snapshots.verified(blob, key, self.number, stored.heads))
                heads = stored.heads
            except snapshots.SnapshotUnusable as error:
                log.warning("snapshot not usable, replaying from the start: %s", error)
                unusable = f" that it can use ({error})"
        self.kernel = self._new_kernel(heads, started=True)
        if state is not None:
            self.kernel.restore(state["kernel"])
            self.projections = state["projections"]
            self.received_seq = state["received_seq"]
            self.streams = state["streams"]
            self.in_lockstep = state["in_lockstep"]
            self.left_lockstep = state["left_lockstep"]
            self.kernel.replace_taps(self._taps())
        names = list(self.kernel.journals)
        expected = {name: self._store.head(self.number, self.stored_as(name)) for name in names}
        self._replaying = True
        try:
            if any(head.length for head in expected.values()):
                self.kernel.replay(self._received_in_order(names, heads))
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
            self.kernel.drop_remote_messages()
        for name, head in expected.items():
            journal = self.kernel.journals[name]
            if head.length and (journal.length, journal.head) != head:
                raise CannotRecover(
                    f"{name}: replay ends at entry {journal.length}, the journal at {head.length};"
                    " it was written by another version, or changed. Start with fresh data"
                )
        if any(head.length for head in expected.values()):
            self.pending.clear()

    @property
    def run_over(self) -> bool:
        """Whether the run of this session has ended; False where no coordinator is hosted."""
        hosted = (c for c in self.kernel.hosted if c.name == TEST_COORDINATOR)
        return any(getattr(coordinator, "done", False) for coordinator in hosted)

    @property
    def auditor(self) -> JournalAuditor:
        """The hosted component that reads the journals. Raises NotInSession if there is none."""
        for component in self.kernel.hosted:
            if component.name == self._auditor and isinstance(component, JournalAuditor):
                return component
        raise NotInSession("no auditor here")

    def component(self, kind: type[_Part]) -> _Part:
        """Return the hosted component of this class. Raises NotInSession if there is none."""
        return part_of_class(kind, self.kernel.hosted)

    def projection(self, kind: type[_Part]) -> _Part:
        """Return the projection of this class. Raises NotInSession if there is none."""
        return part_of_class(kind, self.projections.values())

    def drain(self) -> tuple[list[EntryToWrite], list[PublishedMessage], list[OutboundMessage]]:
        """Remove and return the pending entries, the messages for listeners, and those for other
        processes.
        """
        entries = self.pending[:]
        self.pending.clear()
        outbox, self.outbox = self.outbox, []
        outward, self.outbound = self.outbound, []
        self.entries_since_snapshot += len(entries)
        return entries, outbox, outward

    def deliver(self, peer: str, arrived: Sequence[InboundMessage], soonest: int) -> None:
        """Let messages from ``peer`` arrive in their order, at ``soonest`` or later.

        After the last message of an instant it is recorded how far the peer's journal has been
        received, so that both become durable together.
        """
        latest = max(soonest, self.receipt_times.get(peer, 0))
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
        """Record at the simulated time ``at`` that a peer's journal was received up to ``seq``."""
        if seq > self.received_seq.get(peer, 0):
            self.received_seq[peer] = seq
            self.receipt_times[peer] = at
            self.kernel.send(self.kernel.hosted[0].name, Delivered(peer, seq), at)

    def take_snapshot(self) -> Snapshot:
        """Return a snapshot of the present state, which belongs to the entries decided so far."""
        self.snapshot_requested = False
        self.entries_since_snapshot = 0
        state = {
            "kernel": self.kernel.frozen(),
            "projections": self.projections,
            "received_seq": self.received_seq,
            "streams": self.streams,
            "in_lockstep": self.in_lockstep,
            "left_lockstep": self.left_lockstep,
        }
        heads = {n: Head(j.length, j.head) for n, j in self.kernel.journals.items()}
        after = {self.stored_as(name): head.length for name, head in heads.items()}
        auditor = self.auditor if self._auditor else None
        blob = snapshots.dump(state)
        authenticated = snapshots.authenticate(blob, self._snapshot_key, self.number, heads)
        return Snapshot(heads, authenticated, needed_from(after, auditor))

    def durable_heads(self) -> dict[str, Head]:
        """Return the heads of the recovered journals by the names that the store has for them.

        Returns nothing where the session has only just begun.
        """
        journals = {} if self.pending else self.kernel.journals
        return {self.stored_as(n): Head(j.length, j.head) for n, j in journals.items()}

    def journal(self, name: str) -> StoredJournal:
        """Return the journal of a hosted component. Raises KeyError for any other."""
        journal = self.kernel.journals[name]
        assert isinstance(journal, StoredJournal)  # noqa: S101 - made in _new_kernel
        return journal

    def stored_as(self, name: str) -> str:
        """Return the name under which the store has a component's journal.

        An auditor in a process of its own also stores copies of all other services' journals,
        among them that of the network in the coordinator's process; its own network's journal
        therefore needs another name.
        """
        is_own_copy = self._distributed and self._auditor and name == Network.name
        return f"{name} here" if is_own_copy else name

    def _new_kernel(self, heads: Mapping[str, Head], *, started: bool) -> Kernel:
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
            outbound=self._send_remote if self._distributed else None,
            network=self._network,
            started=started,
            sorted_inboxes=self.in_lockstep,
        )

    def leave_lockstep(self) -> None:
        """Let time follow the wall clock from now on. Arrived messages keep their time."""
        self.in_lockstep = False
        self.left_lockstep = True
        self.streams = {}
        self.kernel.keep_arrival_order()
        self.snapshot_requested = True

    def _send_remote(self, source: str, to: str, message: Any, arrival: int) -> None:
        if self.in_lockstep:
            # This happens in a replay, too: a receiver that lost the message will request it again.
            # Every process simulates the same network, so what the network sends stays here.
            if source != Network.name:
                frame = Frame(self.kernel.now, arrival, to, message)
                for peer in self.streams if to == Network.name else (to,):
                    self.streams[peer].put(frame)
        elif not self._replaying:
            seq = self.kernel.journals[source].length
            self.outbound.append(OutboundMessage(source, seq, to, message, arrival))

    def _taps(self) -> dict[type[Message], Tap]:
        watchers: dict[type[Message], list[Callable[[Any, int], None]]] = {}
        for projection in self.projections.values():
            for kind, handler in projection.taps().items():
                watchers.setdefault(kind, []).append(handler)
        for kind in self._published:
            watchers.setdefault(kind, []).append(self._publish)
        return {kind: _combined_tap(handlers) for kind, handlers in watchers.items()}

    def _publish(self, message: Any, now: int) -> None:
        if not self._replaying:
            self.outbox.append(PublishedMessage(message, now))

    def _received_in_order(
        self, names: Sequence[str], heads: Mapping[str, Head]
    ) -> Iterator[tuple[int, str, list[Message]]]:
        """Yield what all components received after ``heads``, in the original order."""

        def received_by(index: int, name: str) -> Iterator[tuple[int, int, str, list[Message]]]:
            seq = heads.get(name, Head()).length
            while page := self._store.read(self.number, self.stored_as(name), seq, _PAGE):
                for entry in page:
                    if kind_of(entry.body) == RECEIVED:
                        now, messages = decode_received(entry)
                        yield now, index, name, messages
                seq += len(page)

        streams = [received_by(index, name) for index, name in enumerate(names)]
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
                    self.number, message.source, message.after, message.count
                )
                restored.append(JournalBatch(message.source, message.after, tuple(entries)))
            else:
                restored.append(message)
                if isinstance(message, Delivered):
                    self.received_seq[message.peer] = max(
                        self.received_seq.get(message.peer, 0), message.seq
                    )
        return restored

    def _feed_auditor(self, heads: Mapping[str, int]) -> None:
        """Let the auditor read its copies of the journals up to ``heads``."""
        auditor = self.auditor

        def stored_entries(source: str, after: int, head: int) -> Iterator[JournalEntry]:
            while after < head and (
                page := self._store.read(self.number, source, after, min(_PAGE, head - after))
            ):
                yield from page
                after += len(page)

        positions = {source: auditor.read_to(source) for source in heads}
        journals = {
            s: (positions[s], stored_entries(s, positions[s], head)) for s, head in heads.items()
        }
        for batch in time_slices(journals):
            self.kernel.feed_auditor(batch)


def _combined_tap(watchers: list[Callable[[Any, int], None]]) -> Tap:
    if len(watchers) == 1:
        return watchers[0]

    def tap(message: Any, now: int) -> None:
        for watch in watchers:
            watch(message, now)

    return tap
