"""HTTP as it comes in, before there is a request: a head that is too long or does not end.

The guard sees a request only when its head is complete. Until then a client could keep a
connection open for nothing, or fill the memory with one header.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from trading.hosting.connections import OF_PROCESS, Connections, is_urgent
from trading.hosting.guard import MAX_HEADER_BYTES, URGENT_ONLY

#: Wall seconds in which a request's head must have arrived, the first since the connection.
HEAD_TIME = 10.0
#: The same on a connection that was kept back.
URGENT_HEAD_TIME = 2.0


class Wire(HttpToolsProtocol):
    """For ``uvicorn.Config(http=Wire)``. Answers 408 and 431, and closes the connection. One over
    the limits of ``open_now`` gets answers to urgent requests only.
    """

    head_time = HEAD_TIME
    open_now: Connections = OF_PROCESS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting_since = self.loop.time()
        self._head = 0
        self._timer: asyncio.TimerHandle | None = None
        self._urgent_only = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        client = self.client[0] if self.client is not None else ""
        if not self.open_now.enter(transport, client):
            self._urgent_only = True
            self.head_time = min(self.head_time, URGENT_HEAD_TIME)
        self._timer = self.loop.call_later(self.head_time, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.open_now.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._waiting_since and (self.cycle is None or self.cycle.response_complete):
            self._waiting_since = self.loop.time()
        super().data_received(data)
        if self._waiting_since:
            self._head += len(data)
            if self._head > MAX_HEADER_BYTES:
                self._refuse(431)

    def on_headers_complete(self) -> None:
        self._waiting_since = 0.0
        self._head = 0
        if self._urgent_only:
            self.open_now.asked(self.transport)
            self.scope["extensions"] = {URGENT_ONLY: {}}
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        if self._urgent_only and not is_urgent(self.url.partition(b"?")[0].decode("latin-1")):
            self._refuse(503)
            return
        super().handle_websocket_upgrade()

    def _look(self) -> None:
        """One timer a connection, not one a request."""
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        wait = self.head_time
        if self._waiting_since:
            wait -= self.loop.time() - self._waiting_since
            if wait <= 0:
                self._refuse(408)
                return
        self._timer = self.loop.call_later(wait, self._look)

    def _refuse(self, status: int) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()


class CountedSocket(WebSocketsSansIOProtocol):
    """For ``uvicorn.Config(ws=CountedSocket)``: a WebSocket that is counted until it is closed."""

    open_now: Connections = OF_PROCESS

    def connection_lost(self, exc: Exception | None) -> None:
        self.open_now.leave(self.transport)
        super().connection_lost(exc)
