"""The API server, as the operator needs it. Calls block: they are made in threads."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from trading_operator.policies import Cut, Live, live, manifest, name_of, owner_of
from trading_operator.resource import GROUP, PLURAL, VERSION, Scenario

T = TypeVar("T")
#: Seconds to connect, and for an answer.
_PATIENCE = (3, 10)


class ClusterError(Exception):
    """What the API server says, or why it says nothing."""


def connect() -> client.ApiClient:
    """By the pod's service account, else as kubectl would."""
    try:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
    except config.ConfigException:
        config.load_kube_config()  # type: ignore[no-untyped-call]
    return client.ApiClient()


class Cluster:
    """``release``: labels that every pod of the release has."""

    def __init__(self, api: client.ApiClient, namespace: str, release: Mapping[str, str]) -> None:
        self.namespace = namespace
        self.release = release
        self._networking = client.NetworkingV1Api(api)
        self._custom = client.CustomObjectsApi(api)
        self._where = (GROUP, VERSION, namespace, PLURAL)

    async def policies(self) -> list[dict[str, Any]]:
        """All of the namespace. Raises ClusterError, as all of these."""
        # As it is: the client's models cost ten times as much.
        found: Any = await self._do(
            lambda: self._networking.list_namespaced_network_policy(
                self.namespace, _request_timeout=_PATIENCE, _preload_content=False
            )
        )
        listed: list[dict[str, Any]] = json.loads(found.data)["items"]
        return listed

    async def put(self, scenario: Scenario, cut: Cut, until: float) -> None:
        """Made, or brought up to date."""
        body: Any = manifest(scenario, cut, self.release, until)
        name = name_of(scenario, cut.caller)
        api = self._networking
        try:
            await self._do(
                lambda: api.create_namespaced_network_policy(
                    self.namespace, body, _request_timeout=_PATIENCE
                )
            )
        except _Conflict:
            change = {"metadata": body["metadata"], "spec": body["spec"]}
            await self._do(
                lambda: api.patch_namespaced_network_policy(
                    name, self.namespace, change, _request_timeout=_PATIENCE
                )
            )

    async def drop(self, name: str) -> None:
        """Nothing where it is gone already."""
        api = self._networking
        await self._do(
            lambda: _unless_gone(
                lambda: api.delete_namespaced_network_policy(
                    name, self.namespace, _request_timeout=_PATIENCE
                )
            )
        )

    async def save(self, name: str, status: Mapping[str, Any]) -> None:
        """The whole status; nothing where the resource is gone."""
        change = {"status": status}
        await self._do(
            lambda: _unless_gone(
                lambda: self._custom.patch_namespaced_custom_object_status(
                    *self._where, name, change, _request_timeout=_PATIENCE
                )
            )
        )

    async def scenarios(self) -> list[dict[str, Any]]:
        found: Any = await self._do(
            lambda: self._custom.list_namespaced_custom_object(
                *self._where, _request_timeout=_PATIENCE
            )
        )
        items: list[dict[str, Any]] = found["items"]
        return items

    async def abort(self, name: str) -> None:
        change = {"spec": {"abort": True}}
        await self._do(
            lambda: self._custom.patch_namespaced_custom_object(
                *self._where, name, change, _request_timeout=_PATIENCE
            )
        )

    async def _do(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except ApiException as error:
            if error.status == 409:
                raise _Conflict(error.reason) from error
            raise ClusterError(
                f"{error.status} {error.reason}: {error.body or ''}"[:500]
            ) from error
        except Exception as error:
            # urllib3 has a dozen of kinds for an API server that is away.
            raise ClusterError(f"{type(error).__name__}: {error}"[:500]) from error


class _Conflict(ClusterError):
    """It is there already."""


def ours(policies: list[dict[str, Any]], scenario: Scenario) -> tuple[Live, ...]:
    """Those that play this scenario's faults."""
    return tuple(live(one) for one in policies if owner_of(one) == scenario.uid)


def _unless_gone(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ApiException as error:
        if error.status != 404:
            raise
        return None
