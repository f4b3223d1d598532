"""A kind cluster on this machine, with the images of a deployment in it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from trading.deploy.commands import Commands
from trading.deploy.environments import CHART, DeploymentError

NAME = "trading"
CONFIG = Path("kind-config.yaml")


class Kind:
    """All raise DeploymentError. ``tell`` is called at the beginning of what takes a while."""

    def __init__(self, directory: Path, tell: Callable[[str], None]) -> None:
        self._directory = directory
        self._tell = tell
        self._kind = Commands("kind", "install kind, https://kind.sigs.k8s.io", directory)
        self._docker = Commands("docker", "install Docker Engine", directory)
        self._kubectl = Commands("kubectl", "install kubectl", directory)

    def bring_up(self, without: Iterable[str]) -> None:
        """The cluster, unless it is there, and in it every image that is here."""
        ours, foreign = self._images(frozenset(without))
        if not self._docker.works("image", "inspect", ours):
            raise DeploymentError(f"{ours} is not built: make images")
        if NAME not in self._kind.run("get", "clusters").split():
            self._tell(f"cluster {NAME}: created by {CONFIG}")
            words = ("create", "cluster", "--name", NAME, "--config", str(CONFIG))
            self._kind.run(*words, "--wait", "180s", seconds=900, what="kind create cluster")
        self._kubectl.run("config", "use-context", f"kind-{NAME}")
        # What is not here the node pulls by itself.
        found = [ours, *(name for name in foreign if self._docker.works("image", "inspect", name))]
        self._tell(f"images into the cluster: {', '.join(found)}")
        load = ("load", "docker-image", "--name", NAME, *found)
        self._kind.run(*load, seconds=600, what="kind load docker-image")

    def _images(self, without: frozenset[str]) -> tuple[str, list[str]]:
        """Ours, and those of others that the chart's own values name."""
        chart = self._read(CHART / "Chart.yaml")
        values = self._read(CHART / "values.yaml")
        named = {key.lower(): part for key, part in values.items() if isinstance(part, dict)}
        left_out = {name.replace("-", "") for name in without}
        foreign = [
            part["image"]
            for key, part in named.items()
            if isinstance(part.get("image"), str) and key not in left_out
        ]
        tag = values["image"]["tag"] or chart["appVersion"]
        return f"{values['image']['repository']}:{tag}", foreign

    def _read(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self._directory / path).read_text("utf-8"))
        return found
