"""What of Kubernetes is understood. A field that is not listed here is an error that names it:
what the chart says is either in the Compose file or dropped on purpose.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

Read = TypeVar("Read", bound="_Strict")


class NotUnderstood(ValueError):
    """Which manifest, and where in it."""


class _Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    pass


class Metadata(_Strict):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @property
    def component(self) -> str:
        return self.labels.get("app.kubernetes.io/component", "")


class EnvVar(_Strict):
    """No ``valueFrom``: secrets are files, and nothing else is looked up."""

    name: str
    value: str = ""


class Port(_Strict):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class HttpGet(_Strict):
    path: str
    port: int | str
    scheme: str = "HTTP"


class Exec(_Strict):
    command: list[str]


class TcpSocket(_Strict):
    port: int | str


class Probe(_Strict):
    http_get: HttpGet | None = None
    exec: Exec | None = None
    tcp_socket: TcpSocket | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    failure_threshold: int = 3
    success_threshold: int = 1


class Resources(_Strict):
    requests: dict[str, str | int] = {}
    limits: dict[str, str | int] = {}


class Capabilities(_Strict):
    drop: list[str] = []
    add: list[str] = []


class Seccomp(_Strict):
    type: str


class Security(_Strict):
    """Of a pod, or of a container."""

    run_as_non_root: bool = True
    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None
    fs_group_change_policy: str = ""
    seccomp_profile: Seccomp | None = None
    allow_privilege_escalation: bool = False
    read_only_root_filesystem: bool = False
    privileged: bool = False
    capabilities: Capabilities = msgspec.field(default_factory=Capabilities)


class Mount(_Strict):
    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False


class Container(_Strict):
    name: str
    image: str
    image_pull_policy: str = ""
    command: list[str] = []
    args: list[str] = []
    env: list[EnvVar] = []
    ports: list[Port] = []
    volume_mounts: list[Mount] = []
    resources: Resources = msgspec.field(default_factory=Resources)
    security_context: Security = msgspec.field(default_factory=Security)
    startup_probe: Probe | None = None
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None


class KeyToPath(_Strict):
    key: str
    path: str
    mode: int | None = None


class SecretSource(_Strict):
    secret_name: str
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool = False


class ConfigSource(_Strict):
    name: str
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool = False


class EmptyDir(_Strict):
    medium: str = ""
    size_limit: str | int = ""


class ClaimSource(_Strict):
    claim_name: str


class Projection(_Strict):
    secret: ConfigSource | None = None
    config_map: ConfigSource | None = None


class Projected(_Strict):
    sources: list[Projection]
    default_mode: int | None = None


class Volume(_Strict):
    name: str
    secret: SecretSource | None = None
    config_map: ConfigSource | None = None
    empty_dir: EmptyDir | None = None
    persistent_volume_claim: ClaimSource | None = None
    projected: Projected | None = None


class PodSpec(_Strict):
    containers: list[Container]
    volumes: list[Volume] = []
    security_context: Security = msgspec.field(default_factory=Security)
    service_account_name: str = ""
    automount_service_account_token: bool = False
    enable_service_links: bool = False
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    image_pull_secrets: list[dict[str, str]] = []
    # Where pods run, and before whom: one host has no choice.
    affinity: dict[str, Any] = {}
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    topology_spread_constraints: list[dict[str, Any]] = []
    priority_class_name: str = ""


class PodTemplate(_Strict):
    metadata: Metadata
    spec: PodSpec


class Claim(_Strict):
    metadata: Metadata
    spec: dict[str, Any]
    api_version: str = ""
    kind: str = ""


class WorkloadSpec(_Strict):
    """Of a Deployment, StatefulSet or Job."""

    template: PodTemplate
    replicas: int = 1
    selector: dict[str, Any] = {}
    strategy: dict[str, Any] = {}
    update_strategy: dict[str, Any] = {}
    revision_history_limit: int | None = None
    progress_deadline_seconds: int | None = None
    min_ready_seconds: int = 0
    service_name: str = ""
    pod_management_policy: str = ""
    volume_claim_templates: list[Claim] = []
    persistent_volume_claim_retention_policy: dict[str, str] = {}
    backoff_limit: int = 6
    ttl_seconds_after_finished: int | None = None
    active_deadline_seconds: int | None = None


class Workload(_Strict):
    api_version: str
    kind: str
    metadata: Metadata
    spec: WorkloadSpec

    @property
    def pod(self) -> PodSpec:
        return self.spec.template.spec


class ServicePort(_Strict):
    port: int
    name: str = ""
    target_port: int | str = 0
    protocol: str = "TCP"
    node_port: int | None = None
    app_protocol: str = ""


class ServiceSpec(_Strict):
    ports: list[ServicePort]
    selector: dict[str, str]
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    publish_not_ready_addresses: bool = False


class Service(_Strict):
    api_version: str
    kind: str
    metadata: Metadata
    spec: ServiceSpec


class Secret(_Strict):
    """Only the names of what is in it are read."""

    api_version: str
    kind: str
    metadata: Metadata
    type: str = "Opaque"
    data: dict[str, str] = {}
    string_data: dict[str, str] = {}
    immutable: bool = False

    @property
    def keys(self) -> list[str]:
        return sorted({*self.data, *self.string_data})


class ConfigMap(_Strict):
    api_version: str
    kind: str
    metadata: Metadata
    data: dict[str, str] = {}
    immutable: bool = False


class Selector(_Strict):
    match_labels: dict[str, str] = {}


class Peer(_Strict):
    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None
    ip_block: dict[str, Any] | None = None


class PolicyPort(_Strict):
    port: int | str
    protocol: str = "TCP"


class Rule(_Strict):
    """One of ``ingress`` or ``egress``."""

    peers_from: list[Peer] = msgspec.field(name="from", default_factory=list)
    peers_to: list[Peer] = msgspec.field(name="to", default_factory=list)
    ports: list[PolicyPort] = []


class PolicySpec(_Strict):
    pod_selector: Selector
    policy_types: list[str] = []
    ingress: list[Rule] = []
    egress: list[Rule] = []


class Policy(_Strict):
    api_version: str
    kind: str
    metadata: Metadata
    spec: PolicySpec


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
    "Ingress": "the ports are published on 127.0.0.1",
}
_KINDS: dict[str, type[Any]] = {
    "Deployment": Workload,
    "StatefulSet": Workload,
    "Job": Workload,
    "Service": Service,
    "Secret": Secret,
    "ConfigMap": ConfigMap,
    "NetworkPolicy": Policy,
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
