"""Starts a real `trading up` on ports of its own, as a user does."""

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
from typing import Any, Protocol, TextIO

import httpx

from tests.forked import start

PORTS = range(8080, 8087)


_reserved: list[TextIO] = []


def free_offset() -> int:
    """Return a port offset whose seven ports are free, and which is reserved until this process
    ends.

    Test workers choose ports at the same time, so that checking alone would be a race: a lock on a
    file decides. All ports are below the kernel's range for outgoing connections.
    """
    locks = Path(tempfile.gettempdir()) / "trading-test-ports"
    locks.mkdir(exist_ok=True)
    for offset in range(1000, 24_600, 100):
        lock = (locks / str(offset)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.ExitStack() as sockets:
                for port in PORTS:
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
        except OSError:
            lock.close()
            continue
        _reserved.append(lock)
        return offset
    raise RuntimeError("no seven free ports")


class Up:
    """A process of `trading up` with the data directory `data` and additional environment
    variables.

    `url` holds the URLs of the services by name, `credentials` those that `trading up` generated.
    """

    #: Fork instead of starting a new interpreter, which is faster; see tests.forked.
    _forked = True

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.offset = free_offset()
        self._environment = environment
        self.start()

    def start(self) -> None:
        """Start the process and wait until it is ready."""
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
        for line in self._printed()[0].splitlines():
            name, _, url = line.rpartition(" ")
            self.url[name.strip()] = url.strip()
        self.credentials: dict[str, Any] = json.loads((self.data / "credentials.json").read_text())
        self.exchange = self.client()

    def client(self) -> "Client":
        """Return another client of the exchange with the same key; the caller closes it."""
        credentials = self.credentials
        return Client(self.url["exchange"], credentials["api_key"], credentials["api_secret"])

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Stop the process with the signal `number`; return its exit code and what it printed after
        it was ready.
        """
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self.exchange.http.close()
        return code, self._printed()[1]

    def _printed(self) -> tuple[str, str]:
        """Return what the process printed before it was ready, and after that; two empty strings
        while it is not ready.
        """
        printed = self._output.read_text() if self._output.exists() else ""
        before, ready, more = printed.partition("\nready")
        return (before, more.partition("\n")[2]) if ready else ("", "")

    def _ready(self) -> bool:
        ended = self.process.poll() is not None
        if self._printed()[0]:
            return True
        if ended:
            raise RuntimeError(f"trading up ended: {self.log.read_text()}")
        return False

    @property
    def operator(self) -> dict[str, str]:
        """The headers with which an operator may act at the risk monitor."""
        return {"Authorization": f"Bearer {self.credentials['risk_token']}"}

    def coordinator(self) -> httpx.Client:
        """Return a client of the test coordinator that may start runs; the caller closes it."""
        headers = {"Authorization": f"Bearer {self.credentials['chaos_token']}"}
        return httpx.Client(base_url=self.url["test-coordinator"], headers=headers, timeout=30)


class UpFromNothing(Up):
    """A process that is started as a user does it: in a new interpreter, which imports
    everything.
    """

    _forked = False


def secrets_of(credentials: dict[str, Any]) -> list[str]:
    """Return all values of nested credentials."""
    secrets: list[str] = []
    for value in credentials.values():
        secrets += secrets_of(value) if isinstance(value, dict) else [value]
    return secrets


class Client:
    """A client of the exchange that signs requests as Binance's documentation says."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._secret = secret.encode()
        self.http = httpx.Client(base_url=url, headers={"X-MBX-APIKEY": key}, timeout=10)

    def signed(self, method: str, path: str, **params: Any) -> httpx.Response:
        """Send a signed request."""
        params.setdefault("timestamp", time.time_ns() // 1_000_000)
        query = "&".join(f"{k}={v}" for k, v in params.items())
        signature = hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()
        return self.http.request(method, f"/api/v3/{path}?{query}&signature={signature}")

    def order(self, **params: Any) -> httpx.Response:
        """Place an order."""
        return self.signed("POST", "order", **params)


class Running(Protocol):
    """Services that run, in one process or in several; ``url`` has their addresses by name."""

    url: dict[str, str]

    def coordinator(self) -> httpx.Client:
        """Return a client of the test coordinator that may begin runs; its caller closes it."""
        ...


def quoted(services: Running) -> bool:
    """Return whether the book of BTCUSDT has a bid."""
    top = httpx.get(services.url["exchange"] + "/api/v3/ticker/bookTicker?symbol=BTCUSDT").json()
    return bool(float(top["bidPrice"]))


def verdict_of(services: Running, run_id: str, seconds: float = 300) -> dict[str, Any]:
    """Wait until a run is judged, and return its verdict."""
    with services.coordinator() as coordinator:

        def stored_verdict() -> Any:
            return coordinator.get(f"/runs/{run_id}").json()["verdict"]

        verdict: dict[str, Any] = wait_for("the verdict", stored_verdict, seconds)
    return verdict


#: A machine that does other work besides may take so many times longer than a quiet one.
_BUSY = 5


def wait_for(what: str, condition: Any, seconds: float = 60, every: float = 0.05) -> Any:
    """Call `condition` every `every` seconds until it returns something true, and return that.
    Raises AssertionError that names `what` after `seconds` of a quiet machine, which are more on a
    busy one.
    """
    seconds *= _BUSY
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if result := condition():
            return result
        time.sleep(every)
    raise AssertionError(f"waited {seconds:g} s for {what}")
