"""A ChaosScenario resource as the API server has it.

It may be wrong in every way that the CRD's schema does not exclude, so nothing here raises because
of its spec: the test coordinator refuses what is invalid, and says why.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from trading.scenario.model import API_VERSION, KIND
from trading.topology import SERVICES

GROUP, VERSION = API_VERSION.split("/")
PLURAL = "chaosscenarios"
#: Prefix of the operator's labels, annotations and finalizer.
PREFIX = GROUP
FINALIZER = f"{PREFIX}/faults-must-end"

Pair = tuple[str, str]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One resource. ``deleted``: its deletion was requested, and its finalizer still holds it.
    ``spec``: as it was applied, not validated.
    """

    name: str
    namespace: str
    uid: str
    generation: int = 0
    spec: dict[str, Any]
    deleted: bool = False

    @property
    def run_id(self) -> str:
        """The id of its run. Another resource with the same name has another run."""
        return f"{self.name}-{self.uid[:8]}"

    @property
    def stop_reason(self) -> str:
        """Why its run must stop now, or an empty string."""
        if self.deleted:
            return "the resource was deleted"
        return "spec.abort was set" if self.spec.get("abort") else ""

    @property
    def partitions(self) -> dict[str, list[Pair]]:
        """By name of the fault, the pairs of services that it separates. Anything that is not a
        pair of services is left out; the coordinator refuses it.
        """
        partitions = {}
        for fault in _items(self.spec.get("faults")):
            partition = fault.get("networkPartition") if isinstance(fault, Mapping) else None
            between = partition.get("between") if isinstance(partition, Mapping) else None
            pairs = [(p[0], p[1]) for p in _items(between) if _is_pair(p)]
            if pairs:
                partitions[str(fault.get("name", ""))] = pairs
        return partitions

    @property
    def text(self) -> str:
        """The scenario file that the resource was made from, as JSON (which is YAML)."""
        spec = {key: value for key, value in self.spec.items() if key != "abort"}
        whole = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self.name}}
        return json.dumps(whole | {"spec": spec})


def _items(value: Any) -> list[Any]:
    """Return ``value`` if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def _is_pair(value: Any) -> bool:
    """Return whether ``value`` is a list of two names of services."""
    services = isinstance(value, list) and all(isinstance(n, str) and n in SERVICES for n in value)
    return services and len(value) == 2


def scenario(body: Mapping[str, Any]) -> Scenario:
    """Return the Scenario of a resource's body."""
    meta = body["metadata"]
    return Scenario(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        spec=dict(body.get("spec") or {}),
        deleted=bool(meta.get("deletionTimestamp")),
    )
