"""Fixtures of the end-to-end tests: the Compose deployment and the Helm release."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_kind import KindCluster

from tests.api.running import wait_for
from tests.e2e.deployment import PROJECT, Deployment, need_cluster, ready
from tests.e2e.operator import NAMESPACE, Release
from trading.topology import SERVICES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e" in str(item.path) and item.get_closest_marker("cluster") is None:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """The Compose deployment, with all services ready."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "version"], capture_output=True).returncode:
        why = "no Docker engine answers; python -m tools.bare_machine.engine start brings one up"
        if os.environ.get("CI") or os.environ.get("REQUIRE_ENGINE"):
            pytest.fail(why)
        pytest.skip(why)
    project = Deployment()
    project.compose("down", "--volumes", "--remove-orphans")
    began = time.monotonic()
    try:
        project.up()
        for name in SERVICES:
            wait_for(f"{name} to be ready", lambda name=name: ready(name))
        print(f"\n{PROJECT}: all ready after {time.monotonic() - began:.1f} s", flush=True)
        yield project
    finally:
        project.compose("down", "--volumes", "--remove-orphans", check=False)


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    """A release of the chart with its operator, in a namespace of its own."""
    need_cluster()
    kind = KindCluster(
        "trading",
        kubeconfig=Path(os.environ["KUBECONFIG"]),
        kind_path=Path(shutil.which("kind") or "kind"),
        kubectl_path=Path(shutil.which("kubectl") or "kubectl"),
    )
    installed = Release(kind)
    began = time.monotonic()
    installed.install()
    print(f"\nhelm install to all ready: {time.monotonic() - began:.1f} s", flush=True)
    yield installed
    if installed.kubectl("get", "secret", "--selector=owner=helm", "--output=name").strip():
        installed.uninstall()
    installed.kubectl("delete", "chaos", "--all", "--wait=false")
    installed.kubectl("delete", "pvc", "--all")
    installed.kind.kubectl("delete", "namespace", NAMESPACE, "--wait=true", "--timeout=120s")
