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
    """``held``, ``usable`` and ``problem``: what it has said last; ``said``: all of it."""

    def __init__(self, url: str, name: str, *, ttl: float = 3.0, log: bool = False) -> None:
        self.name = name
        self.held: dict[str, int] = {}
        self.usable: dict[str, int] = {}
        self.problem = "?"
        self.said: list[dict[str, Any]] = []
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
        return self.process.poll() is None

    def leave(self) -> None:
        """SIGTERM, and wait for its end in order."""
        until(lambda: bool(self.said))
        self.process.terminate()
        try:
            status = self.process.wait(20)
        finally:
            self.kill()
        if status:
            raise RuntimeError(f"{self.name} ended with {status}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)
        self._reader.join()

    def pause(self) -> None:
        """SIGSTOP; returns once it stands still."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self.process.send_signal(signal.SIGCONT)

    def _read(self) -> None:
        output = self.process.stdout
        if output is None:
            raise RuntimeError("no output")
        with output:
            for line in output:
                found = json.loads(line)
                self.held = found.get("held", self.held)
                self.usable = found.get("usable", self.usable)
                self.problem = found.get("problem", self.problem)
                self.said.append(found)


@contextmanager
def instances(url: str, *names: str, ttl: float = 3.0) -> Iterator[list[Instance]]:
    """Some of them; whoever is still alive at the end is killed."""
    made: list[Instance] = []
    try:
        for name in names:
            made.append(Instance(url, name, ttl=ttl))
        yield made
    finally:
        for instance in made:
            if instance.alive:
                instance.kill()


def until(condition: Callable[[], bool], within: float = 20.0) -> float:
    """Wait for it; returns how long that took, seconds. AssertionError after ``within``."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within} s")
        time.sleep(0.01)
    return time.monotonic() - began


def split(among: Sequence[Instance]) -> bool:
    """Every account is held once, by one of these, and evenly."""
    held = [account for i in among for account in i.held]
    sizes = [len(i.held) for i in among]
    return sorted(held) == sorted(ACCOUNTS) and max(sizes) - min(sizes) <= 1
