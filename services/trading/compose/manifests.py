"""What of Kubernetes is understood. A field that is not listed here is an error that names it:
what the chart says is either in the Compose file or dropped on purpose.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trading.compose.pods import Metadata, Strict, Workload


class NotUnderstood(ValueError):
    """Which manifest, and where in it."""


class ServicePort(Strict):
    port: int
    name: str = ""
    target_port: int | str = 0
    protocol: str = "TCP"
    node_port: int | None = None
    app_protocol: str = ""


class ServiceSpec(Strict):
    ports: list[ServicePort]
    selector: dict[str, str]
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    publish_not_ready_addresses: bool = False


class Service(Strict):
    api_version: str
    kind: str
    metadata: Metadata
    spec: ServiceSpec


class Secret(Strict):
    """Only the names of what is in it are read."""

    api_version: str
    kind: str
    metadata: Metadata
    type: str = "Opaque"
    data: dict[str, str] = msgspec.field(default_factory=dict)
    string_data: dict[str, str] = msgspec.field(default_factory=dict)
    immutable: bool = False

    @property
    def keys(self) -> list[str]:
        return sorted({*self.data, *self.string_data})


class ConfigMap(Strict):
    api_version: str
    kind: str
    metadata: Metadata
    data: dict[str, str] = msgspec.field(default_factory=dict)
    immutable: bool = False


class Selector(Strict):
    match_labels: dict[str, str] = msgspec.field(default_factory=dict)


class Peer(Strict):
    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: dict[str, Any] | None = None


class PolicyPort(Strict):
    port: int | str
    protocol: str = "TCP"


class Rule(Strict):
    """One of ``ingress`` or ``egress``."""

    peers_from: list[Peer] = msgspec.field(name="from", default_factory=list)
    peers_to: list[Peer] = msgspec.field(name="to", default_factory=list)
    ports: list[PolicyPort] = msgspec.field(default_factory=list)


class PolicySpec(Strict):
    pod_selector: Selector
    policy_types: list[str] = msgspec.field(default_factory=list)
    ingress: list[Rule] = msgspec.field(default_factory=list)
    egress: list[Rule] = msgspec.field(default_factory=list)


class Policy(Strict):
    api_version: str
    kind: str
    metadata: Metadata
    spec: PolicySpec


class IngressPort(Strict):
    number: int


class IngressService(Strict):
    name: str
    port: IngressPort


class Backend(Strict):
    service: IngressService


class Path(Strict):
    path: str
    path_type: str
    backend: Backend


class Paths(Strict):
    paths: list[Path]


class HostRule(Strict):
    host: str
    http: Paths


class IngressSpec(Strict):
    """Host names and their certificates are for the proxy that stands before a single host."""

    rules: list[HostRule]
    tls: list[dict[str, Any]] = msgspec.field(default_factory=list)
    ingress_class_name: str = ""


class Ingress(Strict):
    api_version: str
    kind: str
    metadata: Metadata
    spec: IngressSpec

    @property
    def services(self) -> list[IngressService]:
        return [p.backend.service for rule in self.spec.rules for p in rule.http.paths]


#: What a single host has no use for, or does in another way; see the head of the Compose file.
DROPPED = {
    "CustomResourceDefinition": "there is no operator on a single host",
    "PersistentVolumeClaim": "volumes are declared where they are used",
    "PodDisruptionBudget": "nobody drains a single host",
    "PrometheusRule": "the rules are in Prometheus's own configuration",
    "Role": "no Kubernetes API",
    "RoleBinding": "no Kubernetes API",
    "ServiceAccount": "no Kubernetes API",
    "ServiceMonitor": "the targets are in Prometheus's own configuration",
}
_KINDS: dict[str, type[Any]] = {
    "Deployment": Workload,
    "StatefulSet": Workload,
    "Job": Workload,
    "Service": Service,
    "Secret": Secret,
    "ConfigMap": ConfigMap,
    "NetworkPolicy": Policy,
    "Ingress": Ingress,
}


def read(documents: Iterable[Mapping[str, Any] | None]) -> list[Any]:
    """One structure for each manifest that counts. Raises NotUnderstood."""
    found = []
    for document in documents:
        if not document:
            continue
        kind = document.get("kind", "")
        name = (document.get("metadata") or {}).get("name", "?")
        hooked = (document["metadata"].get("annotations") or {}).get("helm.sh/hook")
        if kind in DROPPED or hooked:
            continue
        if kind not in _KINDS:
            raise NotUnderstood(
                f"{kind} {name}: this kind is not known; add it to trading/compose/manifests.py,"
                " to what is understood or to what is dropped"
            )
        try:
            found.append(msgspec.convert(document, _KINDS[kind]))
        except msgspec.ValidationError as error:
            raise NotUnderstood(f"{kind} {name}: {error}") from error
    return found
