"""The environments that can be deployed, on Compose or Kubernetes: dev, test and prod."""

import os
from pathlib import Path
from typing import NamedTuple

from trading.topology import INFRASTRUCTURE, SERVICES

COMPOSE, KUBERNETES = "compose", "kubernetes"
RELEASE = "trading"
CHART = Path("charts/trading")
#: The environment variable with the directory that `trading secrets` has written.
SECRETS_VARIABLE = "TRADING_SECRETS_DIR"


class Environment(NamedTuple):
    """One environment and the files that describe it, relative to the project directory.

    `values` are Helm value files that are applied on top of the chart's defaults. `project` is
    the name of the Compose project, and of the Kubernetes namespace.
    """

    name: str
    compose_file: Path
    values: tuple[Path, ...]
    project: str

    @property
    def variables(self) -> Path:
        """Return the path of the environment's file with variables for Compose."""
        return Path("env") / f"{self.name}.env"


ENVIRONMENTS = {
    e.name: e
    for e in (
        Environment("dev", Path("docker-compose.yml"), (), "trading-dev"),
        Environment(
            "test", Path("docker-compose.test.yml"), (CHART / "values-test.yaml",), "trading-test"
        ),
        Environment(
            "prod", Path("docker-compose.prod.yml"), (CHART / "values-prod.yaml",), "trading-prod"
        ),
    )
}

#: Display names of the components.
TITLES = {
    **{name: name.replace("-", " ").capitalize() for name in (*SERVICES, *INFRASTRUCTURE)},
    "postgres": "PostgreSQL",
    "otel-collector": "OpenTelemetry collector",
}


class DeploymentError(Exception):
    """An operation on a deployment failed. The message tells the user why and what to do."""


def project_directory(start: Path) -> Path:
    """Return the nearest directory that contains the chart: `start` or one of its parents.

    Raises DeploymentError if there is none.
    """
    for folder in (start, *start.parents):
        if (folder / CHART / "Chart.yaml").exists():
            return folder
    raise DeploymentError(
        f"{start}: no checkout of the trading ecosystem (no {CHART}); go to one, or name it with"
        " --directory"
    )


def variables(environment: Environment, directory: Path) -> list[Path]:
    """Return the existing files with variables for Compose; later files take precedence.

    These are the environment's own file and the user's private `.env`.
    """
    candidates = [directory / environment.variables, directory / ".env"]
    return [path for path in candidates if path.exists()]


def project_of(environment: Environment) -> str:
    """Return COMPOSE_PROJECT_NAME if it is set, as docker compose does, else the project's name."""
    return os.environ.get("COMPOSE_PROJECT_NAME") or environment.project
