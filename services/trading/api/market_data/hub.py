"""Who follows the ticks: each is encoded once, for everybody."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from trading.api.market_data.ticks import KEPT_OF_ALL, Ticks
from trading.hosting.host import Host
from trading.hosting.live import Published
from trading.messages.market import PriceTick
from trading.units import format_units

TICKS = "market-data/ticks"
#: Groups of ticks that one subscriber may be behind before it is dropped.
BACKLOG = 256
MAX_SUBSCRIBERS = 2000
#: Wall seconds between signs of life where nothing happens.
KEEP_ALIVE = 10.0

_encode = msgspec.json.Encoder().encode


class TooMany(Exception):
    """Nobody else can follow now."""


class Subscriber:
    """``queue``: what it has yet to be sent; None ends it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG)
        self.ended = False

    async def events(self) -> AsyncIterator[bytes]:
        """What is there at one time in one piece, until the end."""
        while not self.ended:
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    parts = [await self.queue.get()]
            except TimeoutError:
                yield b": still here\n\n"
                continue
            while not self.queue.empty():
                parts.append(self.queue.get_nowait())
            if None in parts:
                self.ended = True
            if found := b"".join(part for part in parts if part is not None):
                yield found


class TickHub:
    """``told``: position of the newest tick that has been published, and so is durable."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._subscribers: dict[Subscriber, None] = {}
        self._sent: deque[bytes] = deque(maxlen=KEPT_OF_ALL)
        self.told = 0
        host.listen(self._hear)
        host.on_session(self._begin)

    @property
    def ticks(self) -> Ticks:
        found: Ticks = self._host.projection(TICKS)
        return found

    @property
    def subscribers(self) -> int:
        return len(self._subscribers)

    def join(self, last_event_id: str) -> Subscriber:
        """A subscriber that gets what comes from now on, after what it has missed since
        ``last_event_id``. Raises TooMany.
        """
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise TooMany
        made = Subscriber()
        made.queue.put_nowait(self._session())
        if missed := self._missed(last_event_id):
            made.queue.put_nowait(missed)
        self._subscribers[made] = None
        return made

    def leave(self, subscriber: Subscriber) -> None:
        self._subscribers.pop(subscriber, None)

    def close(self) -> None:
        """The service ends: so do the streams."""
        for subscriber in list(self._subscribers):
            self._drop(subscriber)

    def _begin(self) -> None:
        ticks = self.ticks
        self.told = ticks.version
        self._sent.clear()
        self._sent.extend(self._encoded(ticks.log, self.told - len(ticks.log) + 1))
        self._put(self._session())

    def _hear(self, published: Sequence[Published]) -> None:
        ticks = [message for message, _ in published if isinstance(message, PriceTick)]
        if not ticks:
            return
        events = self._encoded(ticks, self.told + 1)
        self.told += len(ticks)
        self._sent.extend(events)
        self._put(b"".join(events))

    def _put(self, chunk: bytes) -> None:
        for subscriber in list(self._subscribers):
            try:
                subscriber.queue.put_nowait(chunk)
            except asyncio.QueueFull:
                self._drop(subscriber)

    def _drop(self, subscriber: Subscriber) -> None:
        self.leave(subscriber)
        subscriber.ended = True
        while not subscriber.queue.empty():
            subscriber.queue.get_nowait()
        subscriber.queue.put_nowait(None)

    def _session(self) -> bytes:
        number, run_id = self._host.live.number, self._host.session.run_id
        data = _encode({"session": number, "run_id": run_id or None})
        return b"event: session\ndata: %s\n\n" % data

    def _missed(self, last_event_id: str) -> bytes:
        """What was published after an event. Who comes from another session has missed all of this
        one; who comes from nowhere, nothing.
        """
        session, _, position = last_event_id.partition("-")
        if not (_is_number(session) and _is_number(position)):
            return b""
        after = min(int(position), self.told) if int(session) == self._host.live.number else 0
        kept = len(self._sent)
        gone = max(self.told - kept - after, 0)
        missed = b"".join(islice(self._sent, max(kept - (self.told - after), 0), None))
        return b'event: gap\ndata: {"missed":%d}\n\n' % gone + missed if gone else missed

    def _encoded(self, ticks: Iterable[PriceTick], first: int) -> list[bytes]:
        number = self._host.live.number
        return [
            b"id: %d-%d\ndata: %s\n\n" % (number, position, _encode(built(tick)))
            for position, tick in enumerate(ticks, first)
        ]


def built(tick: PriceTick) -> dict[str, Any]:
    """As the API says it: price as a decimal string, None where it is not a number."""
    price = format_units(tick.price) if tick.price is not None else None
    return {"asset": tick.asset, "price": price, "seq": tick.seq, "event_time": tick.event_time}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
