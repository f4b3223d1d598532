"""Apply the network faults of a run to the local Compose deployment.

The services simulate a network fault themselves. While the command line follows a run, this module
also disconnects the containers, so that the fault exists in the real network.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from trading.deploy.commands import Commands
from trading.deploy.environments import DeploymentError
from trading.deploy.partitions import Partitions, containers
from trading.hosting.addresses import is_loopback
from trading.messages.chaos import FaultStep
from trading.topology import TEST_COORDINATOR

_FILE = "docker-compose.yml"


class NetworkFaults:
    """Disconnects and reconnects containers as the events of a run require.

    `target` is the URL of the test coordinator. `partitions` maps the name of a fault to its
    pairs of services. `directory` contains the Compose file. An instance is a context manager; on
    exit, all containers are connected again. If `target` is not a Compose deployment on this
    machine, nothing is done.
    """

    def __init__(
        self, target: str, partitions: Mapping[str, Sequence[Sequence[str]]], directory: Path
    ) -> None:
        self._pairs = {
            fault: [(pair[0], pair[1]) for pair in pairs] for fault, pairs in partitions.items()
        }
        self._stack = ExitStack()
        self._partitions = deployment_here(target, directory) if partitions else None

    def __enter__(self) -> "NetworkFaults":
        if self._partitions is not None:
            self._stack.enter_context(self._partitions)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def see(self, event: Mapping[str, Any]) -> str:
        """Handle an event of the run and return a line that describes what was done.

        The line is empty if nothing was done. If a container cannot be disconnected, the line
        contains the error; only the services simulate the fault then.
        """
        fault, step = event.get("fault", ""), event.get("step", "")
        if self._partitions is None or fault not in self._pairs:
            return ""
        try:
            if step == FaultStep.APPLIED:
                cuts = self._partitions.cut(fault, self._pairs[fault])
                names = ", ".join(f"{c.service} from {c.network}" for c in cuts)
                return f"{fault}: disconnected {names}" if cuts else ""
            if step == FaultStep.ENDED:
                cuts = self._partitions.connect(fault)
                names = ", ".join(f"{c.service} to {c.network}" for c in cuts)
                return f"{fault}: connected {names}" if cuts else ""
        except DeploymentError as error:
            return f"{fault}: {error}"
        return ""


def deployment_here(target: str, directory: Path) -> Partitions | None:
    """Return the partitions of the Compose deployment in `directory`.

    Returns None unless `target` is a loopback URL and the deployment's coordinator is running.
    """
    file = directory / _FILE
    if not file.exists() or shutil.which("docker") is None:
        return None
    if not is_loopback(urlsplit(target).hostname or ""):
        return None
    compose = yaml.safe_load(file.read_text(encoding="utf-8"))
    project = os.environ.get("COMPOSE_PROJECT_NAME") or str(compose.get("name", directory.name))
    docker = Commands("docker", "install Docker Engine", directory)
    try:
        running = containers(docker, project, TEST_COORDINATOR)
    except DeploymentError:
        return None
    return Partitions(project, docker) if running else None
