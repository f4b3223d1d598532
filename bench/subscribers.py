"""Many subscribers of one stream in one process, which record when each message arrives.

Their overhead is small, so that the server is what is measured: they use no library, take one time
stamp for each chunk that arrives, and identify a message by its bytes.
"""

import asyncio
import base64
import os
import time
from collections import deque
from collections.abc import Callable
from typing import cast

#: Connections that are opened at a time, because a server's accept queue is bounded.
_BATCH = 50
_TEXT, _PING, _PONG = 1, 9, 10


class Arrivals:
    """Records when messages arrive. `moments` has for each message the times of its arrivals in
    order, in seconds of the performance counter; `lost` counts the subscribers that the server
    dropped.
    """

    def __init__(self) -> None:
        self.moments: dict[bytes, list[float]] = {}
        self.lost = 0

    def add(self, message: bytes, moment: float) -> None:
        """Record an arrival."""
        self.moments.setdefault(message, []).append(moment)

    def between(self, begin: float, end: float) -> list[list[float]]:
        """Return the arrival times of each message that first arrived in this interval."""
        return [moments for moments in self.moments.values() if begin <= moments[0] < end]


class _Subscriber(asyncio.Protocol):
    """One connection. `buffer` has the bytes that are not a complete message yet."""

    def __init__(self, request: bytes, arrivals: Arrivals) -> None:
        self._request = request
        self._arrivals = arrivals
        self._closing = False
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        # uvloop's transports have asyncio's interface, but not its class.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the handshake if it was not complete, or count a dropped subscriber."""
        if not self.answered.done():
            self.answered.set_exception(error or ConnectionError(f"refused: {self.buffer!r}"))
        elif not self._closing:
            self._arrivals.lost += 1

    def data_received(self, data: bytes) -> None:
        """Complete the handshake, and read the messages that have arrived."""
        moment = time.perf_counter()
        self.buffer += data
        if not self.answered.done():
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if not head.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")):
                self.answered.set_exception(ConnectionError(repr(head)))
                return
            self.buffer = rest
            self.answered.set_result(None)
        self.read(moment)

    def read(self, moment: float) -> None:
        """Read the complete messages in the buffer, all of which arrived at `moment`."""
        raise NotImplementedError

    def add_message(self, message: bytes, moment: float) -> None:
        """Record a message."""
        self._arrivals.add(message, moment)

    def close(self) -> None:
        """Close the connection; it does not count as lost."""
        self._closing = True
        if self.transport is not None:
            self.transport.abort()


class _WebSocket(_Subscriber):
    """Reads complete, unmasked frames; answers pings, so that the server does not drop it."""

    def read(self, moment: float) -> None:
        """Read the complete frames in the buffer."""
        buffer, at = self.buffer, 0
        while len(buffer) - at >= 2:
            kind, length, body = buffer[at] & 0x0F, buffer[at + 1], at + 2
            if length > 125:
                size = 2 if length == 126 else 8
                body += size
                length = int.from_bytes(buffer[body - size : body], "big")
                if len(buffer) < body:
                    break
            if len(buffer) < body + length:
                break
            payload = buffer[body : body + length]
            at = body + length
            if kind == _TEXT:
                self.add_message(payload, moment)
            elif kind == _PING and self.transport is not None:
                masked = bytes((0x80 | _PONG, 0x80 | length, 0, 0, 0, 0)) + payload
                self.transport.write(masked)
        self.buffer = buffer[at:]


class _ServerSent(_Subscriber):
    """Reads server-sent events in HTTP/1.1 chunks; a message is the data of an event. Heartbeats do
    not count, because each subscriber gets its own.
    """

    def __init__(self, request: bytes, arrivals: Arrivals) -> None:
        super().__init__(request, arrivals)
        self._text = b""

    def read(self, moment: float) -> None:
        """Read the complete chunks in the buffer."""
        while True:
            size, separator, rest = self.buffer.partition(b"\r\n")
            if not separator or len(rest) < (length := int(size, 16)) + 2:
                break
            self._text += rest[:length]
            self.buffer = rest[length + 2 :]
        *events, self._text = self._text.split(b"\n\n")
        for event in events:
            kind, separator, data = event.partition(b"data: ")
            if separator and not kind.startswith(b":"):
                self.add_message(data, moment)


SubscriberFactory = Callable[[Arrivals], _Subscriber]


def web_socket(path: str) -> SubscriberFactory:
    """Return a factory of subscribers of a WebSocket at this path."""
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n"
    ).encode()
    return lambda arrivals: _WebSocket(request, arrivals)


def server_sent(path: str) -> SubscriberFactory:
    """Return a factory of subscribers of server-sent events at this path."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
    return lambda arrivals: _ServerSent(request, arrivals)


async def follow(
    port: int, factory: SubscriberFactory, count: int, arrivals: Arrivals
) -> list[_Subscriber]:
    """Connect `count` subscribers to 127.0.0.1 and return them; the caller must close each of them.
    Raises ConnectionError if one is refused.
    """
    loop = asyncio.get_running_loop()
    subscribers: list[_Subscriber] = []
    left = deque([_BATCH] * (count // _BATCH) + [count % _BATCH])
    try:
        while left:
            opened = await asyncio.gather(
                *(
                    loop.create_connection(lambda: factory(arrivals), "127.0.0.1", port)
                    for _ in range(left.popleft())
                )
            )
            subscribers += [subscriber for _, subscriber in opened]
            await asyncio.gather(*(subscriber.answered for _, subscriber in opened))
    except BaseException:
        for subscriber in subscribers:
            subscriber.close()
        raise
    return subscribers
