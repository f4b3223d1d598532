"""Opens new sessions of a process, and recovers the newest session that its store has."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from trading.hosting.heads import HeadsFile, Loss
from trading.hosting.live_session import CannotRecover, LiveSession
from trading.hosting.session import Session, decode_session
from trading.hosting.store import JournalStore, StoreUnavailable
from trading.messages import Message
from trading.runtime.component import Component
from trading.runtime.network import Network

log = logging.getLogger(__name__)

#: Builds the components of a session, in their order on the kernel.
ComponentFactory = Callable[[Session], Sequence[Component]]


class Projection(Protocol):
    """A view of the message flow that an API keeps; it is part of every snapshot."""

    def taps(self) -> dict[type[Message], Callable[[Any, int], None]]:
        """Return by message type the function that gets each message and its simulated time."""
        ...


class SessionFactory:
    """Opens and recovers the sessions of a process.

    ``make``, ``projections``, ``published``, ``auditor``, ``network`` and ``snapshot_key`` are
    those of :class:`~trading.hosting.host.Host`. ``distributed`` says that the other components run
    in other processes. ``heads`` is the file beside the store that records the heads of the
    journals; None if there is none. With ``accept_loss`` a session is continued although
    acknowledged entries are lost; ``losses`` then holds them.
    """

    def __init__(
        self,
        make: ComponentFactory,
        store: JournalStore,
        *,
        projections: Mapping[str, Callable[[Session], Projection]],
        published: Iterable[type[Message]],
        auditor: str,
        distributed: bool,
        network: Callable[[Session], Network],
        snapshot_key: bytes,
        heads: HeadsFile | None,
        accept_loss: bool,
    ) -> None:
        self.published = frozenset(published)
        self.heads = heads
        self.losses: list[Loss] = []
        self._build_components = make
        self._store = store
        self._projections = projections
        self._auditor = auditor
        self._distributed = distributed
        self._network = network
        self._snapshot_key = snapshot_key
        self._accept_loss = accept_loss

    def fresh(self, session: Session, spec: bytes) -> LiveSession:
        """Open ``session`` with fresh components and journals; ``spec`` is its encoded form.

        Raises StoreUnavailable.
        """
        number = self._store.open_session(spec)
        if self.heads is not None:
            self.heads.begin(self._store, number, {})
        live = self._build(session, number)
        live.begin()
        return live

    def newest(self) -> LiveSession | None:
        """Recover the newest session.

        Returns None if there is none, or if it cannot be continued and its loss is accepted. Raises
        CannotRecover, StoreUnavailable.
        """
        self.losses = self.heads.losses(self._store) if self.heads is not None else []
        if self.losses and not self._accept_loss:
            first, *others = self.losses
            more = f", and {len(others)} more" if others else ""
            raise CannotRecover(
                f"{first.text}{more}. Restore a copy that is whole; or start with --accept-loss,"
                " which goes on without them and says so in the audit"
            )
        for loss in self.losses:
            log.warning("loss accepted: %s", loss.text)
        newest = self._store.newest_session()
        if newest is None:
            return None
        try:
            live = self._recover(*newest)
        except CannotRecover as error:
            if not self._accept_loss:
                raise
            log.warning("loss accepted, another session is opened: %s", error)
            self.losses.append(Loss("", 0, 0, str(error)))
            return None
        if self.heads is not None:
            self.heads.begin(self._store, live.number, live.durable_heads())
        return live

    def _build(self, session: Session, number: int) -> LiveSession:
        return LiveSession(
            session,
            number,
            self._store,
            self._build_components(session),
            {name: build(session) for name, build in self._projections.items()},
            self.published,
            snapshot_key=self._snapshot_key,
            auditor=self._auditor,
            distributed=self._distributed,
            network=self._network(session),
        )

    def _recover(self, number: int, spec: bytes) -> LiveSession:
        try:
            live = self._build(decode_session(spec), number)
            live.recover()
        except (CannotRecover, StoreUnavailable):
            raise
        except Exception as error:
            # Damaged bytes may raise any error.
            log.debug("session %d cannot be read", number, exc_info=True)
            raise CannotRecover(
                f"session {number} cannot be read ({type(error).__name__}: {error}): its journals"
                " are damaged, or another version wrote them. Start with a copy that is whole, or"
                " with fresh data"
            ) from error
        return live
