"""The supported subset of Kubernetes manifests; `pods` has that of workloads.

A field or kind that is not listed is an error that names it. So everything in the chart is either
translated to Compose or dropped on purpose.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trading.compose.pods import Metadata, Strict, Workload


class UnsupportedManifest(ValueError):
    """A manifest cannot be translated to Compose. The message names the manifest and the cause."""


class ServicePort(Strict):
    """One port of a Service."""

    port: int
    name: str = ""
    target_port: int | str = 0
    protocol: str = "TCP"
    node_port: int | None = None
    app_protocol: str = ""


class ServiceSpec(Strict):
    """The specification of a Service."""

    ports: list[ServicePort]
    selector: dict[str, str]
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    publish_not_ready_addresses: bool = False


class Service(Strict):
    """A Service; its name becomes the alias of its component's containers."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: ServiceSpec


class Secret(Strict):
    """A Secret. Only the names of its keys are used, never the values."""

    api_version: str
    kind: str
    metadata: Metadata
    type: str = "Opaque"
    data: dict[str, str] = msgspec.field(default_factory=dict)
    string_data: dict[str, str] = msgspec.field(default_factory=dict)
    immutable: bool = False

    @property
    def keys(self) -> list[str]:
        """Return the names of all keys, sorted."""
        return sorted({*self.data, *self.string_data})


class ConfigMap(Strict):
    """A ConfigMap; each of its entries becomes a Compose config."""

    api_version: str
    kind: str
    metadata: Metadata
    data: dict[str, str] = msgspec.field(default_factory=dict)
    immutable: bool = False


class Selector(Strict):
    """A label selector. Only `matchLabels` is supported."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)


class Peer(Strict):
    """A source or destination in a rule of a NetworkPolicy."""

    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: dict[str, Any] | None = None


class PolicyPort(Strict):
    """A port in a rule of a NetworkPolicy."""

    port: int | str
    protocol: str = "TCP"


class Rule(Strict):
    """One rule of a NetworkPolicy, for ingress or egress."""

    peers_from: list[Peer] = msgspec.field(name="from", default_factory=list)
    peers_to: list[Peer] = msgspec.field(name="to", default_factory=list)
    ports: list[PolicyPort] = msgspec.field(default_factory=list)


class PolicySpec(Strict):
    """The specification of a NetworkPolicy."""

    pod_selector: Selector
    policy_types: list[str] = msgspec.field(default_factory=list)
    ingress: list[Rule] = msgspec.field(default_factory=list)
    egress: list[Rule] = msgspec.field(default_factory=list)


class Policy(Strict):
    """A NetworkPolicy; the callers that it admits join the network of its component."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: PolicySpec


class IngressPort(Strict):
    """The port of the Service behind a path."""

    number: int


class IngressService(Strict):
    """The Service behind a path."""

    name: str
    port: IngressPort


class Backend(Strict):
    """The backend of a path."""

    service: IngressService


class Path(Strict):
    """One path of an Ingress, with its backend."""

    path: str
    path_type: str
    backend: Backend


class Paths(Strict):
    """All paths of a host."""

    paths: list[Path]


class HostRule(Strict):
    """The rule for one host name of an Ingress."""

    host: str
    http: Paths


class IngressSpec(Strict):
    """The specification of an Ingress.

    Host names and certificates are ignored: on a single host, the user's reverse proxy has them.
    """

    rules: list[HostRule]
    tls: list[dict[str, Any]] = msgspec.field(default_factory=list)
    ingress_class_name: str = ""


class Ingress(Strict):
    """An Ingress; the ports of its Services are published."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: IngressSpec

    @property
    def services(self) -> list[IngressService]:
        """Return the Services behind all paths."""
        return [p.backend.service for rule in self.spec.rules for p in rule.http.paths]


#: Kinds without an equivalent on a single host, and why. The head of the Compose file lists them:
#: a change of these texts changes the generated files.
DROPPED = {
    "CustomResourceDefinition": "there is no operator on a single host",
    "PersistentVolumeClaim": "volumes are declared where they are used",
    "PodDisruptionBudget": "a single host is not drained",
    "PrometheusRule": "the rules are in Prometheus's own configuration",
    "Role": "there is no Kubernetes API",
    "RoleBinding": "there is no Kubernetes API",
    "ServiceAccount": "there is no Kubernetes API",
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
    """Return a typed structure for each manifest, without hooks of Helm and dropped kinds.

    Raises UnsupportedManifest.
    """
    manifests = []
    for document in documents:
        if not document:
            continue
        kind = document.get("kind", "")
        name = (document.get("metadata") or {}).get("name", "?")
        is_hook = (document["metadata"].get("annotations") or {}).get("helm.sh/hook")
        if kind in DROPPED or is_hook:
            continue
        if kind not in _KINDS:
            raise UnsupportedManifest(
                f"{kind} {name}: this kind is not known; add it to trading/compose/manifests.py,"
                " to what is understood or to what is dropped"
            )
        try:
            manifests.append(msgspec.convert(document, _KINDS[kind]))
        except msgspec.ValidationError as error:
            raise UnsupportedManifest(f"{kind} {name}: {error}") from error
    return manifests
