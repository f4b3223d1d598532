"""Gives both ends of a WebSocket, which different libraries implement, one interface."""

from typing import Any, Protocol

from fastapi import WebSocket

from trading.links.clocks import CLOCK_HEADER, Clocks
from trading.links.instances import INSTANCE_HEADER

#: Wall seconds that a link's handshake may take.
HANDSHAKE_TIMEOUT = 5.0


class Socket(Protocol):
    """One end of a link."""

    async def receive(self) -> str | bytes:
        """Wait for the next message and return it. Raises when the connection has ended."""
        ...

    async def send(self, text: bytes) -> None:
        """Send one message of UTF-8 text. Raises when the connection has ended."""
        ...


class DialedSocket:
    """The end of a link that this process has opened, with a connection of ``websockets``."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def receive(self) -> str | bytes:
        """Wait for the next message. Raises websockets' ConnectionClosed after the end."""
        text: str | bytes = await self._connection.recv(decode=False)
        return text

    async def send(self, text: bytes) -> None:
        """Send one message. Raises websockets' ConnectionClosed after the end."""
        await self._connection.send(text, text=True)


class AcceptedSocket:
    """The end of a link that this process has accepted, with a WebSocket of FastAPI."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes:
        """Wait for the next message. Raises WebSocketDisconnect after the end."""
        return await self._socket.receive_text()

    async def send(self, text: bytes) -> None:
        """Send one message. Raises WebSocketDisconnect or RuntimeError after the end."""
        await self._socket.send_text(text.decode())


async def accept_link(socket: WebSocket, peer: str, instance: str, clocks: Clocks) -> None:
    """Accept the link of a peer, and send it the name of this instance and its wall time. The
    peer's wall time is compared with ``clocks``.
    """
    # The peer wrote its header at most one handshake timeout ago, by this machine's clock.
    since = clocks.now() - int(HANDSHAKE_TIMEOUT * 1e9)
    clocks.compare(peer, socket.headers.get(CLOCK_HEADER, ""), since)
    headers = {INSTANCE_HEADER: instance, CLOCK_HEADER: clocks.header_value()}
    await socket.accept(headers=[(n.lower().encode(), v.encode()) for n, v in headers.items()])
