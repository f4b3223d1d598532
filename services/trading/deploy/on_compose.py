"""A deployment by docker compose, on this machine."""

import json
import os
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from trading.deploy.commands import Commands
from trading.deploy.environments import (
    SECRETS_VARIABLE,
    DeploymentError,
    Environment,
    project_of,
    variables,
)
from trading.deploy.ready import parsed, question
from trading.deploy.state import DONE, FAILED, HEALTHY, MISSING, STARTING, Line, State

#: Do their work and end.
ONCE = ("secrets", "database")
_OURS = "trading-ecosystem"


class OnCompose:
    def __init__(self, environment: Environment, directory: Path) -> None:
        self._environment = environment
        self._directory = directory
        self._docker = Commands(
            "docker", "install Docker Engine with its compose plugin", directory
        )
        self._options = ["--project-name", project_of(environment)]
        self._options += ["--file", str(environment.compose_file)]
        for path in variables(environment, directory):
            self._options += ["--env-file", str(path)]
        text = (directory / environment.compose_file).read_text(encoding="utf-8")
        self._file: dict[str, Any] = yaml.safe_load(text)

    def check(self) -> None:
        if not self._docker.works("version"):
            self._docker.run("--version")
            raise DeploymentError(
                "no Docker engine answers: start it, or set DOCKER_HOST to where one is"
            )
        if SECRETS_VARIABLE in (
            self._directory / self._environment.compose_file
        ).read_text() and not (os.environ.get(SECRETS_VARIABLE)):
            raise DeploymentError(
                f"{SECRETS_VARIABLE}: {self._environment.name} needs secrets that you keep:"
                " trading secrets DIR --no-chaos --tls --owned, then set it to DIR"
            )
        self._compose("config", "--quiet")

    def prepare(self, without: Iterable[str], tell: Callable[[str], None]) -> None:
        missing = []
        images = json.loads(self._compose("config", "--format", "json"))["services"]
        for image in dict.fromkeys(
            found["image"] for name, found in images.items() if name not in without
        ):
            if self._docker.works("image", "inspect", image):
                continue
            if not image.startswith(_OURS):
                tell(f"pulling {image}")
                if self._docker.works("pull", "--quiet", image):
                    continue
            users = [name for name, found in images.items() if found["image"] == image]
            missing.append((image, users))
        if missing:
            raise DeploymentError("\n".join(_why(image, users) for image, users in missing))

    def apply(self, without: Iterable[str]) -> None:
        names = [name for name in self._file["services"] if name not in without]
        self._compose("up", "--detach", "--remove-orphans", *names, seconds=600)

    def states(self) -> list[State]:
        found: dict[str, list[State]] = {}
        for container in self._containers():
            name = container["Service"]
            found.setdefault(name, []).append(_state(name, container))
        made = []
        for states in found.values():
            made.append(next((s for s in states if s.status not in (HEALTHY, DONE)), states[0]))
        wanted = [n for n in self._file["services"] if n not in ONCE]
        missing = [State(n, MISSING, "not deployed") for n in wanted if n not in found]
        return sorted([*made, *missing])

    def dependencies(self, component: str) -> dict[str, str]:
        try:
            said = self._compose("exec", "-T", component, *question(component))
        except DeploymentError as error:
            return {"ready": str(error)}
        return parsed(said)

    def tail(self, component: str, lines: int) -> list[str]:
        said = self._compose(
            "logs", "--no-color", "--no-log-prefix", "--tail", str(lines), component
        )
        return said.splitlines()

    def logs(self, components: Iterable[str], lines: int, follow: bool) -> Iterable[Line]:
        words = ["logs", "--no-color", "--timestamps", "--tail", str(lines)]
        if follow:
            asked = (*words, "--follow", *components)
            return (_line(text) for text in self._docker.lines("compose", *self._options, *asked))
        said = self._compose(*words, *components)
        return sorted(_line(text) for text in said.splitlines())

    def remove(self, volumes: bool) -> None:
        words = ["down", "--remove-orphans", *(["--volumes"] if volumes else [])]
        self._compose(*words, seconds=300)

    def _containers(self) -> list[dict[str, Any]]:
        said = self._compose("ps", "--all", "--format", "json")
        return [json.loads(line) for line in said.splitlines()]

    def _compose(self, *words: str, seconds: float = 120) -> str:
        what = f"docker compose {words[0]}"
        return self._docker.run("compose", *self._options, *words, seconds=seconds, what=what)


def _why(image: str, users: list[str]) -> str:
    if image.startswith(_OURS):
        return f"{image} is not built: make images"
    names = " ".join(f"--without {name}" for name in users)
    return (
        f"{image} cannot be pulled: load it, build a stand-in with make images ARGS=--stand-ins,"
        f" or leave it out with {names}"
    )


def _state(name: str, container: dict[str, Any]) -> State:
    state, health, code = container["State"], container.get("Health", ""), container["ExitCode"]
    if state == "exited" and name in ONCE:
        return State(name, FAILED, f"ended with {code}") if code else State(name, DONE)
    if state == "running" and health in ("", "healthy"):
        return State(name, HEALTHY)
    if state in ("running", "created") and health != "unhealthy":
        return State(name, STARTING)
    problem = health or state
    return State(name, FAILED, f"{problem}, exit code {code}" if code else problem)


#: Docker Compose erases the terminal's line before it prints one, wherever it prints.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def _line(text: str) -> Line:
    """``exchange-1  | 2026-11-26T18:00:00.1Z text``"""
    source, _, rest = _CONTROL.sub("", text).partition("|")
    time, _, said = rest.strip().partition(" ")
    name = source.strip().rpartition("-")[0] or source.strip()
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return Line(datetime.now(UTC).isoformat(), name, rest.strip())
    return Line(time, name, said)
