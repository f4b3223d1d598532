"""Network faults on Compose: the containers of a pair are taken off the network between them.

A cut has a lease. What is cut is written down before it is cut, and a guard of its own process
connects it again when the lease runs out, so that it ends though the tool is killed; what even the
guard has left behind, the next command that looks connects again.
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

#: Wall seconds that a cut lasts without its tool, and between two renewals of its lease.
LEASE = 15.0
_RENEW = 3.0
_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"


class Cut(NamedTuple):
    """``container``: its id; ``service``: what it is called in the network, too."""

    fault: str
    container: str
    service: str
    network: str


class Kept:
    """The file that says what is cut, and until when."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[list[Cut], float]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            return [Cut(*cut) for cut in found["cuts"]], float(found["until"])
        except FileNotFoundError:
            return [], 0.0

    def write(self, cuts: Iterable[Cut], until: float) -> None:
        """Whole, and on the disk when it returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = self.path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        with made.open("w", encoding="utf-8") as file:
            json.dump({"cuts": list(cuts), "until": until}, file)
            file.flush()
            os.fsync(file.fileno())
        made.replace(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def kept_of(project: str) -> Kept:
    """Of a Compose project on this machine."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Kept(Path(state) / "trading" / f"partitions-{project}.json")


def connect_all(docker: Commands, kept: Kept) -> list[Cut]:
    """Whatever is cut, connected again; what it was. Raises DeploymentError for what cannot be:
    it stays written down.
    """
    cuts, until = kept.read()
    left = list(cuts)
    problem: DeploymentError | None = None
    for cut in cuts:
        try:
            _connect(docker, cut)
        except DeploymentError as error:
            problem = error
            continue
        left.remove(cut)
        kept.write(left, until)
    if problem is not None:
        raise problem
    kept.remove()
    return cuts


class Partitions:
    """Of one Compose project, while a run is watched. A context: at its end all is connected."""

    def __init__(self, project: str, docker: Commands) -> None:
        self._project = project
        self._docker = docker
        self._kept = kept_of(project)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._renewing: threading.Thread | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Partitions":
        connect_all(self._docker, self._kept)
        return self

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        if self._renewing is not None:
            self._renewing.join()
        with self._lock:
            connect_all(self._docker, self._kept)
        if self._guard is not None:
            self._guard.wait()

    def cut(self, fault: str, pairs: Iterable[tuple[str, str]]) -> list[Cut]:
        """Every container of a caller off the network of who it calls. What is cut."""
        wanted = []
        for pair in pairs:
            for caller, callee in (pair, (pair[1], pair[0])):
                if may_connect(caller, callee):
                    network = f"{self._project}_{callee}"
                    wanted += [
                        Cut(fault, container, caller, network)
                        for container in containers(self._docker, self._project, caller)
                    ]
        with self._lock:
            cuts, _ = self._kept.read()
            known = {(cut.container, cut.network) for cut in cuts}
            wanted = [cut for cut in wanted if (cut.container, cut.network) not in known]
            if not wanted:
                return []
            self._kept.write([*cuts, *wanted], time.time() + LEASE)
            if self._guard is None or self._guard.poll() is not None:
                self._guard = _start_guard(self._kept)
            for cut in wanted:
                words = ("network", "disconnect", cut.network, cut.container)
                self._docker.run(*words, what="docker network disconnect")
        if self._renewing is None:
            self._renewing = threading.Thread(target=self._renew, daemon=True)
            self._renewing.start()
        return wanted

    def connect(self, fault: str) -> list[Cut]:
        """What the fault has cut, connected again."""
        with self._lock:
            cuts, until = self._kept.read()
            mine = [cut for cut in cuts if cut.fault == fault]
            for cut in mine:
                _connect(self._docker, cut)
            left = [cut for cut in cuts if cut.fault != fault]
            if left:
                self._kept.write(left, until)
            else:
                self._kept.remove()
        return mine

    def _renew(self) -> None:
        while not self._ended.wait(_RENEW):
            with self._lock:
                cuts, _ = self._kept.read()
                if cuts:
                    self._kept.write(cuts, time.time() + LEASE)


def containers(docker: Commands, project: str, service: str) -> list[str]:
    """Ids of those of a service that run. Raises DeploymentError."""
    filters = (f"label={_PROJECT}={project}", f"label={_SERVICE}={service}")
    words = [word for wanted in filters for word in ("--filter", wanted)]
    return docker.run("ps", "--quiet", "--no-trunc", *words).split()


def guard(path: Path) -> None:
    """Until nothing is cut any more: connect everything once the lease has run out."""
    kept = Kept(path)
    docker = Commands("docker", "it was there a moment ago", path.parent)
    while True:
        cuts, until = kept.read()
        if not cuts:
            return
        if time.time() > until:
            try:
                connect_all(docker, kept)
            except DeploymentError as error:
                # Tried for as long as it takes: a cut must end.
                print(error, file=sys.stderr, flush=True)
        time.sleep(0.5)


def _start_guard(kept: Kept) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "trading.deploy.partitions", str(kept.path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _connect(docker: Commands, cut: Cut) -> None:
    """A container that is gone, and one that is connected, are as they should be."""
    networks = _networks(docker, cut.container)
    if networks is None or cut.network in networks:
        return
    words = ("network", "connect", "--alias", cut.service, cut.network, cut.container)
    docker.run(*words, what="docker network connect")


def _networks(docker: Commands, container: str) -> Mapping[str, Any] | None:
    listed = docker.run("ps", "--all", "--quiet", "--no-trunc", "--filter", f"id={container}")
    if not listed.strip():
        return None
    wanted = ("--format", "{{json .NetworkSettings.Networks}}")
    found: dict[str, Any] = json.loads(docker.run("inspect", *wanted, container))
    return found


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
