"""What of Kubernetes's workloads is understood. A field that is not listed is an error."""

from typing import Any

import msgspec


class Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    pass


class Metadata(Strict):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @property
    def component(self) -> str:
        return self.labels.get("app.kubernetes.io/component", "")


class EnvVar(Strict):
    """No ``valueFrom``: secrets are files, and nothing else is looked up."""

    name: str
    value: str = ""


class Port(Strict):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class HttpGet(Strict):
    path: str
    port: int | str
    scheme: str = "HTTP"


class Exec(Strict):
    command: list[str]


class TcpSocket(Strict):
    port: int | str


class Probe(Strict):
    http_get: HttpGet | None = None
    exec: Exec | None = None
    tcp_socket: TcpSocket | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    failure_threshold: int = 3
    success_threshold: int = 1


class Resources(Strict):
    requests: dict[str, str | int] = {}
    limits: dict[str, str | int] = {}


class Capabilities(Strict):
    drop: list[str] = []
    add: list[str] = []


class Seccomp(Strict):
    type: str


class Security(Strict):
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


class Mount(Strict):
    name: str
    mount_path: str
    sub_path: str = ""
    read_only: bool = False


class Container(Strict):
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
    key: str
    path: str
    mode: int | None = None


class SecretSource(Strict):
    secret_name: str
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool = False


class ConfigSource(Strict):
    name: str
    items: list[KeyToPath] = []
    default_mode: int | None = None
    optional: bool = False


class EmptyDir(Strict):
    medium: str = ""
    size_limit: str | int = ""


class ClaimSource(Strict):
    claim_name: str


class Projection(Strict):
    secret: ConfigSource | None = None
    config_map: ConfigSource | None = None


class Projected(Strict):
    sources: list[Projection]
    default_mode: int | None = None


class Volume(Strict):
    name: str
    secret: SecretSource | None = None
    config_map: ConfigSource | None = None
    empty_dir: EmptyDir | None = None
    persistent_volume_claim: ClaimSource | None = None
    projected: Projected | None = None


class PodSpec(Strict):
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


class PodTemplate(Strict):
    metadata: Metadata
    spec: PodSpec


class Claim(Strict):
    metadata: Metadata
    spec: dict[str, Any]
    api_version: str = ""
    kind: str = ""


class WorkloadSpec(Strict):
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


class Workload(Strict):
    api_version: str
    kind: str
    metadata: Metadata
    spec: WorkloadSpec

    @property
    def pod(self) -> PodSpec:
        return self.spec.template.spec
