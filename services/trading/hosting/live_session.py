"""One session of a process: its kernel, journals and projections, and its recovery.

A process recovers by loading the newest usable snapshot and replaying what its components received
afterwards. The hash chains of the journals must come out as the store has them.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from trading.hosting import snapshot as snapshots
from trading.hosting.inputs import InboundMessage
from trading.hosting.journal import StoredJournal
from trading.hosting.journal_replay import JournalReplay
from trading.hosting.parts import JournalAuditor, NotInSession, part_of_class
from trading.hosting.retention import needed_from
from trading.hosting.session import Session
from trading.hosting.store import EntriesLost, EntryToWrite, Head, JournalStore, Snapshot
from trading.hosting.streams import Frame, Stream
from trading.messages import Message
from trading.messages.base import Delivered
from trading.runtime.component import Component
from trading.runtime.delivery import Tap
from trading.runtime.kernel import Kernel
from trading.runtime.network import Network
from trading.topology import SERVICES, TEST_COORDINATOR

log = logging.getLogger(__name__)

_Part = TypeVar("_Part")


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
        #: Entries that are decided but not durable yet, the messages for listeners that become
        #: visible with them, and the messages for other processes.
        self._pending: list[EntryToWrite] = []
        self._outbox: list[PublishedMessage] = []
        self._outbound: list[OutboundMessage] = []
        self.streams: dict[str, Stream] = {}
        self.in_lockstep = distributed and session.virtual
        #: Was the session in lockstep before? Messages received then have no sequence number of
        #: the sender's journal.
        self.left_lockstep = False
        if self.in_lockstep:
            hosted = {component.name for component in components}
            self.streams = {name: Stream() for name in SERVICES if name not in hosted}
        #: Up to which sequence number each peer's journal has arrived here, and the simulated time
        #: at which that is recorded.
        self._received_seq: dict[str, int] = {}
        self._receipt_times: dict[str, int] = {}
        #: Whether the writer is writing entries of this session.
        self.writing = False
        self._snapshot_requested = False
        self._entries_since_snapshot = 0
        self._ended = False
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
            self._received_seq = state["received_seq"]
            self.streams = state["streams"]
            self.in_lockstep = state["in_lockstep"]
            self.left_lockstep = state["left_lockstep"]
            self.kernel.replace_taps(self._taps())
        names = list(self.kernel.journals)
        expected = {name: self._store.head(self.number, self.stored_as(name)) for name in names}
        self._replaying = True
        try:
            if any(head.length for head in expected.values()):
                replay = JournalReplay(
                    self._store,
                    self.number,
                    self.kernel,
                    lambda: self.auditor,
                    self._received_seq,
                    distributed=self._distributed,
                )
                stored_names = {name: self.stored_as(name) for name in names}
                self.kernel.replay(replay.received_in_order(stored_names, heads))
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
            self._pending.clear()

    @property
    def processed_until(self) -> int:
        """The simulated time, in microseconds, up to which messages were processed."""
        return self.kernel.now

    @property
    def next_at(self) -> int | None:
        """The simulated time of the next message, in microseconds; None if there is none."""
        return self.kernel.next_at

    @property
    def unwritten(self) -> int:
        """The number of entries that are decided and not being written yet."""
        return len(self._pending)

    @property
    def all_written(self) -> bool:
        """Whether everything that is decided is durable."""
        return not (self._pending or self.writing)

    @property
    def has_output(self) -> bool:
        """Whether :meth:`drain` has anything to return."""
        return bool(self._pending or self._outbox or self._outbound)

    @property
    def lockstep_over(self) -> bool:
        """Whether the session has ended, or its time follows the wall clock by now."""
        return self._ended or not self.in_lockstep

    def end(self) -> None:
        """Note that another session has taken the place of this one."""
        self._ended = True

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
        entries = self._pending[:]
        self._pending.clear()
        outbox, self._outbox = self._outbox, []
        outward, self._outbound = self._outbound, []
        self._entries_since_snapshot += len(entries)
        return entries, outbox, outward

    def deliver(self, peer: str, arrived: Sequence[InboundMessage], soonest: int) -> None:
        """Let messages from ``peer`` arrive in their order, at ``soonest`` or later.

        After the last message of an instant it is recorded how far the peer's journal has been
        received, so that both become durable together.
        """
        latest = max(soonest, self._receipt_times.get(peer, 0))
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
        if seq > self._received_seq.get(peer, 0):
            self._received_seq[peer] = seq
            self._receipt_times[peer] = at
            self.kernel.send(self.kernel.hosted[0].name, Delivered(peer, seq), at)

    def place(self, message: Message, at: int) -> None:
        """Let a message from outside arrive at the hosted component at the simulated time."""
        self.kernel.place(self.kernel.hosted[0].name, message, at)

    def received_up_to(self, peer: str) -> int:
        """Return the sequence number up to which a peer's journal has arrived; 0 for nothing."""
        return self._received_seq.get(peer, 0)

    @property
    def snapshot_requested(self) -> bool:
        """Whether the next write has to include a snapshot."""
        return self._snapshot_requested

    def request_snapshot(self) -> None:
        """Let the next write include a snapshot."""
        self._snapshot_requested = True

    def request_snapshot_after(self, entries: int) -> bool:
        """Request a snapshot if there are so many entries since the last, and return whether."""
        due = self._entries_since_snapshot >= entries and not self._snapshot_requested
        self._snapshot_requested = self._snapshot_requested or due
        return due

    def take_snapshot(self) -> Snapshot:
        """Return a snapshot of the present state, which belongs to the entries decided so far."""
        self._snapshot_requested = False
        self._entries_since_snapshot = 0
        state = {
            "kernel": self.kernel.snapshot(),
            "projections": self.projections,
            "received_seq": self._received_seq,
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
        journals = {} if self._pending else self.kernel.journals
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
            return StoredJournal(source, self._store, self.number, self._pending, head)

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
        self._snapshot_requested = True

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
            self._outbound.append(OutboundMessage(source, seq, to, message, arrival))

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
            self._outbox.append(PublishedMessage(message, now))


def _combined_tap(watchers: list[Callable[[Any, int], None]]) -> Tap:
    if len(watchers) == 1:
        return watchers[0]

    def tap(message: Any, now: int) -> None:
        for watch in watchers:
            watch(message, now)

    return tap
