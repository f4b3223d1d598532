"""Manage a deployment by docker compose on this machine."""

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
from trading.deploy.ready import parse_readiness, readiness_command
from trading.deploy.state import DONE, FAILED, HEALTHY, MISSING, STARTING, Line, State

#: Services that exit when their work is complete.
ONCE = ("secrets", "database")
_OWN_IMAGE = "trading-ecosystem"


class OnCompose:
    """A Platform that calls docker compose.

    `directory` is the project directory; it contains the Compose file of `environment`.
    """

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
        """Raise DeploymentError if the engine, secrets or the Compose file are unusable."""
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
        """Pull missing third-party images, except those of the components in `without`.

        Raises DeploymentError with a line for each image that is neither local nor can be pulled.
        """
        missing = []
        services = json.loads(self._compose("config", "--format", "json"))["services"]
        for image in dict.fromkeys(
            service["image"] for name, service in services.items() if name not in without
        ):
            if self._docker.works("image", "inspect", image):
                continue
            if not image.startswith(_OWN_IMAGE):
                tell(f"pulling {image}")
                if self._docker.works("pull", "--quiet", image):
                    continue
            users = [name for name, service in services.items() if service["image"] == image]
            missing.append((image, users))
        if missing:
            raise DeploymentError(
                "\n".join(_image_problem(image, users) for image, users in missing)
            )

    def apply(self, without: Iterable[str]) -> None:
        """Start all services except those in `without`, in the background."""
        names = [name for name in self._file["services"] if name not in without]
        self._compose("up", "--detach", "--remove-orphans", *names, seconds=600)

    def states(self) -> list[State]:
        """Return the state of each component, sorted by name.

        If a component has several containers, the first one that is not healthy determines it.
        """
        by_component: dict[str, list[State]] = {}
        for container in self._containers():
            name = container["Service"]
            by_component.setdefault(name, []).append(_state(name, container))
        deployed = []
        for states in by_component.values():
            deployed.append(next((s for s in states if s.status not in (HEALTHY, DONE)), states[0]))
        expected = [n for n in self._file["services"] if n not in ONCE]
        missing = [State(n, MISSING, "not deployed") for n in expected if n not in by_component]
        return sorted([*deployed, *missing])

    def dependencies(self, component: str) -> dict[str, str]:
        """Return the problems of the component's dependencies; see `Platform.dependencies`."""
        try:
            output = self._compose("exec", "-T", component, *readiness_command(component))
        except DeploymentError as error:
            return {"ready": str(error)}
        return parse_readiness(output)

    def tail(self, component: str, lines: int) -> list[str]:
        """Return the last `lines` lines of the component's log."""
        output = self._compose(
            "logs", "--no-color", "--no-log-prefix", "--tail", str(lines), component
        )
        return output.splitlines()

    def logs(self, components: Iterable[str], lines: int, follow: bool) -> Iterable[Line]:
        """Return the last `lines` log lines of each component, sorted by time.

        With `follow`, lines are yielded unsorted as they arrive, without end.
        """
        words = ["logs", "--no-color", "--timestamps", "--tail", str(lines)]
        if follow:
            arguments = (*words, "--follow", *components)
            return (
                _line(text) for text in self._docker.lines("compose", *self._options, *arguments)
            )
        output = self._compose(*words, *components)
        return sorted(_line(text) for text in output.splitlines())

    def remove(self, volumes: bool) -> None:
        """Stop and remove all containers, and the volumes with their data if `volumes` is set."""
        words = ["down", "--remove-orphans", *(["--volumes"] if volumes else [])]
        self._compose(*words, seconds=300)

    def _containers(self) -> list[dict[str, Any]]:
        output = self._compose("ps", "--all", "--format", "json")
        return [json.loads(line) for line in output.splitlines()]

    def _compose(self, *words: str, seconds: float = 120) -> str:
        label = f"docker compose {words[0]}"
        return self._docker.run("compose", *self._options, *words, seconds=seconds, label=label)


def _image_problem(image: str, users: list[str]) -> str:
    if image.startswith(_OWN_IMAGE):
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


#: Docker Compose prints control sequences even if its output is not a terminal.
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def _line(text: str) -> Line:
    """Parse a line like ``exchange-1  | 2026-11-26T18:00:00.1Z text``."""
    source, _, rest = _CONTROL_SEQUENCE.sub("", text).partition("|")
    time, _, message = rest.strip().partition(" ")
    name = source.strip().rpartition("-")[0] or source.strip()
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return Line(datetime.now(UTC).isoformat(), name, rest.strip())
    return Line(time, name, message)
