"""The NetworkPolicies allow what the topology says: every ordered pair of pods, on every port."""

from typing import Any

import pytest

from tests.chart.policy import Endpoint, allows, connects
from tests.chart.rendering import ALL, API_CLIENTS, NAMESPACE, TASKS, manifests, of_kind, pods
from trading.topology import DATABASE_SETUP, INFRASTRUCTURE, PUBLISHED, SERVICES, callers

#: The pod of `helm test`.
TESTER = "test"
STRANGER = Endpoint("stranger", {}, NAMESPACE, "10.244.9.1")
#: A pod with the labels of the exchange in another namespace.
NEIGHBOUR = "neighbour"
DNS = Endpoint("dns", {"k8s-app": "kube-dns"}, "kube-system", "10.244.9.3")
OUTSIDE = Endpoint("outside", {}, "", "198.51.100.9")
POLICED = ("dev", "test", "prod", "everything")
#: Renderings with the operator, whose partitions are egress policies. Its services have no other
#: egress policy, so only the ingress policies of the callees decide.
OPERATED = ("dev", "test", "everything")
#: The usual ports of an API server.
API_PORTS = (443, 6443)


def endpoints(name: str) -> dict[str, Endpoint]:
    """Return every pod of the release, and endpoints that do not belong to it, by name."""
    release_pods = {
        pod.component: Endpoint(pod.component, pod.labels, NAMESPACE, f"10.244.0.{number + 10}")
        for number, pod in enumerate(pods(manifests(name)))
    }
    neighbour = Endpoint(NEIGHBOUR, release_pods["exchange"].labels, "elsewhere", "10.244.9.2")
    return release_pods | {
        endpoint.name: endpoint for endpoint in (STRANGER, neighbour, DNS, OUTSIDE)
    }


def ports() -> list[int]:
    """Return all ports that are in use, and two that are not."""
    stores = (port for store in INFRASTRUCTURE.values() for port in store.ports)
    return sorted({*(s.port for s in SERVICES.values()), *stores, 22, 443})


def expected(name: str, source: str, target: str, port: int) -> bool:
    """Return whether the topology alone allows this connection."""
    if source in (STRANGER.name, NEIGHBOUR, DNS.name):
        return False
    if target in (STRANGER.name, NEIGHBOUR, DNS.name, OUTSIDE.name):
        if name in OPERATED and source in SERVICES:
            return True
        if source in API_CLIENTS and port in API_PORTS:
            return True
    if target == STRANGER.name:
        return False
    published = target in PUBLISHED and port == main_port(target)
    if source == OUTSIDE.name:
        return published and name in ("dev", "test", "everything")
    if target == OUTSIDE.name:
        return source == "market-data" and port == 443 and name == "everything"
    if target in SERVICES:
        return port == SERVICES[target].port and source in (*callers(target), TESTER)
    if target in INFRASTRUCTURE:
        return source in INFRASTRUCTURE[target].ports.get(port, ())
    return False


def main_port(name: str) -> int:
    """Return the first port of a service or store."""
    return SERVICES[name].port if name in SERVICES else next(iter(INFRASTRUCTURE[name].ports))


def differences(name: str, policies: list[dict[str, Any]]) -> list[str]:
    """Return the connections that the policies allow and the topology does not, and the reverse."""
    by_name = endpoints(name)
    wrong_edges = []
    for source in by_name.values():
        for target in by_name.values():
            ours = NAMESPACE in (source.namespace, target.namespace)
            free = {source.name, target.name} <= {STRANGER.name, NEIGHBOUR, DNS.name, OUTSIDE.name}
            if source is target or not ours or free:
                continue
            for port in ports():
                can = connects(policies, NAMESPACE, source, target, port)
                if can != expected(name, source.name, target.name, port):
                    verb = "can" if can else "cannot"
                    wrong_edges.append(f"{source.name} {verb} reach {target.name}:{port}")
    return wrong_edges


def policies_of(name: str) -> list[dict[str, Any]]:
    """Return the NetworkPolicies of a rendering."""
    return list(of_kind(manifests(name), "NetworkPolicy").values())


@pytest.mark.parametrize("name", POLICED)
def test_every_pair_is_as_the_topology_says(name: str) -> None:
    assert {*SERVICES, "postgres", "redis", DATABASE_SETUP, TESTER} <= set(endpoints(name))
    assert differences(name, policies_of(name)) == []


def one_sided(name: str, policies: list[dict[str, Any]]) -> list[str]:
    """Return what one side alone allows between pods of the release, and the topology does not."""
    ours = {pod.component for pod in pods(manifests(name))}
    by_name = {key: endpoint for key, endpoint in endpoints(name).items() if key in ours}
    wrong_edges = []
    for source in by_name.values():
        for target in by_name.values():
            for port in ports():
                if source is target or expected(name, source.name, target.name, port):
                    continue
                free = name in OPERATED and source.name in SERVICES
                free |= source.name in API_CLIENTS and port in API_PORTS
                if not free and allows(policies, NAMESPACE, "Egress", source, target, port):
                    wrong_edges.append(f"{source.name} may send to {target.name}:{port}")
                if allows(policies, NAMESPACE, "Ingress", target, source, port):
                    wrong_edges.append(f"{target.name}:{port} may hear from {source.name}")
    return wrong_edges


@pytest.mark.parametrize("name", POLICED)
def test_each_side_alone_would_do(name: str) -> None:
    assert one_sided(name, policies_of(name)) == []


def test_a_wrong_edge_is_found() -> None:
    """A policy on one side alone opens no connection; policies on both sides do."""
    by_name = endpoints("prod")
    planted = [
        _policy(by_name["risk-monitor"], "egress", "to", by_name["test-coordinator"], 8085),
        _policy(by_name["test-coordinator"], "ingress", "from", by_name["risk-monitor"], 8085),
    ]
    good = policies_of("prod")
    for policy, complaint in zip(
        planted,
        (
            "risk-monitor may send to test-coordinator:8085",
            "test-coordinator:8085 may hear from risk-monitor",
        ),
        strict=True,
    ):
        assert differences("prod", [*good, policy]) == []
        assert one_sided("prod", [*good, policy]) == [complaint]
    wrong = ["risk-monitor can reach test-coordinator:8085"]
    assert differences("prod", [*good, *planted]) == wrong
    # With the operator, the ingress policy of the callee decides alone.
    assert differences("dev", [*policies_of("dev"), planted[1]]) == wrong


@pytest.mark.parametrize("missing", ["trading-custodian", "trading-default-deny"])
def test_a_missing_policy_is_found_only_where_another_does_not_stand_in(missing: str) -> None:
    rest = [policy for policy in policies_of("dev") if policy["metadata"]["name"] != missing]
    if missing == "trading-default-deny":
        # Each component has a policy of its own, which denies all other connections.
        assert differences("dev", rest) == []
    else:
        assert "risk-monitor cannot reach custodian:8081" in differences("dev", rest)


def test_without_policies_everything_is_open() -> None:
    assert policies_of("bare") == []
    assert "risk-monitor can reach test-coordinator:8085" in differences("bare", [])


@pytest.mark.parametrize("name", POLICED)
def test_everybody_can_ask_for_names_and_nobody_can_ask_anything_else_there(name: str) -> None:
    by_name = endpoints(name)
    for pod in pods(manifests(name)):
        if pod.component in TASKS:
            continue
        source = by_name[pod.component]
        for protocol in ("UDP", "TCP"):
            assert connects(policies_of(name), NAMESPACE, source, DNS, 53, protocol)
        free = name in OPERATED and pod.component in SERVICES
        assert connects(policies_of(name), NAMESPACE, source, DNS, 8181) == free


@pytest.mark.parametrize("name", ["prod", "everything"])
def test_an_ingress_controller_reaches_what_it_serves_and_no_more(name: str) -> None:
    controller = Endpoint("controller", {"a": "b"}, "ingress-nginx", "10.244.9.4")
    by_name = endpoints(name)
    reached = {
        target
        for target in by_name
        for port in ports()
        if by_name[target].namespace == NAMESPACE
        and target != STRANGER.name
        and connects(policies_of(name), NAMESPACE, controller, by_name[target], port)
    }
    assert reached == {"risk-monitor", "grafana"}


def test_a_prometheus_operator_reaches_the_services_metrics() -> None:
    scraper = Endpoint("scraper", {}, "monitoring", "10.244.9.5")
    for name, allowed in (("everything", True), ("dev", False)):
        by_name = endpoints(name)
        for service in SERVICES.values():
            target = by_name[service.name]
            can = connects(policies_of(name), NAMESPACE, scraper, target, service.port)
            assert can == allowed
        assert not connects(policies_of(name), NAMESPACE, scraper, by_name["postgres"], 5432)


def test_all_that_is_asked_here_is_deployed_somewhere() -> None:
    assert set(POLICED) < set(ALL)
    assert set(endpoints("dev")) >= {*SERVICES, *INFRASTRUCTURE, DATABASE_SETUP, TESTER}


def _policy(
    selected: Endpoint, field: str, side: str, other: Endpoint, port: int
) -> dict[str, Any]:
    peer = {"podSelector": {"matchLabels": dict(other.labels)}}
    rule = {side: [peer], "ports": [{"port": port, "protocol": "TCP"}]}
    spec = {
        "podSelector": {"matchLabels": dict(selected.labels)},
        "policyTypes": [field.capitalize()],
        field: [rule],
    }
    return {"metadata": {"name": "planted"}, "spec": spec}
