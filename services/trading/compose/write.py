"""The texts of the generated files."""

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
_MADE = """`secrets` makes every secret once, each in a volume
# that one service alone mounts."""
_GIVEN = """Secrets are files: TRADING_SECRETS_DIR has
# one folder for each service, as `trading secrets DIR` makes them."""


def render(helm: str, chart: Path, values: Iterable[Path]) -> list[Any]:
    """What the chart would install, without the operator. Raises subprocess.CalledProcessError,
    with helm's words.
    """
    options = [word for path in values for word in ("--values", str(path))]
    # A single host has no API server for it.
    options += ["--set", "operator.enabled=false"]
    # Each by the name that the translation knows it by.
    options += ["--set", "signing.existingSecret=signing-key"]
    done = subprocess.run(  # noqa: S603
        [helm, "template", RELEASE, str(chart), "--namespace", RELEASE, *options],
        check=True,
        capture_output=True,
        text=True,
    )
    return list(yaml.load_all(done.stdout, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def texts(
    rendered: Iterable[Any], root: Path, chart: Path, environment: str
) -> dict[PurePosixPath, str]:
    """By path in the project: the Compose file of an environment, and the configuration that it
    mounts. Raises NotUnderstood.
    """
    default = environment == "dev"
    name = "docker-compose.yml" if default else f"docker-compose.{environment}.yml"
    made = document(
        read(rendered),
        project=f"{RELEASE}-{environment}",
        environment=environment,
        chart_files=_chart_files(root, chart),
    )
    body = yaml.dump(made.compose, sort_keys=False, width=100, Dumper=_Plain)
    head = _HEAD.format(
        values="its default values" if default else f"values-{environment}.yaml",
        options="" if default else f" -f {name}",
        secrets=_MADE if "secrets" in made.compose["services"] else _GIVEN,
        dropped="\n".join(f"# - {line}" for line in dropped()),
    )
    return {PurePosixPath(name): f"{head}\n{body}", **made.files}


def _chart_files(root: Path, chart: Path) -> dict[str, PurePosixPath]:
    """By content: a file of the chart that Compose can mount as it is."""
    return {
        path.read_text(encoding="utf-8"): PurePosixPath(path.relative_to(root))
        for path in sorted((chart / "files").rglob("*"))
        if path.is_file()
    }


class _Plain(yaml.SafeDumper):
    """Lists under their key, and no anchors: what is written is read by people."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True
