"""Measure signed orders over REST, each durable when it is acknowledged, against a route of the
same server that does nothing.

The server is a process of its own on 127.0.0.1, with SQLite on the disk. This process sends the
load.
"""

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
import tempfile
import time

from bench.measure import Figure

ORDERS = 3000
CONNECTIONS = 32
KEY, SECRET = "a" * 64, "b" * 64


def run() -> list[Figure]:
    """Start the server, and return the figures. Raises RuntimeError if the server does not
    start.
    """
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.order_server", directory, KEY, SECRET],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            if server.stdout is None:
                raise RuntimeError("the server has no output")
            port = int(server.stdout.readline())
            return asyncio.run(_measure(port))
        finally:
            server.terminate()
            server.communicate(timeout=20)


async def _measure(port: int) -> list[Figure]:
    await _load(port, [_noop() for _ in range(500)])
    await _load(port, [_order(i, "w") for i in range(500)])
    noop_rate, _ = await _load(port, [_noop() for _ in range(ORDERS)])
    order_rate, waits = await _load(port, [_order(i, "o") for i in range(ORDERS)])
    waits.sort()
    ratio = order_rate / noop_rate
    return [
        Figure("signed durable REST orders", order_rate, "/s", "", None),
        Figure("a route that does nothing", noop_rate, "/s", "", None),
        Figure("orders / nothing", ratio, "x", ">= 0.7", ratio >= 0.7),
        Figure("order p50", waits[len(waits) // 2] * 1e3, "ms", "", None),
        Figure("order p99", waits[len(waits) * 99 // 100] * 1e3, "ms", "", None),
    ]


async def _load(port: int, requests: list[bytes]) -> tuple[float, list[float]]:
    """Send the requests over all connections; return requests per second, and each one's wall
    seconds.
    """
    waits: list[float] = []
    todo = iter(requests)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in todo:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head!r} {body!r}")
            waits.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return len(requests) / (time.perf_counter() - began), waits


def _noop() -> bytes:
    """Return a request to the route that does nothing."""
    return b"POST /noop HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"


def _order(number: int, prefix: str) -> bytes:
    """Return a signed order far from the market, which rests in the book."""
    params = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.0001",
        "price": f"{60000 + number % 500}",
        "newClientOrderId": f"{prefix}{number}",
        "newOrderRespType": "ACK",
        "timestamp": str(time.time_ns() // 1_000_000),
        "recvWindow": "60000",
    }
    query = "&".join(f"{k}={v}" for k, v in params.items())
    signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    body = f"{query}&signature={signature}".encode()
    head = (
        f"POST /api/v3/order HTTP/1.1\r\nhost: localhost\r\nx-mbx-apikey: {KEY}\r\n"
        f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    print(json.dumps([f._asdict() for f in run()], indent=2))
