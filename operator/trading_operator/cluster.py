"""The operator's calls to the Kubernetes API server.

The client of the API server blocks, so each call runs in a thread. All failures are raised as
ClusterError.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from trading_operator.policies import ActivePolicy, Cut, manifest, name_of, owner_of, parse_policy
from trading_operator.resource import GROUP, PLURAL, VERSION, Scenario

T = TypeVar("T")
#: Seconds to connect, and to wait for a response.
_TIMEOUT = (3, 10)


class ClusterError(Exception):
    """A call failed; the text is the API server's error, or why it could not be reached."""


def connect() -> client.ApiClient:
    """Return a client that uses the pod's service account, or the kubeconfig outside a pod."""
    try:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    except config.ConfigException:
        config.load_kube_config()  # type: ignore[no-untyped-call]
    return client.ApiClient()


class Cluster:
    """The scenarios and NetworkPolicies of one namespace.

    ``release`` is the labels that every pod of the release has. Every method raises ClusterError.
    """

    def __init__(self, api: client.ApiClient, namespace: str, release: Mapping[str, str]) -> None:
        self.namespace = namespace
        self.release = release
        self._networking = client.NetworkingV1Api(api)
        self._custom = client.CustomObjectsApi(api)
        self._resource = (GROUP, VERSION, namespace, PLURAL)

    async def policies(self) -> list[dict[str, Any]]:
        """Return all NetworkPolicies of the namespace, as decoded JSON."""
        # Decoded here: the client's own models take ten times as long.
        response: Any = await self._call(
            lambda: self._networking.list_namespaced_network_policy(
                self.namespace, _request_timeout=_TIMEOUT, _preload_content=False
            )
        )
        policies: list[dict[str, Any]] = json.loads(response.data)["items"]
        return policies

    async def apply_policy(self, scenario: Scenario, cut: Cut, until: float) -> None:
        """Create the NetworkPolicy of ``cut``, or update it if it exists."""
        body: Any = manifest(scenario, cut, self.release, until)
        name = name_of(scenario, cut.caller)
        api = self._networking
        try:
            await self._call(
                lambda: api.create_namespaced_network_policy(
                    self.namespace, body, _request_timeout=_TIMEOUT
                )
            )
        except _Conflict:
            change = {"metadata": body["metadata"], "spec": body["spec"]}
            await self._call(
                lambda: api.patch_namespaced_network_policy(
                    name, self.namespace, change, _request_timeout=_TIMEOUT
                )
            )

    async def delete_policy(self, name: str) -> None:
        """Delete a NetworkPolicy. Do nothing if it does not exist."""
        api = self._networking
        await self._call(
            lambda: _unless_gone(
                lambda: api.delete_namespaced_network_policy(
                    name, self.namespace, _request_timeout=_TIMEOUT
                )
            )
        )

    async def save_status(self, name: str, status: Mapping[str, Any]) -> None:
        """Patch the status of a scenario. Do nothing if the resource does not exist."""
        change = {"status": status}
        await self._call(
            lambda: _unless_gone(
                lambda: self._custom.patch_namespaced_custom_object_status(
                    *self._resource, name, change, _request_timeout=_TIMEOUT
                )
            )
        )

    async def scenarios(self) -> list[dict[str, Any]]:
        """Return all ChaosScenario resources of the namespace."""
        response: Any = await self._call(
            lambda: self._custom.list_namespaced_custom_object(
                *self._resource, _request_timeout=_TIMEOUT
            )
        )
        items: list[dict[str, Any]] = response["items"]
        return items

    async def abort(self, name: str) -> None:
        """Set ``spec.abort`` of a scenario."""
        change = {"spec": {"abort": True}}
        await self._call(
            lambda: self._custom.patch_namespaced_custom_object(
                *self._resource, name, change, _request_timeout=_TIMEOUT
            )
        )

    async def _call(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except ApiException as error:
            if error.status == 409:
                raise _Conflict(error.reason) from error
            raise ClusterError(
                f"{error.status} {error.reason}: {error.body or ''}"[:500]
            ) from error
        except Exception as error:
            # urllib3 raises a dozen different types if the API server cannot be reached.
            raise ClusterError(f"{type(error).__name__}: {error}"[:500]) from error


class _Conflict(ClusterError):
    """The object exists already."""


def policies_of(policies: list[dict[str, Any]], scenario: Scenario) -> tuple[ActivePolicy, ...]:
    """Return those of ``policies`` that belong to ``scenario``."""
    return tuple(parse_policy(policy) for policy in policies if owner_of(policy) == scenario.uid)


def _unless_gone(call: Callable[[], Any]) -> Any:
    """Return what ``call`` returns, or None if the API server responds 404."""
    try:
        return call()
    except ApiException as error:
        if error.status != 404:
            raise
        return None
