"""Sends ticks to the clients of the stream. Each tick is encoded once, however many clients there
are.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from trading.api.market_data.ticks import KEPT_OF_ALL, Ticks
from trading.hosting.host import Host
from trading.hosting.live_session import PublishedMessage
from trading.messages.market import PriceTick
from trading.units import format_units

#: Name of the projection that holds the newest ticks.
TICKS = "market-data/ticks"
#: Groups of ticks that may be queued for a subscriber before it is dropped as too slow.
BACKLOG = 256
MAX_SUBSCRIBERS = 2000
#: Wall seconds without a tick after which a keep-alive is sent.
KEEP_ALIVE = 10.0

_encode = msgspec.json.Encoder().encode


class TooManySubscribers(Exception):
    """MAX_SUBSCRIBERS follow the stream, and no further client can."""


class Subscriber:
    """A client of the stream. `queue` holds what has yet to be sent; None in it ends the stream."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG)
        self.ended = False

    async def events(self) -> AsyncIterator[bytes]:
        """Yield what is queued, in one piece each time, until the stream ends."""
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
            if chunk := b"".join(part for part in parts if part is not None):
                yield chunk


class TickHub:
    """Keeps the subscribers and the newest ticks as they were sent.

    `published_seq` is the position of the newest tick that has been published, and is therefore
    durable.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._subscribers: dict[Subscriber, None] = {}
        self._sent: deque[bytes] = deque(maxlen=KEPT_OF_ALL)
        self.published_seq = 0
        host.listen(self._on_published)
        host.on_session(self._on_session)

    @property
    def ticks(self) -> Ticks:
        """The ticks of the current session, which may include some that are not durable yet."""
        return self._host.projection(Ticks)

    @property
    def subscribers(self) -> int:
        """The number of subscribers."""
        return len(self._subscribers)

    def join(self, last_event_id: str) -> Subscriber:
        """Add a subscriber. It gets the ticks from now on, and before them those that were
        published after the event `last_event_id`. Raises TooManySubscribers.
        """
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise TooManySubscribers
        subscriber = Subscriber()
        subscriber.queue.put_nowait(self._session_event())
        if missed := self._missed_since(last_event_id):
            subscriber.queue.put_nowait(missed)
        self._subscribers[subscriber] = None
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a subscriber; do nothing if it has been removed."""
        self._subscribers.pop(subscriber, None)

    def close(self) -> None:
        """End all streams."""
        for subscriber in list(self._subscribers):
            self._drop(subscriber)

    def _on_session(self) -> None:
        """Take over the ticks of a session that was opened or resumed: all of them are durable by
        then.
        """
        ticks = self.ticks
        self.published_seq = ticks.version
        self._sent.clear()
        self._sent.extend(self._encoded(ticks.log, self.published_seq - len(ticks.log) + 1))
        self._enqueue_for_all(self._session_event())

    def _on_published(self, published: Sequence[PublishedMessage]) -> None:
        ticks = [message for message, _ in published if isinstance(message, PriceTick)]
        if not ticks:
            return
        events = self._encoded(ticks, self.published_seq + 1)
        self.published_seq += len(ticks)
        self._sent.extend(events)
        self._enqueue_for_all(b"".join(events))

    def _enqueue_for_all(self, chunk: bytes) -> None:
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

    def _session_event(self) -> bytes:
        number, run_id = self._host.session_number, self._host.session.run_id
        data = _encode({"session": number, "run_id": run_id or None})
        return b"event: session\ndata: %s\n\n" % data

    def _missed_since(self, last_event_id: str) -> bytes:
        """Return the ticks that were published after an event, preceded by an event `gap` if some
        are not kept any more. A client of another session has missed all ticks of this one; one
        without a last event has missed none.
        """
        session, _, position = last_event_id.partition("-")
        if not (_is_number(session) and _is_number(position)):
            return b""
        after = (
            min(int(position), self.published_seq)
            if int(session) == self._host.session_number
            else 0
        )
        available = len(self._sent)
        lost = max(self.published_seq - available - after, 0)
        missed = b"".join(
            islice(self._sent, max(available - (self.published_seq - after), 0), None)
        )
        return b'event: gap\ndata: {"missed":%d}\n\n' % lost + missed if lost else missed

    def _encoded(self, ticks: Iterable[PriceTick], first: int) -> list[bytes]:
        number = self._host.session_number
        return [
            b"id: %d-%d\ndata: %s\n\n" % (number, position, _encode(tick_json(tick)))
            for position, tick in enumerate(ticks, first)
        ]


def tick_json(tick: PriceTick) -> dict[str, Any]:
    """Return a tick as the API shows it: the price as a decimal string, None if it is
    not a number.
    """
    price = format_units(tick.price) if tick.price is not None else None
    return {"asset": tick.asset, "price": price, "seq": tick.seq, "event_time": tick.event_time}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
