"""Both ends of a WebSocket, alike."""

from typing import Any, Protocol

from fastapi import WebSocket


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
