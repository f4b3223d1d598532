"""The values of production in a real cluster, on a node that is smaller than they request."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.deployment import ROOT, need_cluster
from tests.e2e.test_kubernetes import run
from trading.topology import SERVICES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMESPACE = "trading-prod"
WHERE = ("--env", "prod", "--on", "kubernetes")


def small() -> dict[str, Any]:
    """Return values with the resources and storage of a laptop; all others are as in production."""
    text = (ROOT / "charts/trading/values-prod.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)

    def less(component: dict[str, Any]) -> dict[str, Any]:
        requests = {"cpu": "20m", "memory": "64Mi"}
        reduced = {"resources": {**component["resources"], "requests": requests}}
        return {**reduced, "storage": {"size": "8Gi"}} if "storage" in component else reduced

    stores = {name: less(values[name]) for name in ("postgres", "redis", "prometheus")}
    return {"services": {n: less(s) for n, s in values["services"].items()}, **stores}


def trading(*words: str) -> str:
    return run(sys.executable, "-m", "trading.cli", *words)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    need_cluster()
    folder: Path = tmp_path_factory.mktemp("production")
    trading("secrets", str(folder / "secrets"), "--no-chaos", "--tls")
    (folder / "small.yaml").write_text(json.dumps(small()), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADING_SECRETS_DIR", str(folder / "secrets"))
        try:
            values = ("--values", str(folder / "small.yaml"), "--without", "grafana")
            print(trading("deploy", *WHERE, *values), flush=True)
            yield
        finally:
            trading("cleanup", *WHERE, "--yes", "--volumes")
            run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")


def test_all_is_healthy_and_every_connection_to_the_database_is_by_tls(production: None) -> None:
    trading("health", *WHERE, "--without", "grafana")
    connect = (
        "import psycopg; url = open('/run/secrets/trading/database-url').read();"
        "print(psycopg.connect(url).execute("
        "'select version from pg_stat_ssl where pid = pg_backend_pid()').fetchone()[0])"
    )
    for name in SERVICES:
        inside = ("exec", f"deploy/trading-{name}", "--", "python3", "-c", connect)
        assert run("kubectl", "--namespace", NAMESPACE, *inside).strip() == "TLSv1.3"


def test_nobody_has_a_token_for_scenarios(production: None) -> None:
    for name in SERVICES:
        secret = run(
            "kubectl", "--namespace", NAMESPACE, "get", "secret", f"trading-{name}", "-ojson"
        )
        assert "link-token" in json.loads(secret)["data"]
        assert "chaos-token" not in json.loads(secret)["data"]
