"""The Helm release in which the operator's tests run, and the scenarios that they apply."""

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
from trading_operator.status import Status, with_verdict

NAMESPACE = "trading-operator-e2e"
RELEASE = "trading"
CHART = ROOT / "charts" / "trading"
#: Grafana has no image here; the e2e of Compose says so.
VALUES: dict[str, Any] = {
    "grafana": {"enabled": False},
    "jaeger": {"enabled": False},
    "otelCollector": {"enabled": False},
}
#: A NetworkPolicy of another owner that defeats every partition.
HOLE: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "hole"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
}


class Release:
    """A release in ``kind``, the cluster that `make e2e` has started."""

    def __init__(self, kind: KindCluster) -> None:
        self.kind = kind
        config.load_kube_config()  # type: ignore[no-untyped-call]
        self.custom: Any = client.CustomObjectsApi()
        self.networking: Any = client.NetworkingV1Api()
        self.core: Any = client.CoreV1Api()
        self._helm = Helm()

    def install(self, **more: Any) -> None:
        """Install or upgrade the release, with ``more`` values, and wait until it is ready."""

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
        """Uninstall the release, and wait for its hooks."""

        async def work() -> None:
            await self._helm.uninstall_release(
                RELEASE, namespace=NAMESPACE, wait=True, timeout="300s"
            )

        asyncio.run(work())

    def kubectl(self, *words: str) -> str:
        """Return the output of ``kubectl`` in the namespace of the release."""
        return str(self.kind.kubectl("--namespace", NAMESPACE, *words))

    def log(self, component: str) -> str:
        """Return the log of the pod of a component."""
        return self.kubectl("logs", self.pod(component))

    def apply(self, path: Path) -> None:
        """Apply the resources of a file."""
        self.kubectl("apply", "--filename", str(path))

    def scenario(self, name: str) -> dict[str, Any]:
        """Return a ChaosScenario. Raises ApiException if it does not exist."""
        resource: dict[str, Any] = self.custom.get_namespaced_custom_object(
            GROUP, VERSION, NAMESPACE, PLURAL, name
        )
        return resource

    def status(self, name: str) -> dict[str, Any]:
        """Return the status of a ChaosScenario, empty if it has none."""
        status: dict[str, Any] = self.scenario(name).get("status") or {}
        return status

    def exists(self, name: str) -> bool:
        """Return whether a ChaosScenario exists."""
        output = self.kubectl("get", "chaos", name, "--ignore-not-found", "--output=name")
        return bool(output.strip())

    def ends(self, name: str, seconds: float = 400) -> dict[str, Any]:
        """Wait for a verdict, and return the status."""
        wait_for(f"the verdict of {name}", lambda: self.status(name).get("verdict"), seconds)
        return self.status(name)

    def passes(self, name: str, seconds: float = 400) -> dict[str, Any]:
        """Wait for a verdict, and assert that it is Pass. Return the status."""
        status = self.ends(name, seconds)
        assert status["verdict"] == "Pass", yaml.safe_dump(status)
        return status

    def cuts(self) -> list[str]:
        """Return the names of the operator's policies."""
        return [policy.metadata.name for policy in self._partition_policies()]

    def recover_by(self) -> str:
        """Return the recover-by annotation of the only policy, or "" if there is none."""
        annotations = (policy.metadata.annotations for policy in self._partition_policies())
        return next((str(a[RECOVER_BY]) for a in annotations), "")

    def _partition_policies(self) -> list[Any]:
        response = self.networking.list_namespaced_network_policy(
            NAMESPACE, label_selector=f"{GROUP}/scenario"
        )
        return list(response.items)

    def delete(self, name: str) -> None:
        """Request the deletion of a ChaosScenario."""
        self.kubectl("delete", "chaos", name, "--ignore-not-found", "--wait=false")

    def pod(self, component: str) -> str:
        """Return the name of the only pod of a component that is not being deleted."""
        selector = f"app.kubernetes.io/component={component}"
        (only,) = [
            pod
            for pod in self.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items
            if pod.metadata.deletion_timestamp is None
        ]
        return str(only.metadata.name)

    def kill(self, component: str) -> None:
        """Delete the pod of a component at once, as if its node had failed."""
        self.kubectl("delete", "pod", self.pod(component), "--grace-period=0", "--force")

    def metric(self, name: str) -> float:
        """Return the value of a metric of the operator."""
        read = (
            "import urllib.request as r;"
            "print(r.urlopen('http://127.0.0.1:8088/metrics').read().decode())"
        )
        output = self.kubectl("exec", "deploy/trading-operator", "--", "python3", "-c", read)
        return float(next(x.split()[1] for x in output.splitlines() if x.startswith(f"{name} ")))

    def waited(self, run_id: str) -> dict[str, float]:
        """Return for how many wall seconds the run waited for each service."""
        waited = httpx.get(f"{url(TEST_COORDINATOR)}/runs/{run_id}", timeout=30).json()["waited"]
        return {name: float(seconds) for name, seconds in waited.items()}

    def events(self, name: str) -> list[str]:
        """Return the reasons of all events of a ChaosScenario, oldest first."""
        events = self.core.list_namespaced_event(
            NAMESPACE, field_selector=f"involvedObject.name={name}"
        ).items
        return [e.reason for e in sorted(events, key=lambda e: e.metadata.creation_timestamp)]


def written(directory: Path, name: str, document: dict[str, Any]) -> Path:
    """Write a resource to a file, and return its path."""
    path = directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def dark(name: str = "exchange-dark", **spec: Any) -> dict[str, Any]:
    """Return a scenario in which the risk monitor cannot reach the exchange."""
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
    """Return the same scenario, slow enough that a test can act in the middle of it."""
    return dark(name, clock={"speed": UNHURRIED}, **spec)


def timed(what: str, condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait until ``condition()`` is true, print how long that took, and return its value."""
    began = time.monotonic()
    value = wait_for(what, condition, seconds)
    print(f"\n{what}: {time.monotonic() - began:.1f} s", flush=True)
    return value


def as_embedded(status: dict[str, Any], scenario: str) -> Verdict:
    """Assert that a status is the one that the operator writes for the embedded runtime's verdict,
    and that the run's own verdict equals the latter. Return the embedded runtime's verdict.
    """
    verdict = run_as_embedded(str(status["run"]), scenario)
    expected = plain(with_verdict(Status(), verdict, generation=0, now=0))
    for part in ("phase", "verdict", "detect", "recover", "faults", "expectations"):
        assert status.get(part) == expected.get(part), part
    return verdict
