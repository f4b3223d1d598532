"""The outgoing half of a link: first what the peer has missed, then what is decided."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from trading.hosting.host import Host
from trading.hosting.live import Outward
from trading.links import frames
from trading.runtime.routes import NOT_JOURNALED

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
                seq = self._after.get(source, 0)
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
