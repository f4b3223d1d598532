"""Runs the real operator with the real kopf against an API server in memory.

The test coordinator comes from the caller: a real one, or a stub.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import httpx
import kopf
import pytest
from kmock import KubernetesEmulator, Server
from kubernetes import client

from tests.trading_operator.making import NAMESPACE, RELEASE
from trading_operator import handlers, reconcile
from trading_operator.cluster import Cluster
from trading_operator.coordinator import Coordinator
from trading_operator.handlers import Handlers
from trading_operator.metrics import Metrics

SCENARIOS = "chaos.trading/v1alpha1/chaosscenarios"
POLICIES = "networking.k8s.io/v1/networkpolicies"
_VERBS = {"get", "list", "watch", "patch", "create", "delete"}


class ApiServer:
    """An API server in memory that has ChaosScenarios and NetworkPolicies."""

    def __init__(self, kmock: KubernetesEmulator) -> None:
        self._kmock = kmock
        for name, kind, subresources in (
            (SCENARIOS, "ChaosScenario", {"status"}),
            (POLICIES, "NetworkPolicy", set[str]()),
            ("v1/events", "Event", set[str]()),
            ("v1/namespaces", "Namespace", set[str]()),
            (
                "apiextensions.k8s.io/v1/customresourcedefinitions",
                "CustomResourceDefinition",
                set[str](),
            ),
        ):
            resource = kmock.resources[name]
            resource.kind, resource.verbs, resource.subresources = kind, _VERBS, subresources
            resource.namespaced = "namespaces" not in name and "definitions" not in name

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self._kmock.url).rstrip("/")

    async def apply(self, document: dict[str, Any], uid: str) -> None:
        """Create a ChaosScenario with ``uid``."""
        meta = {"namespace": NAMESPACE, "uid": uid, "resourceVersion": "1", "generation": 1}
        meta["creationTimestamp"] = "2026-11-26T00:00:00Z"
        meta["name"] = document["metadata"]["name"]
        await self._request("POST", "", {**document, "metadata": meta})

    def scenario(self, name: str) -> dict[str, Any] | None:
        """Return a ChaosScenario, or None if it is deleted."""
        stored = self._kmock.objects[SCENARIOS, NAMESPACE, name]
        return None if stored.deleted else stored.raw

    def status(self, name: str) -> dict[str, Any]:
        """Return the status of a ChaosScenario, empty if it has none."""
        return (self.scenario(name) or {}).get("status") or {}

    async def patch(self, name: str, change: dict[str, Any]) -> None:
        """Patch a ChaosScenario."""
        await self._request("PATCH", name, change)

    async def delete(self, name: str) -> None:
        """Request the deletion of a ChaosScenario."""
        await self._request("DELETE", name, None)

    async def _request(self, method: str, name: str, body: Any) -> None:
        path = f"/apis/chaos.trading/v1alpha1/namespaces/{NAMESPACE}/chaosscenarios/{name}"
        path = path.rstrip("/")
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            (await http.request(method, path, json=body)).raise_for_status()

    def policies(self) -> list[str]:
        """Return the names of all NetworkPolicies."""
        return [
            key[2]
            for key, stored in self._kmock.objects.items()
            if key[0].plural == "networkpolicies" and not stored.deleted
        ]


@contextlib.asynccontextmanager
async def api_server() -> AsyncIterator[ApiServer]:
    """Run an ApiServer inside a ``with`` statement."""
    async with KubernetesEmulator() as kmock, Server(kmock):
        yield ApiServer(kmock)


class Ecosystem(Protocol):
    """``url`` has the URLs by service; ``credentials`` has the chaos token."""

    @property
    def url(self) -> dict[str, str]: ...
    @property
    def credentials(self) -> dict[str, Any]: ...


@contextlib.asynccontextmanager
async def operator(server: ApiServer, up: Ecosystem, directory: Path) -> AsyncIterator[Metrics]:
    """Run the operator as its process does, but with shorter intervals; yield its metrics.

    It has a thread and an event loop of its own: when kopf stops, it waits five seconds for all
    other tasks of its loop, such as those of the API server.
    """
    token = directory / "chaos-token"
    token.write_text(up.credentials["chaos_token"])
    metrics, ready, stop = Metrics(), threading.Event(), threading.Event()

    async def process() -> None:
        registry = kopf.OperatorRegistry()
        coordinator = Coordinator(up.url["test-coordinator"], token)
        api = client.ApiClient(client.Configuration(host=server.url))
        Handlers(
            registry,
            Cluster(api, NAMESPACE, RELEASE),
            coordinator,
            metrics,
            login=lambda **_: kopf.ConnectionInfo(server=server.url),
        )
        try:
            await kopf.operator(
                registry=registry,
                namespaces=[NAMESPACE],
                standalone=True,
                ready_flag=ready,
                stop_flag=stop,
            )
        finally:
            await coordinator.close()

    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "_POLL_INTERVAL", min(reconcile._POLL_INTERVAL, 0.2))
        patch.setattr(handlers, "_RETRY_DELAY", min(handlers._RETRY_DELAY, 0.2))
        ended = pool.submit(asyncio.run, process())
        try:
            assert await asyncio.to_thread(ready.wait, 60), ended
            yield metrics
        finally:
            stop.set()
            await asyncio.wrap_future(ended)


async def until(what: str, condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until ``condition()`` is true; return its value. Raises AssertionError with ``what``."""
    try:
        async with asyncio.timeout(seconds):
            while not (value := condition()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            return value
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s for {what}") from None
