"""A real ``trading up`` on ports of its own, as a user starts it."""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

import httpx

from tests.forked import start

PORTS = range(8080, 8087)


_reserved: list[TextIO] = []


def free_offset() -> int:
    """An offset whose seven ports are free, and this process's until it ends.

    Test workers pick ports at the same time, so a look alone is a race: a lock on a file
    decides. All ports are below the kernel's range for outgoing connections.
    """
    locks = Path(tempfile.gettempdir()) / "trading-test-ports"
    locks.mkdir(exist_ok=True)
    for offset in range(1000, 24_600, 100):
        lock = (locks / str(offset)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.ExitStack() as taken:
                for port in PORTS:
                    taken.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
        except OSError:
            lock.close()
            continue
        _reserved.append(lock)
        return offset
    raise RuntimeError("no seven free ports")


class Up:
    """``url``: by service; ``credentials``: what ``trading up`` made."""

    #: Quicker, see tests.forked.
    _forked = True

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.offset = free_offset()
        self._environment = environment
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PORT_OFFSET": str(self.offset), **self._environment}
        beside = self.data.parent
        self._output, self.log = (beside / f"{self.data.name}.{end}" for end in ("out", "log"))
        self._output.unlink(missing_ok=True)
        command = ["up", "--data", str(self.data)]
        self.process = start(
            command, environment, beside, self._output, self.log, forked=self._forked
        )
        self.url: dict[str, str] = {}
        wait_for("trading up", self._ready, 240, every=0.02)
        for line in self._said()[0].splitlines():
            name, _, url = line.rpartition(" ")
            self.url[name.strip()] = url.strip()
        self.credentials: dict[str, Any] = json.loads((self.data / "credentials.json").read_text())
        self.exchange = self.client()

    def client(self) -> "Client":
        """Another client of the exchange with the same key; its caller closes it."""
        known = self.credentials
        return Client(self.url["exchange"], known["api_key"], known["api_secret"])

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Exit code and the last words."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self.exchange.http.close()
        return code, self._said()[1]

    def _said(self) -> tuple[str, str]:
        """What it has printed before it was ready, and since then; nothing while it is not."""
        printed = self._output.read_text() if self._output.exists() else ""
        before, ready, more = printed.partition("\nready")
        return (before, more.partition("\n")[2]) if ready else ("", "")

    def _ready(self) -> bool:
        ended = self.process.poll() is not None
        if self._said()[0]:
            return True
        if ended:
            raise RuntimeError(f"trading up ended: {self.log.read_text()}")
        return False

    @property
    def operator(self) -> dict[str, str]:
        """Headers of who may act at the risk monitor."""
        return {"Authorization": f"Bearer {self.credentials['risk_token']}"}

    def coordinator(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.credentials['chaos_token']}"}
        return httpx.Client(base_url=self.url["test-coordinator"], headers=headers, timeout=30)


class UpFromNothing(Up):
    """As a user starts it: all is imported anew."""

    _forked = False


def secrets_of(credentials: dict[str, Any]) -> list[str]:
    """Every value, however deep."""
    found: list[str] = []
    for value in credentials.values():
        found += secrets_of(value) if isinstance(value, dict) else [value]
    return found


class Client:
    """Signs as Binance's documentation says."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._secret = secret.encode()
        self.http = httpx.Client(base_url=url, headers={"X-MBX-APIKEY": key}, timeout=10)

    def signed(self, method: str, path: str, **params: Any) -> httpx.Response:
        params.setdefault("timestamp", time.time_ns() // 1_000_000)
        query = "&".join(f"{k}={v}" for k, v in params.items())
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        return self.http.request(method, f"/api/v3/{path}?{query}&signature={signature}")

    def order(self, **params: Any) -> httpx.Response:
        return self.signed("POST", "order", **params)


def wait_for(what: str, condition: Any, seconds: float = 60, every: float = 0.05) -> Any:
    """Poll until ``condition()`` is true; AssertionError naming ``what`` otherwise."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s for {what}")
