"""Starts, stops, pauses and kills the processes of :mod:`tests.leases.worker`."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.leases.worker import ACCOUNTS

_ROOT = Path(__file__).parents[2]


class Instance:
    """A process of the worker. ``held``, ``usable`` and ``problem`` are the values that it reported
    last; ``reports`` has all reports. ``ttl`` is the lifetime of its leases in seconds; with
    ``log`` it writes changes to Redis.
    """

    def __init__(self, url: str, name: str, *, ttl: float = 3.0, log: bool = False) -> None:
        self.name = name
        self.held: dict[str, int] = {}
        self.usable: dict[str, int] = {}
        self.problem = "?"
        self.reports: list[dict[str, Any]] = []
        self.paused = False
        command = [sys.executable, "-m", "tests.leases.worker", url, name, "--ttl", str(ttl)]
        path = os.pathsep.join([str(_ROOT / "services"), str(_ROOT)])
        self.process = subprocess.Popen(
            [*command, *(["--log"] if log else [])],
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.alive:
            self.kill()

    @property
    def alive(self) -> bool:
        """Whether the process runs or is paused."""
        return self.process.poll() is None

    def leave(self) -> None:
        """Send SIGTERM and wait until it has exited. Raises RuntimeError if its status is not 0."""
        until(lambda: bool(self.reports))
        self.process.terminate()
        try:
            status = self.process.wait(20)
        finally:
            self.kill()
        if status:
            raise RuntimeError(f"{self.name} ended with {status}")

    def kill(self) -> None:
        """Send SIGKILL and wait until all of its output is read."""
        self.process.kill()
        self.process.wait(20)
        self._reader.join()

    def pause(self) -> None:
        """Send SIGSTOP and wait until the process has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
        self.paused = True

    def resume(self) -> None:
        """Send SIGCONT."""
        self.paused = False
        self.process.send_signal(signal.SIGCONT)

    def _read(self) -> None:
        output = self.process.stdout
        if output is None:
            raise RuntimeError("no output")
        with output:
            for line in output:
                report = json.loads(line)
                self.held = report.get("held", self.held)
                self.usable = report.get("usable", self.usable)
                self.problem = report.get("problem", self.problem)
                self.reports.append(report)


@contextmanager
def instances(url: str, *names: str, ttl: float = 3.0) -> Iterator[list[Instance]]:
    """Start one instance for each name; kill those that are still alive at the end."""
    started: list[Instance] = []
    try:
        for name in names:
            started.append(Instance(url, name, ttl=ttl))
        yield started
    finally:
        for instance in started:
            if instance.alive:
                instance.kill()


def until(condition: Callable[[], bool], within: float = 20.0) -> float:
    """Wait until ``condition()`` is true; return the seconds. Raises AssertionError after
    ``within``.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within} s")
        time.sleep(0.01)
    return time.monotonic() - began


def split(among: Sequence[Instance]) -> bool:
    """Return whether each account is held by exactly one instance, and all hold equally many."""
    held = [account for i in among for account in i.held]
    sizes = [len(i.held) for i in among]
    return sorted(held) == sorted(ACCOUNTS) and max(sizes) - min(sizes) <= 1
