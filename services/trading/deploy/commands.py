"""Run docker, helm, kind and kubectl, and turn their failures into DeploymentError."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from trading.deploy.environments import DeploymentError

#: The default timeout of a command, in wall seconds.
_TIMEOUT = 120


class Commands:
    """Runs one program in one directory.

    `program` is looked up in PATH. `hint` tells the user what to do if it is not installed; it
    becomes part of the error message. `environment` is added to the environment of this process.
    """

    def __init__(
        self, program: str, hint: str, directory: Path, environment: Mapping[str, str] = {}
    ) -> None:
        self._program = program
        self._hint = hint
        self._directory = directory
        self._environment = {**os.environ, **environment}

    def run(self, *words: str, seconds: float = _TIMEOUT, label: str = "") -> str:
        """Run the program with the arguments `words` and return its standard output.

        `seconds` is the timeout. `label` names the command in error messages; without it, the
        program and its first three arguments do. Raises DeploymentError with the last line of
        the program's output if it fails, does not end in time, or is not installed.
        """
        label = label or " ".join((self._program, *words[:3]))
        try:
            completed = subprocess.run(  # noqa: S603
                [self._path(), *words],
                cwd=self._directory,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DeploymentError(f"{label}: no answer in {seconds:.0f} s") from error
        if completed.returncode:
            output = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
            raise DeploymentError(f"{label}: {output[-1] if output else completed.returncode}")
        return completed.stdout

    def works(self, *words: str) -> bool:
        """Return whether the program exits successfully with the arguments `words`."""
        try:
            self.run(*words)
        except DeploymentError:
            return False
        return True

    def lines(self, *words: str) -> Iterator[str]:
        """Run the program and yield the lines of its output as they arrive, errors included.

        Closing the iterator terminates the program. Raises DeploymentError if the program is not
        installed.
        """
        process = subprocess.Popen(  # noqa: S603
            [self._path(), *words],
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if process.stdout is None:
            raise DeploymentError(f"{self._program}: no output")
        try:
            for line in process.stdout:
                yield line.rstrip("\n")
        finally:
            process.terminate()
            process.wait()

    def _path(self) -> str:
        path = shutil.which(self._program, path=self._environment.get("PATH"))
        if path is None:
            raise DeploymentError(f"there is no {self._program} here: {self._hint}")
        return path
