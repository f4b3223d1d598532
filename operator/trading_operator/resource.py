"""A ChaosScenario as the API server has it."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from trading.scenario.model import API_VERSION, KIND
from trading.topology import SERVICES

GROUP, VERSION = API_VERSION.split("/")
PLURAL = "chaosscenarios"
#: Before what the operator writes into metadata, and the name of its finalizer.
PREFIX = GROUP
FINALIZER = f"{PREFIX}/faults-must-end"

Pair = tuple[str, str]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """``deleted``: somebody has asked for its deletion. ``spec``: as it was given."""

    name: str
    namespace: str
    uid: str
    generation: int = 0
    spec: dict[str, Any]
    deleted: bool = False

    @property
    def run_id(self) -> str:
        """Of its run: another resource of the same name is another run."""
        return f"{self.name}-{self.uid[:8]}"

    @property
    def unwanted(self) -> str:
        """Why its faults have to end now; empty: they have not."""
        if self.deleted:
            return "the resource was deleted"
        return "spec.abort was set" if self.spec.get("abort") else ""

    @property
    def partitions(self) -> dict[str, list[Pair]]:
        """By fault, the pairs that it cuts off from each other; what is no pair of services is the
        coordinator's to refuse.
        """
        found = {}
        for fault in _each(self.spec.get("faults")):
            partition = fault.get("networkPartition") if isinstance(fault, Mapping) else None
            given = partition.get("between") if isinstance(partition, Mapping) else None
            pairs = [(p[0], p[1]) for p in _each(given) if _is_pair(p)]
            if pairs:
                found[str(fault.get("name", ""))] = pairs
        return found

    @property
    def text(self) -> str:
        """For the coordinator: the file that the resource was made of, as JSON, which is YAML."""
        spec = {key: value for key, value in self.spec.items() if key != "abort"}
        whole = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": self.name}}
        return json.dumps(whole | {"spec": spec})


def _each(found: Any) -> list[Any]:
    """A list's items; anything else has none."""
    return found if isinstance(found, list) else []


def _is_pair(found: Any) -> bool:
    known = isinstance(found, list) and all(isinstance(n, str) and n in SERVICES for n in found)
    return known and len(found) == 2


def scenario(body: Mapping[str, Any]) -> Scenario:
    meta = body["metadata"]
    return Scenario(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        spec=dict(body.get("spec") or {}),
        deleted=bool(meta.get("deletionTimestamp")),
    )
