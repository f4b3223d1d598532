"""Partition services on Compose: disconnect their containers from the networks between them.

Every partition must end, even if this process is killed. Therefore each one has a lease, and it is
recorded in a file (the partition journal) before containers are disconnected. A watchdog process
reads the file and connects the containers again when the lease expires. If the watchdog is killed,
too, the next command that uses `Partitions` connects them.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trading.deploy.commands import Commands
from trading.deploy.environments import DeploymentError
from trading.topology import may_connect

#: How long a partition lasts without renewal, and how often it is renewed, in wall seconds.
LEASE = 15.0
_RENEW_INTERVAL = 3.0
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"


class Disconnection(NamedTuple):
    """A container that a fault has disconnected from a network.

    `container` is its id. `service` is its Compose service, and its alias in the network.
    """

    fault: str
    container: str
    service: str
    network: str


class PartitionJournal:
    """The file that lists all disconnected containers and the time at which the lease expires."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[list[Disconnection], float]:
        """Return the disconnections and the end of the lease, in Unix seconds.

        Without a file, there are no disconnections and the lease ends at 0.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return [Disconnection(*cut) for cut in content["cuts"]], float(content["until"])
        except FileNotFoundError:
            return [], 0.0

    def write(self, cuts: Iterable[Disconnection], until: float) -> None:
        """Replace the file atomically; its content is durable when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"cuts": list(cuts), "until": until}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def remove(self) -> None:
        """Delete the file if it exists."""
        self.path.unlink(missing_ok=True)


def kept_of(project: str) -> PartitionJournal:
    """Return the partition journal of a Compose project on this machine."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return PartitionJournal(Path(state) / "trading" / f"partitions-{project}.json")


def connect_all(docker: Commands, journal: PartitionJournal) -> list[Disconnection]:
    """Connect all containers in the journal again and return what was disconnected.

    Raises DeploymentError if some cannot be connected; these stay in the journal.
    """
    cuts, until = journal.read()
    remaining = list(cuts)
    problem: DeploymentError | None = None
    for cut in cuts:
        try:
            _connect(docker, cut)
        except DeploymentError as error:
            problem = error
            continue
        remaining.remove(cut)
        journal.write(remaining, until)
    if problem is not None:
        raise problem
    journal.remove()
    return cuts


class Partitions:
    """Disconnects and connects the containers of one Compose project while a run is followed.

    A context manager: on entry, containers that an earlier process has left disconnected are
    connected; on exit, all are. A thread renews the lease in between.
    """

    def __init__(self, project: str, docker: Commands) -> None:
        self._project = project
        self._docker = docker
        self._journal = kept_of(project)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._renewal: threading.Thread | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Partitions":
        connect_all(self._docker, self._journal)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stopped.set()
        if self._renewal is not None:
            self._renewal.join()
        with self._lock:
            connect_all(self._docker, self._journal)
        if self._watchdog is not None:
            self._watchdog.wait()

    def cut(self, fault: str, pairs: Iterable[tuple[str, str]]) -> list[Disconnection]:
        """Disconnect, for each pair, every container of the caller from the network of the callee.

        Returns the new disconnections. Raises DeploymentError.
        """
        new = []
        for pair in pairs:
            for caller, callee in (pair, (pair[1], pair[0])):
                if may_connect(caller, callee):
                    network = f"{self._project}_{callee}"
                    new += [
                        Disconnection(fault, container, caller, network)
                        for container in containers(self._docker, self._project, caller)
                    ]
        with self._lock:
            cuts, _ = self._journal.read()
            existing = {(cut.container, cut.network) for cut in cuts}
            new = [cut for cut in new if (cut.container, cut.network) not in existing]
            if not new:
                return []
            self._journal.write([*cuts, *new], time.time() + LEASE)
            if self._watchdog is None or self._watchdog.poll() is not None:
                self._watchdog = _start_watchdog(self._journal)
            for cut in new:
                words = ("network", "disconnect", cut.network, cut.container)
                self._docker.run(*words, label="docker network disconnect")
        if self._renewal is None:
            self._renewal = threading.Thread(target=self._renew, daemon=True)
            self._renewal.start()
        return new

    def connect(self, fault: str) -> list[Disconnection]:
        """Connect the containers again that `fault` has disconnected, and return what they were."""
        with self._lock:
            cuts, until = self._journal.read()
            of_fault = [cut for cut in cuts if cut.fault == fault]
            for cut in of_fault:
                _connect(self._docker, cut)
            remaining = [cut for cut in cuts if cut.fault != fault]
            if remaining:
                self._journal.write(remaining, until)
            else:
                self._journal.remove()
        return of_fault

    def _renew(self) -> None:
        while not self._stopped.wait(_RENEW_INTERVAL):
            with self._lock:
                cuts, _ = self._journal.read()
                if cuts:
                    self._journal.write(cuts, time.time() + LEASE)


def containers(docker: Commands, project: str, service: str) -> list[str]:
    """Return the ids of the running containers of a service. Raises DeploymentError."""
    filters = (f"label={_PROJECT}={project}", f"label={_SERVICE}={service}")
    words = [word for condition in filters for word in ("--filter", condition)]
    return docker.run("ps", "--quiet", "--no-trunc", *words).split()


def lease_watchdog(path: Path) -> None:
    """Wait until nothing is disconnected, and connect everything if the lease expires before.

    `path` is the file of the partition journal. This is the main function of the watchdog process.
    """
    journal = PartitionJournal(path)
    docker = Commands("docker", "it was there a moment ago", path.parent)
    while True:
        cuts, until = journal.read()
        if not cuts:
            return
        if time.time() > until:
            try:
                connect_all(docker, journal)
            except DeploymentError as error:
                # Retry without limit: every partition must end.
                print(error, file=sys.stderr, flush=True)
        time.sleep(0.5)


def _start_watchdog(journal: PartitionJournal) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "trading.deploy.partitions", str(journal.path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _connect(docker: Commands, cut: Disconnection) -> None:
    """Connect the container to the network, unless it is connected or no longer exists."""
    networks = _networks(docker, cut.container)
    if networks is None or cut.network in networks:
        return
    words = ("network", "connect", "--alias", cut.service, cut.network, cut.container)
    docker.run(*words, label="docker network connect")


def _networks(docker: Commands, container: str) -> Mapping[str, Any] | None:
    """Return the networks of a container by name; None if the container does not exist."""
    container_ids = docker.run(
        "ps", "--all", "--quiet", "--no-trunc", "--filter", f"id={container}"
    )
    if not container_ids.strip():
        return None
    template = ("--format", "{{json .NetworkSettings.Networks}}")
    networks: dict[str, Any] = json.loads(docker.run("inspect", *template, container))
    return networks


if __name__ == "__main__":
    lease_watchdog(Path(sys.argv[1]))
