"""The release of the chart that the operator's tests run in, as its users handle it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml
from kubernetes import client, config
from pyhelm3 import Client as Helm
from pytest_kind import KindCluster

from tests.api.running import wait_for
from tests.e2e.deployment import ROOT, UNHURRIED, plain, url
from tests.e2e.deployment import as_embedded as run_as_embedded
from trading.scenario.result import Verdict
from trading.topology import TEST_COORDINATOR
from trading_operator.policies import RECOVER_BY
from trading_operator.resource import GROUP, PLURAL, VERSION
from trading_operator.status import Status, judged

NAMESPACE = "trading-operator-e2e"
RELEASE = "trading"
CHART = ROOT / "charts" / "trading"
#: Grafana has no image here; the e2e of Compose says so.
VALUES: dict[str, Any] = {
    "grafana": {"enabled": False},
    "jaeger": {"enabled": False},
    "otelCollector": {"enabled": False},
}
#: A policy of somebody else that defeats every partition.
HOLE: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "hole"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
}


class Release:
    """``kind``: the cluster that `make e2e` has brought up."""

    def __init__(self, kind: KindCluster) -> None:
        self.kind = kind
        config.load_kube_config()  # type: ignore[no-untyped-call]
        self.custom: Any = client.CustomObjectsApi()
        self.networking: Any = client.NetworkingV1Api()
        self.core: Any = client.CoreV1Api()
        self._helm = Helm()

    def install(self, **more: Any) -> None:
        async def work() -> None:
            chart = await self._helm.get_chart(str(CHART))
            await self._helm.install_or_upgrade_release(
                RELEASE,
                chart,
                {**VALUES, **more},
                namespace=NAMESPACE,
                create_namespace=True,
                timeout="240s",
                wait=True,
            )

        asyncio.run(work())

    def uninstall(self) -> None:
        async def work() -> None:
            await self._helm.uninstall_release(
                RELEASE, namespace=NAMESPACE, wait=True, timeout="300s"
            )

        asyncio.run(work())

    def kubectl(self, *words: str) -> str:
        return str(self.kind.kubectl("--namespace", NAMESPACE, *words))

    def apply(self, path: Path) -> None:
        self.kubectl("apply", "--filename", str(path))

    def scenario(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.custom.get_namespaced_custom_object(
            GROUP, VERSION, NAMESPACE, PLURAL, name
        )
        return found

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.scenario(name).get("status") or {}
        return found

    def exists(self, name: str) -> bool:
        found = self.kubectl("get", "chaos", name, "--ignore-not-found", "--output=name")
        return bool(found.strip())

    def ends(self, name: str, seconds: float = 400) -> dict[str, Any]:
        """Its status once it has a verdict."""
        wait_for(f"the verdict of {name}", lambda: self.status(name).get("verdict"), seconds)
        return self.status(name)

    def cuts(self) -> list[str]:
        """Names of the operator's policies."""
        found = self.networking.list_namespaced_network_policy(
            NAMESPACE, label_selector=f"{GROUP}/scenario"
        )
        return [one.metadata.name for one in found.items]

    def recover_by(self) -> str:
        """Of the only one, as it stands there; empty where there is none."""
        found = self.networking.list_namespaced_network_policy(
            NAMESPACE, label_selector=f"{GROUP}/scenario"
        )
        return next((str(one.metadata.annotations[RECOVER_BY]) for one in found.items), "")

    def delete(self, name: str) -> None:
        self.kubectl("delete", "chaos", name, "--ignore-not-found", "--wait=false")

    def pod(self, component: str) -> str:
        selector = f"app.kubernetes.io/component={component}"
        (found,) = [
            pod
            for pod in self.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items
            if pod.metadata.deletion_timestamp is None
        ]
        return str(found.metadata.name)

    def kill(self, component: str) -> None:
        """At once, as a node that fails."""
        self.kubectl("delete", "pod", self.pod(component), "--grace-period=0", "--force")

    def metric(self, name: str) -> float:
        """Of the operator itself."""
        read = (
            "import urllib.request as r;"
            "print(r.urlopen('http://127.0.0.1:8088/metrics').read().decode())"
        )
        said = self.kubectl("exec", "deploy/trading-operator", "--", "python3", "-c", read)
        return float(next(x.split()[1] for x in said.splitlines() if x.startswith(f"{name} ")))

    def waited(self, run_id: str) -> dict[str, float]:
        """By service, for how many wall seconds the run waited for it."""
        found = httpx.get(f"{url(TEST_COORDINATOR)}/runs/{run_id}", timeout=30).json()["waited"]
        return {name: float(seconds) for name, seconds in found.items()}

    def events(self, name: str) -> list[str]:
        found = self.core.list_namespaced_event(
            NAMESPACE, field_selector=f"involvedObject.name={name}"
        ).items
        return [
            one.reason for one in sorted(found, key=lambda one: one.metadata.creation_timestamp)
        ]


def written(directory: Path, name: str, document: dict[str, Any]) -> Path:
    path = directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def dark(name: str = "exchange-dark", **spec: Any) -> dict[str, Any]:
    """The risk monitor cannot reach the exchange: the exchange-downtime of a network."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ChaosScenario",
        "metadata": {"name": name},
        "spec": {
            "description": "The risk monitor cannot reach the exchange for three minutes",
            "seed": 3,
            "steadyState": {"for": "30s", "within": "10m"},
            "faults": [
                {
                    "name": "cut",
                    "at": "30s",
                    "duration": "3m",
                    "networkPartition": {"between": [["risk-monitor", "exchange"]]},
                }
            ],
            "expect": [
                {"alert": "venue-down", "subject": "exchange", "of": "cut", "within": "30s"},
                {"noAlert": "drawdown"},
            ],
            "recovery": {"within": "10m"},
            **spec,
        },
    }


def unhurried(name: str = "exchange-dark", **spec: Any) -> dict[str, Any]:
    """The same, at a pace at which something can be done in the middle of it."""
    return dark(name, clock={"speed": UNHURRIED}, **spec)


def timed(what: str, condition: Callable[[], Any], seconds: float = 120) -> Any:
    began = time.monotonic()
    found = wait_for(what, condition, seconds)
    print(f"\n{what}: {time.monotonic() - began:.1f} s", flush=True)
    return found


def as_embedded(status: dict[str, Any], scenario: str) -> Verdict:
    """Hold what the resource tells against what the operator would tell of the embedded runtime's
    verdict, and that against the run's own. Returns the embedded one.
    """
    verdict = run_as_embedded(str(status["run"]), scenario)
    told = plain(judged(Status(), verdict, generation=0, now=0))
    for part in ("phase", "verdict", "detect", "recover", "faults", "expectations"):
        assert status.get(part) == told.get(part), part
    return verdict
