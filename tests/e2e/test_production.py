"""`trading deploy --env prod`: TLS to the stores, no chaos, two engines, only pages published."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.api.running import wait_for
from tests.e2e.deployment import PROJECT, ROOT, Deployment
from trading.topology import AUDIT_CORRELATOR, INFRASTRUCTURE, REDIS, SERVICES, TRADING_ENGINE

#: Grafana has no image here; test_compose.py says so.
WITHOUT = ("--without", "grafana")
NAME = f"{PROJECT}-prod"


class Production(NamedTuple):
    """The deployment of production, whose secrets are in the folder ``secrets``."""

    secrets: Path

    def trading(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(sys.executable, "-m", "trading.cli", *words)

    def inside(self, component: str, code: str) -> str:
        """Run Python code in a container, and return its output."""
        words = ("compose", "--file", "docker-compose.prod.yml", "exec", "-T", component)
        done = self._run("docker", *words, "python3", "-c", code)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        own = {"COMPOSE_PROJECT_NAME": NAME, "TRADING_SECRETS_DIR": str(self.secrets)}
        return subprocess.run(
            words, env={**os.environ, **own}, cwd=ROOT, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def production(
    deployment: Deployment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    """The deployment of production. It has the ports of the other deployment, which stops
    meanwhile.
    """
    deployment.compose("down", "--volumes", "--remove-orphans")
    deployed = Production(tmp_path_factory.mktemp("production") / "secrets")
    try:
        done = deployed.trading("secrets", str(deployed.secrets), "--no-chaos", "--tls", "--owned")
        assert done.returncode == 0, done.stderr
        done = deployed.trading("deploy", "--env", "prod", *WITHOUT)
        print(done.stdout, flush=True)
        assert done.returncode == 0, done.stdout + done.stderr
        yield deployed
    finally:
        deployed.trading("cleanup", "--env", "prod", "--yes", "--volumes")
        deployment.up()


def test_all_is_healthy(production: Production) -> None:
    second = f'"journal of {TRADING_ENGINE}-2":"ok"'
    read = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8086/ready').read())"
    wait_for("the second engine", lambda: second in production.inside(AUDIT_CORRELATOR, read))
    done = production.trading("health", "--env", "prod", *WITHOUT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_database_is_reached_by_tls_alone(production: Production) -> None:
    connect = (
        "import psycopg; url = open('/run/secrets/trading/database-url').read()\n"
        "try: result = psycopg.connect(url{change}).execute("
        "'select version from pg_stat_ssl where pid = pg_backend_pid()').fetchone()[0]\n"
        "except psycopg.OperationalError as error: result = error\n"
        "print(result)"
    )
    for name in SERVICES:
        assert production.inside(name, connect.replace("{change}", "")) == "TLSv1.3"
    plain = connect.replace("{change}", ".replace('verify-full', 'disable')")
    assert "no encryption" in production.inside("custodian", plain)


def test_redis_is_reached_by_tls_alone(production: Production) -> None:
    ping = (
        "import redis; url = open('/run/secrets/trading/redis-url').read()\n"
        "try: result = redis.from_url(url{change}).ping()\n"
        "except redis.ConnectionError: result = 'refused'\n"
        "print(result)"
    )
    plain = ping.replace("{change}", ".replace('rediss:', 'redis:').partition('?')[0]")
    for name in INFRASTRUCTURE[REDIS].callers:
        assert production.inside(name, ping.replace("{change}", "")) == "True"
        assert production.inside(name, plain) == "refused"


def test_only_the_pages_are_open_and_no_scenario_runs(production: Production) -> None:
    assert httpx.get("http://127.0.0.1:8084/health").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://127.0.0.1:8085/health")
    start = (
        "import urllib.request as r, urllib.error as e\n"
        "request = r.Request('http://127.0.0.1:8085/scenarios', b'{}', method='POST')\n"
        "try: print(r.urlopen(request).status)\n"
        "except e.HTTPError as error: print(error.code, error.read().decode())"
    )
    assert production.inside("test-coordinator", start).startswith("403")
