"""Start a real `trading up` on free ports of 127.0.0.1, as a user does."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from trading.topology import SERVICES

#: Wall seconds to wait for the processes to start, and to end.
TIMEOUT = 60


def free_offset() -> int:
    """Return an offset at which the ports of all seven services are free now. They are below the
    range that the system uses for outgoing connections, and differ from the tests' ports, whose
    offsets are multiples of 100. Raises RuntimeError if there is none.
    """
    for offset in range(1050 + os.getpid() % 100 * 100, 24_000, 100):
        sockets = [socket.socket() for _ in SERVICES]
        try:
            for bound, service in zip(sockets, SERVICES.values(), strict=True):
                bound.bind(("127.0.0.1", service.port + offset))
        except OSError:
            continue
        finally:
            for bound in sockets:
                bound.close()
        return offset
    raise RuntimeError("no offset with seven free ports")


class Running:
    """A running `trading up`; a context manager that stops it at the end.

    `speed` is simulated seconds per wall second. `ports` has the port of each service; `key`,
    `secret` and `token` are the credentials that it generated. `start_seconds` is the wall time
    from the command to its message that it is ready. Raises RuntimeError, with what it logged, if
    it ends before it is ready.
    """

    def __init__(self, *, speed: float = 1) -> None:
        self._directory = tempfile.TemporaryDirectory()
        offset = free_offset()
        self.ports = {name: service.port + offset for name, service in SERVICES.items()}
        self._errors = (Path(self._directory.name) / "log").open("w+", encoding="utf-8")
        settings = {"PORT_OFFSET": str(offset), "SIM_SPEED": str(speed), "JOURNAL": "sqlite"}
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trading.cli", "up", "--data", "data"],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **settings},
            cwd=self._directory.name,
        )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - begun
        path = Path(self._directory.name) / "data" / "credentials.json"
        credentials = json.loads(path.read_text(encoding="utf-8"))
        self.key: str = credentials["api_key"]
        self.secret: str = credentials["api_secret"]
        self.token: str = credentials["chaos_token"]

    def __enter__(self) -> "Running":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> float:
        """Send SIGINT, as Ctrl-C does; return the wall seconds until the process has ended. May be
        called once only.
        """
        begun = time.perf_counter()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        seconds = time.perf_counter() - begun
        self._errors.close()
        self._directory.cleanup()
        return seconds

    def cpu_seconds(self) -> float:
        """Return the processor seconds that the process has used so far. Linux only, as is
        `megabytes`.
        """
        # The clock id of clock_getcpuclockid(3). /proc counts in hundredths of a second only.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def megabytes(self) -> float:
        """Return the resident memory of the process in MB."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def _await_ready(self) -> None:
        if self.process.stdout is None:
            raise RuntimeError("trading up has no output")
        for line in self.process.stdout:
            if line.startswith("ready"):
                return
        self.process.wait(TIMEOUT)
        self._errors.seek(0)
        raise RuntimeError(f"trading up ended: {self._errors.read()}")
