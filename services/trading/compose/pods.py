"""The supported subset of Kubernetes workloads.

The structures are named as in the Kubernetes API, or nearly so. A field that is not listed is an
error, because it would be lost in the translation.
"""

from typing import Any

import msgspec


class Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The base of all structures: camel case in the manifest, and no unknown fields."""


class Metadata(Strict):
    """The metadata of a manifest."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @property
    def component(self) -> str:
        """Return the component's name from the labels; an empty text if there is none."""
        return self.labels.get("app.kubernetes.io/component", "")


class EnvVar(Strict):
    """An environment variable with a literal value.

    `valueFrom` is not supported: secrets are mounted as files.
    """

    name: str
    value: str = ""


class Port(Strict):
    """A port of a container."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"


class HttpGet(Strict):
    """A probe by an HTTP request."""

    path: str
    port: int | str
    scheme: str = "HTTP"


class Exec(Strict):
    """A probe by a command in the container."""

    command: list[str]


class TcpSocket(Strict):
    """A probe by a TCP connection."""

    port: int | str


class Probe(Strict):
    """A startup, readiness or liveness probe. Times are in seconds."""

    http_get: HttpGet | None = None
    exec: Exec | None = None
    tcp_socket: TcpSocket | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    failure_threshold: int = 3
    success_threshold: int = 1


class Resources(Strict):
    """The requested resources of a container, and their limits."""

    requests: dict[str, str | int] = {}
    limits: dict[str, str | int] = {}


class Capabilities(Strict):
    """Linux capabilities of a container."""

    drop: list[str] = []
    add: list[str] = []


class Seccomp(Strict):
    """A seccomp profile."""

    type: str


class Security(Strict):
    """The security context of a pod or a container."""

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


class Mount(Strict):
    """The mount of a volume in a container."""

    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False


class Container(Strict):
    """A container of a pod."""

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


class KeyToPath(Strict):
    """The file for one key of a Secret or ConfigMap."""

    key: str
    path: str
    mode: int | None = None


class SecretSource(Strict):
    """A volume with the content of a Secret."""

    secret_name: str
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool = False


class ConfigSource(Strict):
    """A volume with the content of a ConfigMap."""

    name: str
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool = False


class EmptyDir(Strict):
    """A temporary volume."""

    medium: str = ""
    size_limit: str | int = ""


class ClaimSource(Strict):
    """A volume of a PersistentVolumeClaim."""

    claim_name: str


class Projection(Strict):
    """One source of a projected volume."""

    secret: ConfigSource | None = None
    config_map: ConfigSource | None = None


class Projected(Strict):
    """A volume that combines several sources."""

    sources: list[Projection]
    default_mode: int | None = None


class Volume(Strict):
    """A volume of a pod; exactly one of its sources is set."""

    name: str
    secret: SecretSource | None = None
    config_map: ConfigSource | None = None
    empty_dir: EmptyDir | None = None
    persistent_volume_claim: ClaimSource | None = None
    projected: Projected | None = None


class PodSpec(Strict):
    """The specification of a pod."""

    containers: list[Container]
    volumes: list[Volume] = []
    security_context: Security = msgspec.field(default_factory=Security)
    service_account_name: str = ""
    automount_service_account_token: bool = False
    enable_service_links: bool = False
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    image_pull_secrets: list[dict[str, str]] = []
    # Scheduling; a single host has no choice.
    affinity: dict[str, Any] = {}
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    topology_spread_constraints: list[dict[str, Any]] = []
    priority_class_name: str = ""


class PodTemplate(Strict):
    """The template of a workload's pods."""

    metadata: Metadata
    spec: PodSpec


class Claim(Strict):
    """A PersistentVolumeClaim in the template of a StatefulSet."""

    metadata: Metadata
    spec: dict[str, Any]
    api_version: str = ""
    kind: str = ""


class WorkloadSpec(Strict):
    """The specification of a Deployment, StatefulSet or Job."""

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


class Workload(Strict):
    """A Deployment, StatefulSet or Job; it becomes one Compose service."""

    api_version: str
    kind: str
    metadata: Metadata
    spec: WorkloadSpec

    @property
    def pod(self) -> PodSpec:
        """Return the specification of the workload's pods."""
        return self.spec.template.spec
