"""Runs docker, helm and kubectl."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from trading.deploy.environments import DeploymentError

#: Seconds that a command may take that waits for nothing.
_PATIENCE = 120


class Commands:
    """``program``: found by PATH; ``hint``: what to do where there is none."""

    def __init__(
        self, program: str, hint: str, directory: Path, environment: Mapping[str, str] = {}
    ) -> None:
        self._program = program
        self._hint = hint
        self._directory = directory
        self._environment = {**os.environ, **environment}

    def run(self, *words: str, seconds: float = _PATIENCE, what: str = "") -> str:
        """What it says. Raises DeploymentError with what it complains about; ``what``: the command
        for people, where its words are too many.
        """
        what = what or " ".join((self._program, *words[:3]))
        try:
            done = subprocess.run(  # noqa: S603
                [self._path(), *words],
                cwd=self._directory,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DeploymentError(f"{what}: no answer in {seconds:.0f} s") from error
        if done.returncode:
            told = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise DeploymentError(f"{what}: {told[-1] if told else done.returncode}")
        return done.stdout

    def works(self, *words: str) -> bool:
        try:
            self.run(*words)
        except DeploymentError:
            return False
        return True

    def lines(self, *words: str) -> Iterator[str]:
        """As they come, until it ends; it is ended with the iterator."""
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
        found = shutil.which(self._program, path=self._environment.get("PATH"))
        if found is None:
            raise DeploymentError(f"there is no {self._program} here: {self._hint}")
        return found
