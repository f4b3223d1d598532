"""Who reaches whom, from the rendered NetworkPolicies: one network for each callee."""

from collections.abc import Iterable

from trading.compose.manifests import (
    Ingress,
    NotUnderstood,
    Peer,
    Policy,
    Selector,
    Service,
)

COMPONENT = "app.kubernetes.io/component"


def callers(policies: Iterable[Policy]) -> dict[str, list[str]]:
    """By component that is called, sorted: who may open connections to it. Raises NotUnderstood
    where a policy selects pods in a way that has no equal in Compose.
    """
    found: dict[str, set[str]] = {}
    for policy in policies:
        chosen = _component(policy.metadata.name, policy.spec.pod_selector)
        if not chosen:
            # The default: nobody reaches anybody, as containers without a common network.
            if policy.spec.ingress or policy.spec.egress:
                raise NotUnderstood(f"NetworkPolicy {policy.metadata.name}: rules for every pod")
            continue
        for rule in policy.spec.ingress:
            names = {_caller(policy.metadata.name, peer) for peer in rule.peers_from}
            found.setdefault(chosen, set()).update(names - {""})
    return {callee: sorted(names) for callee, names in found.items()}


def published(services: Iterable[Service], ingresses: Iterable[Ingress]) -> dict[int, str]:
    """By fixed port, which is the component's own: those that the chart opens to the outside, each
    by a port of the node or behind an ingress. Raises NotUnderstood.
    """
    known = {service.metadata.name: service for service in services}
    found = {
        port.port: service.metadata.component
        for service in known.values()
        if service.spec.type == "NodePort"
        for port in service.spec.ports
        if port.node_port is not None
    }
    for ingress in ingresses:
        for backend in ingress.services:
            if backend.name not in known:
                raise NotUnderstood(f"Ingress {ingress.metadata.name}: no Service {backend.name}")
            found[backend.port.number] = known[backend.name].metadata.component
    return dict(sorted(found.items()))


def _caller(policy: str, peer: Peer) -> str:
    """Empty: from outside of the deployment, which is published or not."""
    if peer.ip_block is not None or peer.namespace_selector is not None:
        return ""
    if peer.pod_selector is None:
        raise NotUnderstood(f"NetworkPolicy {policy}: a peer without podSelector")
    return _component(policy, peer.pod_selector)


def _component(policy: str, selector: Selector) -> str:
    chosen = selector.match_labels.get(COMPONENT, "")
    if not chosen and selector.match_labels.keys() - {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
    }:
        raise NotUnderstood(f"NetworkPolicy {policy}: pods that are not chosen by {COMPONENT}")
    return chosen
