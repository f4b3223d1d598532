"""The ``trading`` command in processes that are forked from one that has imported it already: each
then needs no second of imports. All else is as ``python -m trading.cli`` has it: arguments, the
environment, the directory, files for what is printed, signals and exit codes. What is read before
``main`` begins is the first process's: ``PYTHONPATH`` and the limit of descriptors.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from pathlib import Path

_PRELOADED = ["trading.cli.__main__", "trading.server.serve", "trading.server.up"]


class Forked:
    """Starts ``trading`` with ``arguments``; has what is needed of a ``subprocess.Popen``."""

    def __init__(
        self, arguments: list[str], env: Mapping[str, str], cwd: Path, stdout: Path, stderr: Path
    ) -> None:
        for path in (stdout, stderr):
            path.touch()
        process_arguments = (arguments, dict(env), str(cwd), str(stdout), str(stderr))
        self._process = _context().Process(target=_command, args=process_arguments)
        self._process.start()
        # Whatever a test forgets must not be waited for in the end.
        atexit.register(self._process.kill)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("trading", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it; nothing where the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def start(
    arguments: list[str],
    env: Mapping[str, str],
    cwd: Path,
    stdout: Path,
    stderr: Path,
    *,
    forked: bool = True,
) -> "Forked | subprocess.Popen[bytes]":
    """Start ``trading`` with ``arguments``, whose output is added to the files; ``forked`` or, as a
    user does, from nothing.
    """
    if forked:
        return Forked(arguments, env, cwd, stdout, stderr)
    with stdout.open("ab") as output, stderr.open("ab") as errors:
        command = [sys.executable, "-m", "trading.cli", *arguments]
        return subprocess.Popen(command, stdout=output, stderr=errors, env=env, cwd=cwd)


def command(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 300,
    forked: bool = True,
) -> "subprocess.CompletedProcess[str]":
    """Run ``trading`` until it ends. ``env`` is added to this process's."""
    with tempfile.TemporaryDirectory(prefix="trading-") as directory:
        stdout, stderr = Path(directory, "stdout"), Path(directory, "stderr")
        environment = {**os.environ, **(env or {})}
        words = list(arguments)
        process = start(words, environment, cwd or Path.cwd(), stdout, stderr, forked=forked)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(
            ["trading", *words], code, stdout.read_text(), stderr.read_text()
        )


def _context() -> ForkServerContext:
    """The server starts with the first process and ends with this one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def _command(
    arguments: list[str],
    env: dict[str, str],
    cwd: str,
    stdout: str,
    stderr: str,
) -> None:
    """Be ``python -m trading.cli`` in the new process."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for path, descriptor in ((stdout, 1), (stderr, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["trading", *arguments]
    from trading.cli.__main__ import main

    main()
