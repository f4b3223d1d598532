"""One deployment for all tests of this folder."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.api.running import wait_for
from tests.e2e.deployment import PROJECT, Deployment, ready
from trading.topology import SERVICES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e" in str(item.path) and item.get_closest_marker("cluster") is None:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "version"], capture_output=True).returncode:
        why = "no Docker engine answers; python -m tools.engine start brings one up"
        if os.environ.get("CI") or os.environ.get("REQUIRE_ENGINE"):
            pytest.fail(why)
        pytest.skip(why)
    made = Deployment()
    made.compose("down", "--volumes", "--remove-orphans")
    began = time.monotonic()
    try:
        made.up()
        for name in SERVICES:
            wait_for(f"{name} to be ready", lambda name=name: ready(name))
        print(f"\n{PROJECT}: all ready after {time.monotonic() - began:.1f} s", flush=True)
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans", check=False)
