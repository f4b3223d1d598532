"""The environments that can be deployed: dev, test, prod, each on Compose or Kubernetes."""

import os
from pathlib import Path
from typing import NamedTuple

from trading.topology import INFRASTRUCTURE, SERVICES

COMPOSE, KUBERNETES = "compose", "kubernetes"
RELEASE = "trading"
CHART = Path("charts/trading")
#: Names the directory of the secrets that ``trading secrets`` made.
SECRETS_VARIABLE = "TRADING_SECRETS_DIR"


class Environment(NamedTuple):
    """``values``: of the chart, beside its defaults; ``project``: of Compose, and the namespace."""

    name: str
    compose_file: Path
    values: tuple[Path, ...]
    project: str

    @property
    def variables(self) -> Path:
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

#: What people call the components.
TITLES = {
    **{name: name.replace("-", " ").capitalize() for name in (*SERVICES, *INFRASTRUCTURE)},
    "postgres": "PostgreSQL",
    "otel-collector": "OpenTelemetry collector",
}


class DeploymentError(Exception):
    """What went wrong, and what can be done about it, for people."""


def project_directory(start: Path) -> Path:
    """The nearest folder from ``start`` upwards with the chart in it. Raises DeploymentError."""
    for folder in (start, *start.parents):
        if (folder / CHART / "Chart.yaml").exists():
            return folder
    raise DeploymentError(
        f"{start}: no checkout of the trading ecosystem (no {CHART}); go to one, or name it with"
        " --directory"
    )


def variables(environment: Environment, directory: Path) -> list[Path]:
    """Files with variables, later ones win: the environment's, and a private ``.env``."""
    found = [directory / environment.variables, directory / ".env"]
    return [path for path in found if path.exists()]


def project_of(environment: Environment) -> str:
    """COMPOSE_PROJECT_NAME, as docker compose itself would."""
    return os.environ.get("COMPOSE_PROJECT_NAME") or environment.project
