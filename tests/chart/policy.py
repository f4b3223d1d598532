"""Decide who can connect to whom under NetworkPolicies, as Kubernetes defines them."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

Manifest = dict[str, Any]


class Endpoint(NamedTuple):
    """A pod, or an address outside of the cluster if `namespace` is empty."""

    name: str
    labels: Mapping[str, str]
    namespace: str
    address: str


def connects(
    policies: list[Manifest],
    namespace: str,
    source: Endpoint,
    target: Endpoint,
    port: int,
    protocol: str = "TCP",
) -> bool:
    """Return whether both sides allow a connection. A side that no policy selects allows
    everything. `namespace` is that of the policies.
    """
    return allows(policies, namespace, "Egress", source, target, port, protocol) and allows(
        policies, namespace, "Ingress", target, source, port, protocol
    )


def allows(
    policies: list[Manifest],
    namespace: str,
    direction: str,
    here: Endpoint,
    there: Endpoint,
    port: int,
    protocol: str = "TCP",
) -> bool:
    """Return whether the side of `here` alone allows a connection: Egress is from `here` to
    `there`, Ingress from `there` to `here`.
    """
    selecting = [
        policy["spec"]
        for policy in policies
        if here.namespace == namespace
        and _selects(policy["spec"]["podSelector"], here.labels)
        and direction in _types(policy["spec"])
    ]
    if not selecting:
        return True
    field, side = direction.lower(), "from" if direction == "Ingress" else "to"
    return any(
        _peers(rule.get(side), namespace, there) and _ports(rule.get("ports"), port, protocol)
        for spec in selecting
        for rule in spec.get(field) or []
    )


def _types(spec: Manifest) -> list[str]:
    types: list[str] = spec.get("policyTypes") or [
        "Ingress",
        *(["Egress"] if "egress" in spec else []),
    ]
    return types


def _peers(peers: list[Manifest] | None, namespace: str, there: Endpoint) -> bool:
    """Return whether a rule's peers include `there`; a rule without peers applies to all."""
    return not peers or any(_peer(peer, namespace, there) for peer in peers)


def _peer(peer: Manifest, namespace: str, there: Endpoint) -> bool:
    block = peer.get("ipBlock")
    if block is not None:
        address = ip_address(there.address)
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(excluded) for excluded in block.get("except", [])
        )
    if not there.namespace:
        return False
    if "namespaceSelector" in peer:
        namespace_labels = {"kubernetes.io/metadata.name": there.namespace}
        if not _selects(peer["namespaceSelector"], namespace_labels):
            return False
    elif there.namespace != namespace:
        return False
    return _selects(peer.get("podSelector") or {}, there.labels)


def _selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    unknown = set(selector) - {"matchLabels", "matchExpressions"}
    if unknown:
        raise NotImplementedError(f"selector with {sorted(unknown)}")
    named = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return named and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _holds(expression: Manifest, labels: Mapping[str, str]) -> bool:
    among = labels.get(expression["key"]) in expression["values"]
    return {"In": among, "NotIn": not among}[expression["operator"]]


def _ports(ports: list[Manifest] | None, port: int, protocol: str) -> bool:
    """Return whether a rule's ports include this one; a rule without ports applies to all."""
    return not ports or any(
        entry.get("protocol", "TCP") == protocol and entry.get("port", port) == port
        for entry in ports
    )
