"""Create a kind cluster on this machine and load the images of a deployment into it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from trading.deploy.commands import Commands
from trading.deploy.environments import CHART, DeploymentError

NAME = "trading"
CONFIG = Path("kind-config.yaml")


class Kind:
    """Manages the kind cluster of a project directory.

    `tell` is called with a line of text before each step that takes long. All methods raise
    DeploymentError if kind, docker or kubectl fail.
    """

    def __init__(self, directory: Path, tell: Callable[[str], None]) -> None:
        self._directory = directory
        self._tell = tell
        self._kind = Commands("kind", "install kind, https://kind.sigs.k8s.io", directory)
        self._docker = Commands("docker", "install Docker Engine", directory)
        self._kubectl = Commands("kubectl", "install kubectl", directory)

    def bring_up(self, without: Iterable[str]) -> None:
        """Create the cluster if it does not exist, and load every local image into it.

        The images of the components in `without` are not loaded. Raises DeploymentError, too, if
        the project's own image has not been built.
        """
        own_image, third_party = self._images(frozenset(without))
        if not self._docker.works("image", "inspect", own_image):
            raise DeploymentError(f"{own_image} is not built: make images")
        if NAME not in self._kind.run("get", "clusters").split():
            self._tell(f"cluster {NAME}: created by {CONFIG}")
            words = ("create", "cluster", "--name", NAME, "--config", str(CONFIG))
            self._kind.run(*words, "--wait", "180s", seconds=900, label="kind create cluster")
        self._kubectl.run("config", "use-context", f"kind-{NAME}")
        # The node itself pulls images that are not available locally.
        images = [
            own_image,
            *(name for name in third_party if self._docker.works("image", "inspect", name)),
        ]
        self._tell(f"images into the cluster: {', '.join(images)}")
        load = ("load", "docker-image", "--name", NAME, *images)
        self._kind.run(*load, seconds=600, label="kind load docker-image")

    def _images(self, without: frozenset[str]) -> tuple[str, list[str]]:
        """Return the project's own image, and the third-party images in the chart's values."""
        chart = self._read(CHART / "Chart.yaml")
        values = self._read(CHART / "values.yaml")
        sections = {
            key.lower(): section for key, section in values.items() if isinstance(section, dict)
        }
        excluded = {name.replace("-", "") for name in without}
        third_party = [
            section["image"]
            for key, section in sections.items()
            if isinstance(section.get("image"), str) and key not in excluded
        ]
        tag = values["image"]["tag"] or chart["appVersion"]
        return f"{values['image']['repository']}:{tag}", third_party

    def _read(self, path: Path) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load((self._directory / path).read_text("utf-8"))
        return content
