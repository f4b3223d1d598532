"""Limits the head of an HTTP request while it is received: its size, and the time it takes.

The guard sees a request only when its head is complete. Without these limits a client could keep a
connection open for nothing, or fill the memory with one header.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from trading.hosting.connections import PROCESS_CONNECTIONS, Connections, is_urgent
from trading.hosting.guard import MAX_HEADER_BYTES, URGENT_ONLY

#: Wall seconds in which a request's head must arrive; the first one counts from the connection.
HEAD_TIME = 10.0
#: The same on a reserved connection.
URGENT_HEAD_TIME = 2.0


class HeaderTimeoutProtocol(HttpToolsProtocol):
    """An HTTP protocol for uvicorn that answers 408 and 431 while a request's head arrives.

    Use it as ``uvicorn.Config(http=Wire)``. A connection beyond ``connection_limits`` is
    served urgent requests only. Times are in wall seconds.
    """

    head_timeout = HEAD_TIME
    connection_limits: Connections = PROCESS_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting_since = self.loop.time()
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._urgent_only = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, and start the timer for the head of its first request."""
        super().connection_made(transport)
        client = self.client[0] if self.client is not None else ""
        if not self.connection_limits.enter(transport, client):
            self._urgent_only = True
            self.head_timeout = min(self.head_timeout, URGENT_HEAD_TIME)
        self._timer = self.loop.call_later(self.head_timeout, self._check_deadline)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer, and stop counting the connection."""
        if self._timer is not None:
            self._timer.cancel()
        self.connection_limits.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; refuse a head that is too large."""
        if not self._waiting_since and (self.cycle is None or self.cycle.response_complete):
            self._waiting_since = self.loop.time()
        super().data_received(data)
        if self._waiting_since:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEADER_BYTES:
                self._refuse(431)

    def on_headers_complete(self) -> None:
        """Begin the request; on a reserved connection, mark it as limited to urgent requests."""
        self._waiting_since = 0.0
        self._head_bytes = 0
        if self._urgent_only:
            self.connection_limits.mark_requested(self.transport)
            self.scope["extensions"] = {URGENT_ONLY: {}}
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Upgrade the connection, unless it is reserved and the path is not urgent."""
        if self._urgent_only and not is_urgent(self.url.partition(b"?")[0].decode("latin-1")):
            self._refuse(503)
            return
        super().handle_websocket_upgrade()

    def _check_deadline(self) -> None:
        """Refuse a head that is late. One timer serves a connection, not one for each request."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        wait = self.head_timeout
        if self._waiting_since:
            wait -= self.loop.time() - self._waiting_since
            if wait <= 0:
                self._refuse(408)
                return
        self._timer = self.loop.call_later(wait, self._check_deadline)

    def _refuse(self, status: int) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()


class CountedWebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket protocol for uvicorn that keeps counting the connection until it is closed.

    Use it as ``uvicorn.Config(ws=CountedWebSocketProtocol)``.
    """

    connection_limits: Connections = PROCESS_CONNECTIONS

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        self.connection_limits.leave(self.transport)
        super().connection_lost(exc)
