"""A real ``trading up`` on ports of its own, as a user starts it."""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

import httpx

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

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.offset = free_offset()
        self._environment = environment
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PORT_OFFSET": str(self.offset), **self._environment}
        self.log = (self.data.parent / f"{self.data.name}.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trading.cli", "up", "--data", str(self.data)],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment,
            cwd=self.data.parent,
        )
        self.url: dict[str, str] = {}
        if self.process.stdout is None:
            raise RuntimeError("no output")
        for line in self.process.stdout:
            if line.startswith("ready"):
                break
            name, _, url = line.partition(" ")
            self.url[name] = url.strip()
        else:
            self.process.communicate()
            self.log.close()
            raise RuntimeError(f"trading up ended: {Path(self.log.name).read_text()}")
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
        output, _ = self.process.communicate(timeout=20)
        self.log.close()
        self.exchange.http.close()
        return self.process.returncode, output

    def coordinator(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.credentials['chaos_token']}"}
        return httpx.Client(base_url=self.url["test-coordinator"], headers=headers, timeout=30)


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


def wait_for(what: str, condition: Any, seconds: float = 60) -> Any:
    """Poll until ``condition()`` is true; AssertionError naming ``what`` otherwise."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")
