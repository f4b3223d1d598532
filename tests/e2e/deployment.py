"""The Compose deployment of a clean clone, in a project of its own."""

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
#: The ceiling of a run's clock, simulated seconds per wall second, where something is done in the
#: middle of it: without one the run would be over. Nothing of its verdict depends on it.
UNHURRIED = 10
#: Containers that do their work and end.
ONCE = ("secrets", "database")
CONNECT = """
import concurrent.futures, json, socket, sys
def reached(where):
    try:
        socket.create_connection((where[0], where[1]), 2).close()
        return True
    except OSError:
        return False
asked = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(reached, asked))))
"""


class Deployment:
    """``missing``: components whose images can neither be pulled nor made here."""

    def __init__(self) -> None:
        self.compose_file: dict[str, Any] = yaml.safe_load(
            (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
        )
        self.missing = sorted(
            name for name, service in self.compose_file["services"].items() if not _image(service)
        )
        self.components = [n for n in self.compose_file["services"] if n not in self.missing]

    def compose(self, *words: str, check: bool = True) -> str:
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
        """Everything, until it is healthy."""
        long_lived = [name for name in self.components if name not in ONCE]
        self.compose("up", "--detach", "--wait", *words, *long_lived)

    def container(self, component: str) -> str:
        return self.compose("ps", "--quiet", component).split()[0]

    def inspect(self, component: str) -> Any:
        done = subprocess.run(
            ["docker", "inspect", self.container(component)],
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)[0]

    def secret(self, component: str, name: str) -> str:
        path = f"/run/secrets/trading/{name}"
        return self.compose("exec", "-T", component, "cat", path).strip()

    def reaches(self, source: str, targets: Iterable[str]) -> set[str]:
        """Which of them ``source`` can open a connection to, at whichever of their addresses."""
        asked = [
            (network["IPAddress"], SERVICES[target].port, target)
            for target in targets
            for network in self.inspect(target)["NetworkSettings"]["Networks"].values()
        ]
        text = json.dumps([[host, port] for host, port, _ in asked])
        answer = json.loads(self.compose("exec", "-T", source, "python3", "-c", CONNECT, text))
        return {where[2] for where, reached in zip(asked, answer, strict=True) if reached}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``trading ...`` in a clone of the project, as a user types it."""
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
        """Of one of several trading engines."""
        reading = (
            "import os, sys, urllib.request as r;"
            "host = os.environ['BIND_HOST'].split(',')[0];"
            "asked = r.Request(f'http://{host}:8083/api/v1/strategies');"
            "asked.add_header('Authorization', f'Bearer {sys.argv[1]}');"
            "print(r.urlopen(asked).read().decode())"
        )
        words = ("exec", "-T", "--index", str(instance), TRADING_ENGINE, "python3", "-c", reading)
        token = self.secret("risk-monitor", "read-token")
        found: list[dict[str, Any]] = json.loads(self.compose(*words, token))
        return found

    def exchange(self) -> Client:
        """Who uses it closes its ``http``."""
        key, secret = (self.secret("exchange", f"api-{what}") for what in ("key", "secret"))
        return Client(url("exchange"), key, secret)


def need_cluster() -> None:
    """A failure in CI, a clear message on a laptop."""
    if subprocess.run(["kubectl", "version"], capture_output=True, check=False).returncode:
        why = "no cluster answers; python -m tools.cluster start brings one up"
        if os.environ.get("CI") or os.environ.get("REQUIRE_ENGINE"):
            pytest.fail(why)
        pytest.skip(why)


def url(service: str) -> str:
    return f"http://127.0.0.1:{SERVICES[service].port}"


def ready(service: str) -> bool:
    """With all its links."""
    try:
        found = httpx.get(url(service) + "/ready", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return False
    return bool(found["ready"]) and set(found["dependencies"].values()) == {"ok"}


def linked(service: str) -> dict[str, str]:
    """What a service depends on, and ``ok`` or what is wrong with it."""
    found: dict[str, str] = httpx.get(url(service) + "/ready").json()["dependencies"]
    return found


def as_embedded(run_id: str, scenario: str) -> Verdict:
    """Hold a run's verdict against the embedded runtime's: the same, to the microsecond, and the
    same journals, byte for byte. Returns the latter.
    """
    wanted = run(scenario)
    found = httpx.get(f"{url(TEST_COORDINATOR)}/runs/{run_id}", timeout=30).json()["verdict"]
    known = plain(wanted)
    # What differs: by which clock, and how the scenario was named.
    for part in known.keys() - {"clock", "command"}:
        assert found[part] == known[part], part
    return wanted


def plain(value: object) -> Any:
    """As it is read from JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _image(service: dict[str, Any]) -> bool:
    """Is it here, or can it be pulled?"""
    image = service["image"].removeprefix("${TRADING_IMAGE:-").removesuffix("}")
    for words in (["image", "inspect", image], ["pull", "--quiet", image]):
        if subprocess.run(["docker", *words], capture_output=True, check=False).returncode == 0:
            return True
    return False
