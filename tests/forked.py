"""Run the `trading` command in processes forked from one that has imported it already, which saves
a second of imports each time.

Everything else is as with `python -m trading.cli`: arguments, environment, working directory, files
for the output, signals and exit codes. What Python reads before `main` begins is that of the first
process: `PYTHONPATH` and the limit of file descriptors.
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
    """A forked process that runs `trading` with `arguments`. It has the part of the interface of
    `subprocess.Popen` that the tests need.
    """

    def __init__(
        self, arguments: list[str], env: Mapping[str, str], cwd: Path, stdout: Path, stderr: Path
    ) -> None:
        for path in (stdout, stderr):
            path.touch()
        process_arguments = (arguments, dict(env), str(cwd), str(stdout), str(stderr))
        self._process = _context().Process(target=_command, args=process_arguments)
        self._process.start()
        # A process that a test does not stop must not block the end of the test run.
        atexit.register(self._process.kill)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return the exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return `returncode`."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process; return its exit code. Raises
        subprocess.TimeoutExpired.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("trading", timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal; do nothing if the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
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
    """Start `trading` with `arguments`, and append its output to the files. If not `forked`, start
    a new interpreter, as a user does.
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
    """Run `trading` to its end. `env` is added to the environment of this process. Raises
    subprocess.TimeoutExpired.
    """
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
    """Return the context of the fork server, which starts with the first process and ends with this
    one.
    """
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
    """Act as `python -m trading.cli` in the new process."""
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
