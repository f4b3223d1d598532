"""Render the chart with helm, and read what several tests need from its manifests."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tools.helm import helm

Manifest = dict[str, Any]

CHART = Path(__file__).resolve().parents[2] / "charts" / "trading"
#: The values files of each environment.
ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "dev": (),
    "test": ("values-test.yaml",),
    "prod": ("values-prod.yaml",),
}
OTHERS: dict[str, tuple[str, ...]] = {
    "bare": ("ci/bare-values.yaml",),
    "everything": ("ci/everything-values.yaml",),
}
ALL = ENVIRONMENTS | OTHERS
COMPONENT = "app.kubernetes.io/component"
#: The operator's pods that are Jobs, and all pods that call the API server.
TASKS = ("reaper", "uninstall")
API_CLIENTS = ("operator", *TASKS)
NAMESPACE = "chaos"


class Pod(NamedTuple):
    """A pod as the template of its workload describes it, or its own manifest."""

    component: str
    kind: str
    labels: dict[str, str]
    annotations: dict[str, str]
    spec: Manifest

    @property
    def container(self) -> Manifest:
        """Return the only container."""
        (only,) = self.spec["containers"]
        assert isinstance(only, dict)
        return only


def run(*args: str, values: tuple[str, ...] = (), chart: Path = CHART) -> tuple[int, str, str]:
    """Run the helm command `args[0]` on the chart; return its exit code, output and error
    output.
    """
    files = [part for name in values for part in ("--values", str(chart / name))]
    words = [*args[:1], *(["trading"] if args[0] != "lint" else []), str(chart), *files, *args[1:]]
    result = subprocess.run([helm(), *words], capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def rendered(*args: str, values: tuple[str, ...] = (), chart: Path = CHART) -> list[Manifest]:
    """Render the chart; return all manifests. Generated secrets differ each time."""
    code, text, errors = run(
        "template", "--namespace", NAMESPACE, *args, values=values, chart=chart
    )
    assert code == 0, errors
    return [document for document in yaml.safe_load_all(text) if document]


@cache
def manifests(name: str) -> list[Manifest]:
    """Return the manifests of one of ALL, rendered once. They must not be changed."""
    return rendered(values=ALL[name])


def of_kind(rendered_manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Return the manifests of a kind by name."""
    return {
        manifest["metadata"]["name"]: manifest
        for manifest in rendered_manifests
        if manifest["kind"] == kind
    }


def pods(rendered_manifests: list[Manifest]) -> list[Pod]:
    """Return the pods of all workloads."""
    all_pods = []
    for manifest in rendered_manifests:
        if manifest["kind"] == "Pod":
            template = manifest
        elif manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            template = manifest["spec"]["template"]
        elif manifest["kind"] == "CronJob":
            template = manifest["spec"]["jobTemplate"]["spec"]["template"]
        else:
            continue
        labels = template["metadata"]["labels"]
        annotations = template["metadata"].get("annotations", {})
        all_pods.append(
            Pod(labels[COMPONENT], manifest["kind"], labels, annotations, template["spec"])
        )
    assert all_pods
    return all_pods
