"""The Compose deployment that the end-to-end tests use, in a project of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import yaml

from tests.api.running import Client
from trading.embedded.api import run
from trading.scenario.result import Verdict
from trading.topology import SERVICES, TEST_COORDINATOR, TRADING_ENGINE

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = "trading-e2e"
#: Limit of a run's clock, in simulated seconds per wall second, for tests that act in the middle of
#: a run: without a limit it would be over by then. The verdict does not depend on it.
UNHURRIED = 10
#: Containers that exit once their work is finished.
ONCE = ("secrets", "database")
#: Run in a container with a JSON list of [host, port]: prints which of them accept a connection.
CONNECT = """
import concurrent.futures, json, socket, sys
def reached(where):
    try:
        socket.create_connection((where[0], where[1]), 2).close()
        return True
    except OSError:
        return False
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(reached, targets))))
"""


class Deployment:
    """The deployment. ``missing`` are the components whose images can neither be pulled nor built
    here; ``components`` are all others.
    """

    def __init__(self) -> None:
        self.compose_file: dict[str, Any] = yaml.safe_load(
            (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
        )
        self.missing = sorted(
            name for name, service in self.compose_file["services"].items() if not _image(service)
        )
        self.components = [n for n in self.compose_file["services"] if n not in self.missing]

    def compose(self, *words: str, check: bool = True) -> str:
        """Return the output of ``docker compose``. Raises AssertionError if it fails."""
        done = subprocess.run(
            ["docker", "compose", "--project-name", PROJECT, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"docker compose {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def up(self, *words: str) -> None:
        """Start everything, and wait until it is healthy."""
        long_lived = [name for name in self.components if name not in ONCE]
        self.compose("up", "--detach", "--wait", *words, *long_lived)

    def container(self, component: str) -> str:
        """Return the id of the first container of a component."""
        return self.compose("ps", "--quiet", component).split()[0]

    def inspect(self, component: str) -> Any:
        """Return what ``docker inspect`` prints of a component's container."""
        done = subprocess.run(
            ["docker", "inspect", self.container(component)],
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)[0]

    def secret(self, component: str, name: str) -> str:
        """Return a secret of a component, read inside its container."""
        path = f"/run/secrets/trading/{name}"
        return self.compose("exec", "-T", component, "cat", path).strip()

    def reaches(self, source: str, targets: Iterable[str]) -> set[str]:
        """Return the ``targets`` that ``source`` can connect to, at any of their addresses."""
        addresses = [
            (network["IPAddress"], SERVICES[target].port, target)
            for target in targets
            for network in self.inspect(target)["NetworkSettings"]["Networks"].values()
        ]
        text = json.dumps([[host, port] for host, port, _ in addresses])
        answer = json.loads(self.compose("exec", "-T", source, "python3", "-c", CONNECT, text))
        return {target for (*_, target), reached in zip(addresses, answer, strict=True) if reached}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``trading ...`` in the clone of the project, as a user does."""
        return subprocess.run(
            [sys.executable, "-m", "trading.cli", *words],
            env={
                **os.environ,
                "COMPOSE_PROJECT_NAME": PROJECT,
                "DATA_DIR": "/nonexistent",
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def strategies(self, instance: int) -> list[dict[str, Any]]:
        """Return the strategies of one of several trading engines."""
        reading = (
            "import os, sys, urllib.request as r;"
            "host = os.environ['BIND_HOST'].split(',')[0];"
            "request = r.Request(f'http://{host}:8083/api/v1/strategies');"
            "request.add_header('Authorization', f'Bearer {sys.argv[1]}');"
            "print(r.urlopen(request).read().decode())"
        )
        words = ("exec", "-T", "--index", str(instance), TRADING_ENGINE, "python3", "-c", reading)
        token = self.secret("risk-monitor", "read-token")
        strategies: list[dict[str, Any]] = json.loads(self.compose(*words, token))
        return strategies

    def exchange(self) -> Client:
        """Return a client of the exchange. The caller closes its ``http``."""
        key, secret = (self.secret("exchange", f"api-{what}") for what in ("key", "secret"))
        return Client(url("exchange"), key, secret)


def need_cluster() -> None:
    """Skip the test if no cluster answers; fail it in CI."""
    if subprocess.run(["kubectl", "version"], capture_output=True, check=False).returncode:
        why = "no cluster answers; python -m tools.cluster start brings one up"
        if os.environ.get("CI") or os.environ.get("REQUIRE_ENGINE"):
            pytest.fail(why)
        pytest.skip(why)


def url(service: str) -> str:
    """Return the URL at which a service is published."""
    return f"http://127.0.0.1:{SERVICES[service].port}"


def ready(service: str) -> bool:
    """Return whether a service is ready, with all its links."""
    try:
        response = httpx.get(url(service) + "/ready", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return False
    return bool(response["ready"]) and set(response["dependencies"].values()) == {"ok"}


def linked(service: str) -> dict[str, str]:
    """Return the dependencies of a service, each with ``ok`` or what is wrong with it."""
    dependencies: dict[str, str] = httpx.get(url(service) + "/ready").json()["dependencies"]
    return dependencies


def as_embedded(run_id: str, scenario: str) -> Verdict:
    """Assert that a run's verdict equals that of the embedded runtime: the same times, to the
    microsecond, and the same journals, byte for byte. Return the embedded runtime's verdict.
    """
    embedded = run(scenario)
    verdict = httpx.get(f"{url(TEST_COORDINATOR)}/runs/{run_id}", timeout=30).json()["verdict"]
    expected = plain(embedded)
    # The clock and the name by which the scenario was started differ.
    for part in expected.keys() - {"clock", "command"}:
        assert verdict[part] == expected[part], part
    return embedded


def plain(value: object) -> Any:
    """Return ``value`` encoded as JSON and decoded again."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _image(service: dict[str, Any]) -> bool:
    """Return whether the image of a service is here or can be pulled."""
    image = service["image"].removeprefix("${TRADING_IMAGE:-").removesuffix("}")
    for words in (["image", "inspect", image], ["pull", "--quiet", image]):
        if subprocess.run(["docker", *words], capture_output=True, check=False).returncode == 0:
            return True
    return False
