"""Derive the networks of Compose from NetworkPolicies: one network for each component.

The component listens in its network, and the components that may connect to it join it.
"""

from collections.abc import Iterable

from trading.compose.manifests import (
    Ingress,
    Peer,
    Policy,
    Selector,
    Service,
    UnsupportedManifest,
)

COMPONENT = "app.kubernetes.io/component"


def callers(policies: Iterable[Policy]) -> dict[str, list[str]]:
    """Return, for each callee, the sorted names of the components that may connect to it.

    Raises UnsupportedManifest if a policy selects pods in a way that Compose cannot express.
    """
    by_callee: dict[str, set[str]] = {}
    for policy in policies:
        callee = _component(policy.metadata.name, policy.spec.pod_selector)
        if not callee:
            # The policy that denies everything: containers without a common network are isolated.
            if policy.spec.ingress or policy.spec.egress:
                raise UnsupportedManifest(
                    f"NetworkPolicy {policy.metadata.name}: rules for every pod"
                )
            continue
        for rule in policy.spec.ingress:
            names = {_caller(policy.metadata.name, peer) for peer in rule.peers_from}
            by_callee.setdefault(callee, set()).update(names - {""})
    return {callee: sorted(names) for callee, names in by_callee.items()}


def published(services: Iterable[Service], ingresses: Iterable[Ingress]) -> dict[int, str]:
    """Return the component behind each published port, in the order of the ports.

    These are the ports that the chart exposes by a NodePort or an Ingress. Raises
    UnsupportedManifest if an Ingress names an unknown Service.
    """
    by_name = {service.metadata.name: service for service in services}
    components = {
        port.port: service.metadata.component
        for service in by_name.values()
        if service.spec.type == "NodePort"
        for port in service.spec.ports
        if port.node_port is not None
    }
    for ingress in ingresses:
        for backend in ingress.services:
            if backend.name not in by_name:
                raise UnsupportedManifest(
                    f"Ingress {ingress.metadata.name}: no Service {backend.name}"
                )
            components[backend.port.number] = by_name[backend.name].metadata.component
    return dict(sorted(components.items()))


def _caller(policy: str, peer: Peer) -> str:
    """Return the component of a peer, or an empty text if it is outside of the deployment."""
    if peer.ip_block is not None or peer.namespace_selector is not None:
        return ""
    if peer.pod_selector is None:
        raise UnsupportedManifest(f"NetworkPolicy {policy}: a peer without podSelector")
    return _component(policy, peer.pod_selector)


def _component(policy: str, selector: Selector) -> str:
    component = selector.match_labels.get(COMPONENT, "")
    if not component and selector.match_labels.keys() - {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
    }:
        raise UnsupportedManifest(
            f"NetworkPolicy {policy}: pods that are not chosen by {COMPONENT}"
        )
    return component
