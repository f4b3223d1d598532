"""Checks the journals that a stopped ecosystem has kept, session by session.

Each chain is checked entry by entry, what was received is done again and must lead to the same
entries, and the journals of a run must have the heads that its verdict names. They must be as long
as was noted beside the store, and as the other services have heard. What retention has dropped
cannot be checked; its hashes are still part of the chain.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from trading.api.test_coordinator.index import VERDICT
from trading.hosting.heads import HeadsFile
from trading.hosting.live import CannotRecover, LiveSession
from trading.hosting.session import Session, decode_session
from trading.hosting.store import EntriesDropped, EntriesLost, JournalStore
from trading.messages.audit import JournalEntry
from trading.messages.base import Delivered
from trading.runtime.component import Component
from trading.runtime.journal import GENESIS, RECEIVED, ChainBroken, kind_of, verify
from trading.runtime.network import Network
from trading.runtime.replay import received
from trading.scenario.result import JournalHead, Verdict
from trading.server.parts import make
from trading.topology import AUDIT_CORRELATOR, SERVICES, service_of

_PAGE = 4096


class Finding(NamedTuple):
    """``serious``: is it evidence of a change or a loss, and not only something to know?"""

    where: str
    text: str
    serious: bool = True


class Heard:
    """How long the journals of services that are processes of their own must be: what each has
    heard of the others', by its own journal.
    """

    def __init__(self) -> None:
        #: By key of a session, name of a store and journal in it: its length.
        self._lengths: dict[tuple[str, str, str], int] = {}
        self._heard: dict[tuple[str, str, str], tuple[int, str]] = {}

    def count(self, key: str, name: str, source: str, length: int) -> None:
        """Note how long a journal is; several sessions may have the same key."""
        where = key, name, source
        self._lengths[where] = max(length, self._lengths.get(where, 0))

    def see(self, key: str, name: str, entry: JournalEntry) -> None:
        """Take note of what the service ``name`` says in ``entry`` that it has heard."""
        if kind_of(entry.body) != RECEIVED or b'"Delivered"' not in entry.body:
            return
        for message in received(entry)[1]:
            if isinstance(message, Delivered):
                peer, _, source = message.peer.partition("/")
                where = key, peer, source or service_of(peer)
                self._heard[where] = max((message.seq, name), self._heard.get(where, (0, "")))

    def missing(self) -> Iterator[Finding]:
        """Compare both, once every store has been read."""
        for (key, name, source), (seq, by) in self._heard.items():
            length = self._lengths.get((key, name, source))
            if length is not None and length < seq:
                text = f"{source}: {by} has heard {seq} entries of it, {length} are there"
                yield Finding(f"{name}, session {key}", text)


class Kept:
    """The journals of one store. ``name``: of its file or schema: a service's, or another where all
    services are in one process. ``heads``: where their heads are noted, too; ``heard``: what all
    stores are compared by. ``entries`` and ``sessions``: how many have been checked so far.
    """

    def __init__(
        self, name: str, store: JournalStore, heard: Heard, heads: HeadsFile | None = None
    ) -> None:
        self.name = name
        self.entries = 0
        self.sessions = 0
        self._store = store
        self._heard = heard
        self._heads = heads
        service = service_of(name.replace("_", "-"))
        self._service = service if service in SERVICES else ""

    def check(self) -> Iterator[Finding]:
        """Check every session, oldest first. Raises StoreUnavailable."""
        for loss in self._heads.losses(self._store) if self._heads is not None else ():
            yield Finding(self.name, loss.text)
        last = 0
        for number, spec in self._store.sessions():
            if number != last + 1:
                yield Finding(self.name, f"sessions {last + 1} to {number - 1} are missing")
            last = number
            self.sessions += 1
            where = f"{self.name}, session {number}"
            try:
                session = decode_session(spec)
            except msgspec.DecodeError as error:
                yield Finding(where, f"cannot be read: {error}")
                continue
            for text, serious in self._check(number, session):
                yield Finding(where, text, serious)

    def _check(self, number: int, session: Session) -> Iterator[tuple[str, bool]]:
        components = self._components(session)
        live = self._live(number, session, components)
        whole = True
        for name in (*(component.name for component in components), Network.name):
            for text, serious in self._chain(number, session.key, live.stored_as(name)):
                whole = False
                yield text, serious
        if whole:
            try:
                live.recover(from_start=True)
            except (CannotRecover, EntriesLost) as error:
                dropped = error.__cause__
                if isinstance(dropped, EntriesDropped):
                    # Of the copies that an auditor keeps of others' journals.
                    yield f"{dropped}; what follows from these cannot be done again", False
                else:
                    yield str(error), True
        yield from self._verdict(number, session)

    def _components(self, session: Session) -> list[Component]:
        return [c for c in make(session) if self._service in ("", c.name)]

    def _live(self, number: int, session: Session, components: list[Component]) -> LiveSession:
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
            alone=bool(self._service),
            network=Network(),
        )

    def _chain(self, number: int, key: str, source: str) -> Iterator[tuple[str, bool]]:
        name = self.name.replace("_", "-")
        head = self._store.head(number, source)
        seq, last = 0, GENESIS
        try:
            while page := self._store.read(number, source, seq, _PAGE):
                seq, last = verify(page, after=seq, head=last)
                self.entries += len(page)
                for entry in page:
                    self._heard.see(key, name, entry)
        except EntriesDropped as error:
            yield f"{source}: {error}; of these only the hashes are left", False
            return
        except (ChainBroken, EntriesLost, ValueError) as error:
            yield f"{source}: {error}", True
            return
        self._heard.count(key, name, source, seq)
        if not seq:
            yield f"{source}: its journal is empty or missing", True
        elif (seq, last) != head:
            yield f"{source}: ends after entry {seq}, its newest is {head.length}", True

    def _verdict(self, number: int, session: Session) -> Iterator[tuple[str, bool]]:
        """Are the journals those that the verdict on the session's run was given on?"""
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
                yield from self._named(number, name, head)

    def _named(self, number: int, name: str, head: JournalHead) -> Iterator[tuple[str, bool]]:
        try:
            found = self._store.read(number, name, head.events - 1, 1) if head.events else []
        except EntriesLost:
            return
        if not found:
            yield f"{name}: the verdict is about {head.events} entries, which are not there", True
        elif found[0].hash.hex() != head.head:
            yield f"{name}: entry {head.events} is not the one that the verdict is about", True
