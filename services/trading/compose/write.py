"""Render the chart with helm, and produce the texts of the generated files."""

import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from trading.compose.document import document, dropped
from trading.compose.manifests import read

RELEASE = "trading"

_HEAD = """\
# Written by `make generate` from charts/trading with {values}: change that, not this.
#
#   make images
#   docker compose{options} up -d
#   docker compose{options} down       keeps the data; down --volumes does not
#
# One network for each service, with that service and those that may call it: each service listens
# in its own network alone (BIND_HOST), so that who reaches whom is what the chart's
# NetworkPolicies say, with directions. All are internal: nothing in them reaches the internet.
# Only `edge` publishes ports. {secrets}
#
# Where a single host is weaker than the chart on Kubernetes:
# - What is not one of the seven services listens in every network that it is in: Grafana can be
#   reached from Prometheus, Jaeger and the collector, and the collector from Jaeger.
# - Services share one kernel's network: who is root on this host, or may use its Docker socket,
#   reaches everything.
# - Nothing is rescheduled: a container that fails starts again where it was.
# Not there, on purpose:
{dropped}
"""
_SECRETS_GENERATED = """`secrets` makes every secret once, each in a volume
# that one service alone mounts."""
_SECRETS_EXTERNAL = """Secrets are files: TRADING_SECRETS_DIR has
# one folder for each service, as `trading secrets DIR` makes them."""


def render(helm: str, chart: Path, values: Iterable[Path]) -> list[Any]:
    """Return the manifests that the chart would install, without the operator.

    `helm` is the path of the program and `values` are value files. Raises
    subprocess.CalledProcessError, with helm's output, if rendering fails.
    """
    options = [word for path in values for word in ("--values", str(path))]
    # The operator needs a Kubernetes API server.
    options += ["--set", "operator.enabled=false"]
    # The name that translate.OPTIONAL_SECRETS has.
    options += ["--set", "signing.existingSecret=signing-key"]
    completed = subprocess.run(  # noqa: S603
        [helm, "template", RELEASE, str(chart), "--namespace", RELEASE, *options],
        check=True,
        capture_output=True,
        text=True,
    )
    return list(
        yaml.load_all(completed.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    )


def texts(
    rendered: Iterable[Any], root: Path, chart: Path, environment: str
) -> dict[PurePosixPath, str]:
    """Return the Compose file of an environment and the configuration files that it mounts.

    The texts are by path in the project. `rendered` are the manifests of `render`, `root` is the
    project directory and `chart` that of the chart. Raises UnsupportedManifest.
    """
    default = environment == "dev"
    name = "docker-compose.yml" if default else f"docker-compose.{environment}.yml"
    generated = document(
        read(rendered),
        project=f"{RELEASE}-{environment}",
        environment=environment,
        chart_files=_chart_files(root, chart),
    )
    body = yaml.dump(generated.compose, sort_keys=False, width=100, Dumper=_ReadableDumper)
    head = _HEAD.format(
        values="its default values" if default else f"values-{environment}.yaml",
        options="" if default else f" -f {name}",
        secrets=_SECRETS_GENERATED
        if "secrets" in generated.compose["services"]
        else _SECRETS_EXTERNAL,
        dropped="\n".join(f"# - {line}" for line in dropped()),
    )
    return {PurePosixPath(name): f"{head}\n{body}", **generated.files}


def _chart_files(root: Path, chart: Path) -> dict[str, PurePosixPath]:
    """Return the paths of the chart's files by content; Compose mounts them unchanged."""
    return {
        path.read_text(encoding="utf-8"): PurePosixPath(path.relative_to(root))
        for path in sorted((chart / "files").rglob("*"))
        if path.is_file()
    }


class _ReadableDumper(yaml.SafeDumper):
    """Dumps YAML for human readers: lists are indented, and there are no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True
