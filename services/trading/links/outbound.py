"""The outgoing half of a link: sends first what the peer has missed, from the journal, and then new
messages as they become durable.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from trading.hosting.host import Host
from trading.hosting.live_session import OutboundMessage
from trading.hosting.retention import last_addressed
from trading.hosting.store import EntriesDropped
from trading.links import frames
from trading.runtime.routes import NOT_JOURNALED

log = logging.getLogger(__name__)

#: Messages that may wait for a peer before its link is closed; a new link resends from the journal.
MAX_BACKLOG = 50_000
#: Journal entries that are read at once.
_PAGE = 2000


class OutboundLink:
    """Sends the messages of ``host`` that are for the service ``peer``.

    ``after`` has the last sequence number that the peer has received, by journal; with None it gets
    nothing from before the link. :attr:`overrun` is true once the peer is too far behind, and
    :attr:`cut` is set when a partition closes the link.
    """

    def __init__(self, host: Host, peer: str, after: Mapping[str, int] | None) -> None:
        self.peer = peer
        self.overrun = False
        self.cut = asyncio.Event()
        self._host = host
        self._after = after
        self._queue: deque[OutboundMessage | frames.ControlFrame] = deque()
        self._filled = asyncio.Event()

    def put(self, items: Sequence[OutboundMessage]) -> None:
        """Queue messages for sending."""
        self._queue.extend(items)
        self.overrun = len(self._queue) > MAX_BACKLOG
        self._filled.set()

    def put_control(self, control: frames.ControlFrame) -> None:
        """Queue a control frame behind all messages so far."""
        self._queue.append(control)
        self._filled.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield encoded lists of frames and control frames to send, until the peer is too far
        behind. Raises EntriesDropped if messages that the peer has missed are not stored any more.
        """
        sent: dict[str, int] = {}
        if self._after is not None:
            number = self._host.session_number
            for source in self._host.journals:
                received = self._after.get(source, 0)
                if received == frames.FROM_NOW:
                    received = self._host.journals[source].length
                seq = await asyncio.to_thread(self._resend_after, number, source, received)
                while page := await asyncio.to_thread(
                    self._host.store.read, number, source, seq, _PAGE
                ):
                    seq += len(page)
                    if resent := frames.frames_from_journal(source, self.peer, page):
                        yield frames.join_frames(resent)
                sent[source] = seq
        while not self.overrun:
            await self._filled.wait()
            self._filled.clear()
            for text in self._drain_queue(sent):
                yield text

    def _resend_after(self, session: int, source: str, received: int) -> int:
        """Return the sequence number after which entries are resent: the last that the peer has
        received or, where more entries have been dropped from the store, the last of those.
        Raises EntriesDropped if one of the dropped entries was for the peer.
        """
        store = self._host.store
        try:
            store.read(session, source, received, 1)
        except EntriesDropped as error:
            if last_addressed(store, session, source, self.peer) > received:
                log.error(
                    "cannot resend to %s: it was disconnected for too long, and messages that it"
                    " missed are not stored any more. %s; a new session, which every run opens,"
                    " starts without them",
                    self.peer,
                    error,
                )
                raise
            return error.last
        return received

    def _drain_queue(self, sent: Mapping[str, int]) -> Iterator[bytes]:
        """Yield encoded lists of what is queued, without what was read from the journal already:
        by source, up to the sequence number in ``sent``.
        """
        batch: list[bytes] = []
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, frames.ControlFrame):
                if batch:
                    yield frames.join_frames(batch)
                    batch = []
                yield frames.encode(item)
                continue
            # A message that became durable while the journal was read may have been read there.
            if item.seq > sent.get(item.source, 0) or type(item.message) in NOT_JOURNALED:
                batch.append(frames.encode_outgoing(item))
            if len(batch) == frames.MAX_FRAMES:
                yield frames.join_frames(batch)
                batch = []
        if batch:
            yield frames.join_frames(batch)
