"""Partitions as NetworkPolicies.

A NetworkPolicy can only allow. What cuts is the first one that selects a pod for egress: from then
on all that it does not allow is denied. So a caller's policy allows everything but those whom the
partition keeps from it, and its deletion is the end of the partition. Two of them for one caller
would allow what the other denies: there is one for each caller, of all partitions that are on.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from trading.scenario.model import API_VERSION, KIND
from trading.topology import may_connect
from trading_operator.resource import PREFIX, Pair, Scenario

COMPONENT = "app.kubernetes.io/component"
#: Label of every policy that plays a fault; its value: the scenario's uid.
OWNER = f"{PREFIX}/scenario"
RECOVER_BY = f"{PREFIX}/recover-by"
FAULTS = f"{PREFIX}/faults"
#: Seconds that a policy outlives whoever renews it, before the reaper may delete it.
LEASE = 60.0
RENEWED_AFTER = 20.0

NAMESPACE = "kubernetes.io/metadata.name"
#: Where pods usually have their addresses; the rest is the internet, which no partition cuts.
_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
_NODE_LOCAL_DNS = "169.254.20.10/32"


class Cut(msgspec.Struct, frozen=True, order=True):
    """``caller`` reaches none of ``callees``; ``faults``: which say so."""

    caller: str
    callees: tuple[str, ...]
    faults: tuple[str, ...]


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """One of the operator's policies in the cluster. ``until``: Unix time of its recover-by."""

    name: str
    caller: str = ""
    callees: tuple[str, ...] = ()
    until: float = 0.0


def cuts(active: Mapping[str, Iterable[Pair]]) -> list[Cut]:
    """By caller, all that the active faults keep from it."""
    kept: dict[str, set[tuple[str, str]]] = {}
    for fault, pairs in active.items():
        for one, other in pairs:
            for caller, callee in ((one, other), (other, one)):
                if may_connect(caller, callee):
                    kept.setdefault(caller, set()).add((callee, fault))
    return sorted(
        Cut(caller, tuple(sorted({c for c, _ in found})), tuple(sorted({f for _, f in found})))
        for caller, found in kept.items()
    )


def name_of(scenario: Scenario, caller: str) -> str:
    """The same at every try, and no other scenario's."""
    return f"chaos-{scenario.uid[:8]}-{caller}"


def manifest(
    scenario: Scenario, cut: Cut, release: Mapping[str, str], until: float
) -> dict[str, Any]:
    """``release``: labels that all pods of the release have."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": name_of(scenario, cut.caller),
            "namespace": scenario.namespace,
            "labels": {OWNER: scenario.uid, COMPONENT: "partition"},
            "annotations": {
                RECOVER_BY: stamp(until),
                FAULTS: ",".join(cut.faults),
                f"{PREFIX}/caller": cut.caller,
                f"{PREFIX}/callees": ",".join(cut.callees),
            },
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": scenario.name,
                    "uid": scenario.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {
            "podSelector": {"matchLabels": {**release, COMPONENT: cut.caller}},
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [{"podSelector": _but(COMPONENT, cut.callees)}]},
                {"to": [{"namespaceSelector": _but(NAMESPACE, (scenario.namespace,))}]},
                {"to": [{"ipBlock": {"cidr": _NODE_LOCAL_DNS}}]},
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_PRIVATE)}}]},
            ],
        },
    }


def live(found: Mapping[str, Any]) -> Live:
    """One of ours, as the API server has it; what cannot be read of it is expired."""
    notes = found["metadata"].get("annotations") or {}
    callees = notes.get(f"{PREFIX}/callees", "")
    return Live(
        name=found["metadata"]["name"],
        caller=notes.get(f"{PREFIX}/caller", ""),
        callees=tuple(callees.split(",")) if callees else (),
        until=until_of(found),
    )


def owner_of(found: Mapping[str, Any]) -> str:
    """The uid of the scenario that a policy plays a fault of; empty: it is somebody else's."""
    return str((found["metadata"].get("labels") or {}).get(OWNER, ""))


def until_of(found: Mapping[str, Any]) -> float:
    """Unix time of its recover-by; 0 where there is none that can be read."""
    text = (found["metadata"].get("annotations") or {}).get(RECOVER_BY, "")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def stamp(at: float) -> str:
    """Unix time as Kubernetes writes it."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _but(key: str, values: Iterable[str]) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": "NotIn", "values": list(values)}]}
