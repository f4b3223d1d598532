"""An HTTP client with little overhead: HTTP/1.1 over asyncio's streams, to 127.0.0.1 only."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any


class Client:
    """One connection to a service; it sends one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Client":
        """Connect to a port of 127.0.0.1."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, request: bytes) -> Any:
        """Send a request; return the JSON of its response. Raises RuntimeError if the status is not
        2xx.
        """
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"http/1.1 2"):
            raise RuntimeError(f"{request!r}: {head!r} {body!r}")
        return json.loads(body)

    async def events(self, path: str) -> AsyncIterator[tuple[float, bytes]]:
        """Yield the data of each server-sent event, with the time of its arrival in seconds of the
        performance counter. The connection cannot be used for other requests afterwards. Raises
        RuntimeError if the status is not 200.
        """
        self._writer.write(get(path))
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path}: {head!r}")
        gathered = b""
        while size := int(await self._reader.readline(), 16):
            gathered += (await self._reader.readexactly(size + 2))[:-2]
            arrived = time.perf_counter()
            *whole, gathered = gathered.split(b"\n\n")
            for event in whole:
                _, separator, data = event.partition(b"data: ")
                if separator:
                    yield arrived, data

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


def get(path: str) -> bytes:
    """Return a GET request."""
    return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


def post(path: str, body: object, token: str) -> bytes:
    """Return a POST request with a JSON body and a bearer token."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def order(key: str, secret: str, **params: str) -> bytes:
    """Return a signed `POST /api/v3/order` with the current time as its timestamp."""
    params["timestamp"] = str(time.time_ns() // 1_000_000)
    query = "&".join(f"{name}={value}" for name, value in params.items())
    signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    path = f"/api/v3/order?{query}&signature={signature}"
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nx-mbx-apikey: {key}\r\n"
        "content-length: 0\r\n\r\n"
    )
    return head.encode()
