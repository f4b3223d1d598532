"""Both ends of a WebSocket, alike."""

from typing import Any, Protocol

from fastapi import WebSocket

from trading.links.clocks import CLOCK, Clocks
from trading.links.instances import INSTANCE

#: Wall seconds that a link's handshake may take.
HANDSHAKE = 5.0


class Socket(Protocol):
    async def receive(self) -> str | bytes: ...
    async def send(self, text: bytes) -> None: ...


class Dialled:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def receive(self) -> str | bytes:
        found: str | bytes = await self._connection.recv(decode=False)
        return found

    async def send(self, text: bytes) -> None:
        await self._connection.send(text, text=True)


class Accepted:
    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str | bytes:
        return await self._socket.receive_text()

    async def send(self, text: bytes) -> None:
        await self._socket.send_text(text.decode())


async def accept(socket: WebSocket, peer: str, instance: str, clocks: Clocks) -> None:
    """Accept a caller's link, and say which instance is here and what its clock shows."""
    # By our clock it was said at most as long ago as a handshake may take.
    since = clocks.now() - int(HANDSHAKE * 1e9)
    clocks.compare(peer, socket.headers.get(CLOCK, ""), since)
    said = {INSTANCE: instance, CLOCK: clocks.shown()}
    await socket.accept(headers=[(n.lower().encode(), v.encode()) for n, v in said.items()])
