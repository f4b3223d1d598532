"""Checks the stored journals of a stopped ecosystem, session by session.

Every hash chain is verified entry by entry. The received messages are replayed, which has to
produce the same entries, and the journals of a run must have the heads that its verdict names.
Journals must not be shorter than the heads file beside the store says, nor than what other services
have received from them. Entries that retention has dropped cannot be checked, but their hashes
still are part of the chain.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from trading.api.test_coordinator.index import VERDICT
from trading.hosting.heads import HeadsFile
from trading.hosting.live_session import CannotRecover, LiveSession
from trading.hosting.session import Session, decode_session
from trading.hosting.store import EntriesDropped, EntriesLost, JournalStore
from trading.messages.audit import JournalEntry
from trading.messages.base import Delivered
from trading.runtime.component import Component
from trading.runtime.journal import GENESIS, RECEIVED, ChainBroken, kind_of, verify
from trading.runtime.network import Network
from trading.runtime.replay import decode_received
from trading.scenario.result import JournalHead, Verdict
from trading.server.service_specs import build_components
from trading.topology import AUDIT_CORRELATOR, SERVICES, service_of

_PAGE = 4096


class Finding(NamedTuple):
    """One result of the check.

    ``where`` is the store and the session. ``serious`` findings prove a change or a loss; others
    are for information.
    """

    where: str
    text: str
    serious: bool = True


class LengthCheck:
    """Compares the lengths of journals across the stores of all services.

    Each service records in its own journal how many entries of another service's journal it has
    received. That journal must have at least this many entries.
    """

    def __init__(self) -> None:
        #: The number of entries by (key of the session, name of the store, name of the journal).
        self._lengths: dict[tuple[str, str, str], int] = {}
        #: The most entries that another service has received, and the name of that service.
        self._received: dict[tuple[str, str, str], tuple[int, str]] = {}

    def add_length(self, key: str, name: str, source: str, length: int) -> None:
        """Record the length of the journal ``source`` in the store ``name``.

        Several sessions may have the same key; then the longest counts.
        """
        journal = key, name, source
        self._lengths[journal] = max(length, self._lengths.get(journal, 0))

    def add_entry(self, key: str, name: str, entry: JournalEntry) -> None:
        """Record what ``entry``, of the service ``name``, says of entries received from others."""
        if kind_of(entry.body) != RECEIVED or b'"Delivered"' not in entry.body:
            return
        for message in decode_received(entry)[1]:
            if isinstance(message, Delivered):
                peer, _, source = message.peer.partition("/")
                journal = key, peer, source or service_of(peer)
                self._received[journal] = max(
                    (message.seq, name), self._received.get(journal, (0, ""))
                )

    def findings(self) -> Iterator[Finding]:
        """Yield the journals that are too short. Call this after every store has been read."""
        for (key, name, source), (seq, by) in self._received.items():
            length = self._lengths.get((key, name, source))
            if length is not None and length < seq:
                text = f"{source}: {by} has heard {seq} entries of it, {length} are there"
                yield Finding(f"{name}, session {key}", text)


class StoreCheck:
    """Checks the journals of one store.

    ``name`` is that of its file or schema. It names a service if the store belongs to one; any
    other name means that all services share the store. ``lengths`` collects what the stores of all
    services are compared by. ``heads`` is the heads file beside the store, if there is one. The
    attributes ``entries`` and ``sessions`` count what has been checked so far.
    """

    def __init__(
        self, name: str, store: JournalStore, lengths: LengthCheck, heads: HeadsFile | None = None
    ) -> None:
        self.name = name
        self.entries = 0
        self.sessions = 0
        self._store = store
        self._lengths = lengths
        self._heads = heads
        service = service_of(name.replace("_", "-"))
        self._service = service if service in SERVICES else ""

    def check(self) -> Iterator[Finding]:
        """Check every session, oldest first, and yield the findings. Raises StoreUnavailable."""
        for loss in self._heads.losses(self._store) if self._heads is not None else ():
            yield Finding(self.name, loss.text)
        previous = 0
        for number, spec in self._store.sessions():
            if number != previous + 1:
                yield Finding(self.name, f"sessions {previous + 1} to {number - 1} are missing")
            previous = number
            self.sessions += 1
            where = f"{self.name}, session {number}"
            try:
                session = decode_session(spec)
            except msgspec.DecodeError as error:
                yield Finding(where, f"cannot be read: {error}")
                continue
            for text, serious in self._check_session(number, session):
                yield Finding(where, text, serious)

    def _check_session(self, number: int, session: Session) -> Iterator[tuple[str, bool]]:
        components = self._session_components(session)
        live = self._live_session(number, session, components)
        chains_intact = True
        for name in (*(component.name for component in components), Network.name):
            for text, serious in self._check_chain(number, session.key, live.stored_as(name)):
                chains_intact = False
                yield text, serious
        if chains_intact:
            try:
                live.recover(from_start=True)
            except (CannotRecover, EntriesLost) as error:
                dropped = error.__cause__
                if isinstance(dropped, EntriesDropped):
                    # Dropped from the copies of other services' journals that the auditor stores.
                    yield f"{dropped}; what follows from these cannot be done again", False
                else:
                    yield str(error), True
        yield from self._check_verdict(number, session)

    def _session_components(self, session: Session) -> list[Component]:
        return [c for c in build_components(session) if self._service in ("", c.name)]

    def _live_session(
        self, number: int, session: Session, components: list[Component]
    ) -> LiveSession:
        auditor = AUDIT_CORRELATOR if self._service in ("", AUDIT_CORRELATOR) else ""
        return LiveSession(
            session,
            number,
            self._store,
            components,
            {},
            frozenset(),
            # Every session is replayed from its start.
            snapshot_key=b"",
            auditor=auditor,
            distributed=bool(self._service),
            network=Network(),
        )

    def _check_chain(self, number: int, key: str, source: str) -> Iterator[tuple[str, bool]]:
        name = self.name.replace("_", "-")
        head = self._store.head(number, source)
        seq, last_hash = 0, GENESIS
        try:
            while page := self._store.read(number, source, seq, _PAGE):
                seq, last_hash = verify(page, after=seq, head=last_hash)
                self.entries += len(page)
                for entry in page:
                    self._lengths.add_entry(key, name, entry)
        except EntriesDropped as error:
            yield f"{source}: {error}; of these only the hashes are left", False
            return
        except (ChainBroken, EntriesLost, ValueError) as error:
            yield f"{source}: {error}", True
            return
        self._lengths.add_length(key, name, source, seq)
        if not seq:
            yield f"{source}: its journal is empty or missing", True
        elif (seq, last_hash) != head:
            yield f"{source}: ends after entry {seq}, its newest is {head.length}", True

    def _check_verdict(self, number: int, session: Session) -> Iterator[tuple[str, bool]]:
        """Check that the journals have the heads that the verdict on the session's run names."""
        body = self._store.document(VERDICT, session.run_id) if session.run_id else None
        if body is None:
            return
        try:
            verdict = msgspec.json.decode(body, type=Verdict)
        except msgspec.DecodeError as error:
            yield f"the verdict on {session.run_id} cannot be read: {error}", True
            return
        for name, head in verdict.audit.journals.items():
            if not self._service or name == self._service:
                yield from self._check_verdict_head(number, name, head)

    def _check_verdict_head(
        self, number: int, name: str, head: JournalHead
    ) -> Iterator[tuple[str, bool]]:
        try:
            entries = self._store.read(number, name, head.events - 1, 1) if head.events else []
        except EntriesLost:
            return
        if not entries:
            yield f"{name}: the verdict is about {head.events} entries, which are not there", True
        elif entries[0].hash.hex() != head.head:
            yield f"{name}: entry {head.events} is not the one that the verdict is about", True
