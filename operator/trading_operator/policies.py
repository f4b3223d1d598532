"""Partitions as NetworkPolicies.

A NetworkPolicy can only allow traffic. But as soon as any policy selects a pod for egress,
everything that no policy allows is denied. So the policy of a caller allows everything except the
callees that a partition cuts off, and deleting the policy ends the partition. Policies add up: two
for the same caller would each allow what the other denies. Hence there is one policy for each
caller, for all partitions that are active.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from trading.scenario.model import API_VERSION, KIND
from trading.topology import may_connect
from trading_operator.resource import PREFIX, Pair, Scenario

COMPONENT = "app.kubernetes.io/component"
#: Label of every policy that implements a fault; its value is the scenario's uid.
OWNER = f"{PREFIX}/scenario"
RECOVER_BY = f"{PREFIX}/recover-by"
FAULTS = f"{PREFIX}/faults"
#: Seconds from a policy's renewal until it expires and the reaper may delete it.
LEASE = 60.0
#: Age in seconds at which the operator renews a policy.
RENEWED_AFTER = 20.0

NAMESPACE = "kubernetes.io/metadata.name"
#: Private address ranges, which pods use. Any other address is the internet, which stays reachable.
_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
_NODE_LOCAL_DNS = "169.254.20.10/32"


class Cut(msgspec.Struct, frozen=True, order=True):
    """``caller`` cannot connect to any of ``callees``. ``faults`` names the causes."""

    caller: str
    callees: tuple[str, ...]
    faults: tuple[str, ...]


class ActivePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One of the operator's policies in the cluster. ``until`` is the Unix time, in seconds, of its
    recover-by annotation.
    """

    name: str
    caller: str = ""
    callees: tuple[str, ...] = ()
    until: float = 0.0


def cuts(active: Mapping[str, Iterable[Pair]]) -> list[Cut]:
    """Return one Cut for each caller, sorted. ``active`` has the partitioned pairs by fault. A pair
    is cut in each direction in which the topology allows connections.
    """
    blocked: dict[str, set[tuple[str, str]]] = {}
    for fault, pairs in active.items():
        for first, second in pairs:
            for caller, callee in ((first, second), (second, first)):
                if may_connect(caller, callee):
                    blocked.setdefault(caller, set()).add((callee, fault))
    return sorted(
        Cut(caller, tuple(sorted({c for c, _ in edges})), tuple(sorted({f for _, f in edges})))
        for caller, edges in blocked.items()
    )


def name_of(scenario: Scenario, caller: str) -> str:
    """Return the name of the policy for ``caller``: always the same, and unique to the scenario."""
    return f"chaos-{scenario.uid[:8]}-{caller}"


def manifest(
    scenario: Scenario, cut: Cut, release: Mapping[str, str], until: float
) -> dict[str, Any]:
    """Return the NetworkPolicy of ``cut`` as JSON.

    ``release`` is the labels that all pods of the release have; ``until`` is the Unix time, in
    seconds, at which the policy expires.
    """
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
                {"to": [{"podSelector": _all_except(COMPONENT, cut.callees)}]},
                {"to": [{"namespaceSelector": _all_except(NAMESPACE, (scenario.namespace,))}]},
                {"to": [{"ipBlock": {"cidr": _NODE_LOCAL_DNS}}]},
                {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_PRIVATE)}}]},
            ],
        },
    }


def parse_policy(policy: Mapping[str, Any]) -> ActivePolicy:
    """Parse one of the operator's policies. One without a valid recover-by counts as expired."""
    annotations = policy["metadata"].get("annotations") or {}
    callees = annotations.get(f"{PREFIX}/callees", "")
    return ActivePolicy(
        name=policy["metadata"]["name"],
        caller=annotations.get(f"{PREFIX}/caller", ""),
        callees=tuple(callees.split(",")) if callees else (),
        until=until_of(policy),
    )


def owner_of(policy: Mapping[str, Any]) -> str:
    """Return the uid of the scenario that owns a policy, or "" if it is not the operator's."""
    return str((policy["metadata"].get("labels") or {}).get(OWNER, ""))


def until_of(policy: Mapping[str, Any]) -> float:
    """Return the Unix time, in seconds, of a policy's recover-by; 0 if it is missing or invalid."""
    text = (policy["metadata"].get("annotations") or {}).get(RECOVER_BY, "")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def stamp(at: float) -> str:
    """Format a Unix time, in seconds, as Kubernetes does: RFC 3339 in UTC, without a fraction."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _all_except(key: str, values: Iterable[str]) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": "NotIn", "values": list(values)}]}
