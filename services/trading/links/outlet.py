"""The outgoing half of a link: first what the peer has missed, then what is decided."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from trading.hosting.host import Host
from trading.hosting.live import Outward
from trading.hosting.retention import last_addressed
from trading.hosting.store import EntriesDropped
from trading.links import frames
from trading.runtime.routes import NOT_JOURNALED

log = logging.getLogger(__name__)

#: Messages that a peer may be behind before it is cut off; it comes back by the journal.
BACKLOG = 50_000
_PAGE = 2000


class Outlet:
    """``after``: by journal, up to where the peer has heard; None: it gets nothing from before.
    ``overrun``: it is too far behind; ``cut``: nothing may pass any more.
    """

    def __init__(self, host: Host, peer: str, after: Mapping[str, int] | None) -> None:
        self.peer = peer
        self.overrun = False
        self.cut = asyncio.Event()
        self._host = host
        self._after = after
        self._queue: deque[Outward | frames.Note] = deque()
        self._filled = asyncio.Event()

    def put(self, items: Sequence[Outward]) -> None:
        self._queue.extend(items)
        self.overrun = len(self._queue) > BACKLOG
        self._filled.set()

    def note(self, note: frames.Note) -> None:
        """Goes in its place between the frames."""
        self._queue.append(note)
        self._filled.set()

    async def texts(self) -> AsyncIterator[bytes]:
        """Lists of frames and notes, until the peer is too far behind."""
        sent: dict[str, int] = {}
        if self._after is not None:
            number = self._host.live.number
            for source in self._host.kernel.journals:
                heard = self._after.get(source, 0)
                if heard == frames.FROM_NOW:
                    heard = self._host.kernel.journals[source].length
                seq = await asyncio.to_thread(self._first_kept, number, source, heard)
                while page := await asyncio.to_thread(
                    self._host.store.read, number, source, seq, _PAGE
                ):
                    seq += len(page)
                    if found := frames.kept(source, self.peer, page):
                        yield frames.joined(found)
                sent[source] = seq
        while not self.overrun:
            await self._filled.wait()
            self._filled.clear()
            for text in self._taken(sent):
                yield text

    def _first_kept(self, session: int, source: str, heard: int) -> int:
        """After which entry the peer is told: what it has heard, or else what has been dropped, as
        long as nothing of that was for it. Raises EntriesDropped where something was.
        """
        store = self._host.store
        try:
            store.read(session, source, heard, 1)
        except EntriesDropped as error:
            if last_addressed(store, session, source, self.peer) > heard:
                log.error(
                    "%s was away for too long: what it missed has been dropped. %s; another"
                    " session, which every run opens, begins anew",
                    self.peer,
                    error,
                )
                raise
            return error.last
        return heard

    def _taken(self, sent: Mapping[str, int]) -> Iterator[bytes]:
        found: list[bytes] = []
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, frames.Note):
                if found:
                    yield frames.joined(found)
                    found = []
                yield frames.encode(item)
                continue
            # What was decided while the journal was read may have been read there.
            if item.seq > sent.get(item.source, 0) or type(item.message) in NOT_JOURNALED:
                found.append(frames.live(item))
            if len(found) == frames.FRAMES:
                yield frames.joined(found)
                found = []
        if found:
            yield frames.joined(found)
