"""Translate one workload of the chart to one Compose service."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from trading.compose.manifests import ConfigMap, UnsupportedManifest
from trading.compose.pods import Container, Mount, Probe, SecretSource, Volume, Workload
from trading.topology import PROMETHEUS, SERVICES

#: Variables that an environment file can override; the default is the chart's value.
OVERRIDABLE = (
    "ENABLE_AUDIT_LOGGING",
    "ENABLE_CHAOS_SCENARIOS",
    "LOG_LEVEL",
    "SIM_SEED",
    "SIM_SPEED",
)
#: Secrets that the user can provide, and for each the variable with the path of the file on this
#: host. If it is not set, the service gets an empty file, and its variable of that name is empty.
OPTIONAL_SECRETS = {"signing-key": "SIGNING_KEY_FILE"}
#: Commands for HTTP probes. They run inside the container, with tools of the official image.
_HTTP_PROBE_COMMANDS = {
    PROMETHEUS: ["CMD", "promtool", "check", "ready", "--url=http://{alias}:{port}"],
}
_UNITS = {"Ki": "k", "Mi": "m", "Gi": "g", "": "b"}
_VARIABLE = re.compile(r"\$\([A-Za-z_]")


class Context(NamedTuple):
    """What a translation needs to know of the other manifests.

    `aliases` has the host name of each component, and `configs` the name of the Compose config for
    each ConfigMap and key. `generated` are the names of the Secrets that the chart generates.
    `image` is the project's own image.
    """

    aliases: Mapping[str, str]
    configs: Mapping[tuple[str, str], str]
    config_maps: Mapping[str, ConfigMap]
    generated: frozenset[str]
    image: str


class Translated(NamedTuple):
    """A Compose service, and the names of the volumes that the file must declare for it."""

    service: dict[str, Any]
    volumes: list[str]


def translate(workload: Workload, context: Context) -> Translated:
    """Return the workload as a Compose service, without networks and dependencies.

    Raises UnsupportedManifest.
    """
    name = workload.metadata.name
    component = workload.metadata.component
    if len(workload.pod.containers) != 1:
        raise UnsupportedManifest(f"{name}: more than one container")
    container = workload.pod.containers[0]
    image = escaped(container.image)
    service: dict[str, Any] = {
        "image": f"${{TRADING_IMAGE:-{image}}}" if container.image == context.image else image
    }
    if container.command:
        service["entrypoint"] = _escaped_words(name, container.command)
    if container.args:
        service["command"] = _escaped_words(name, container.args)
    if component == PROMETHEUS:
        address = f"{context.aliases[component]}:{container.ports[0].container_port}"
        service["command"] = [*service.get("command", []), f"--web.listen-address={address}"]
    if environment := _environment(component, container, context):
        service["environment"] = environment
    service |= _security(name, workload, container)
    mounts = _Mounts(component, context, service["user"])
    claims = {c.metadata.name for c in workload.spec.volume_claim_templates}
    volumes = {v.name: v for v in workload.pod.volumes}
    for mount in container.volume_mounts:
        if mount.name in claims:
            mounts.add_persistent(mount)
        elif mount.name in volumes:
            mounts.add(mount, volumes[mount.name])
        else:
            raise UnsupportedManifest(f"{name}: mounts {mount.name}, which is no volume of it")
    service |= mounts.service
    if check := _health_check(component, container, context):
        service["healthcheck"] = check
    service |= _resource_limits(container)
    if workload.kind == "Job":
        service["restart"] = f"on-failure:{workload.spec.backoff_limit}"
    else:
        service["restart"] = "unless-stopped"
        service["stop_grace_period"] = f"{workload.pod.termination_grace_period_seconds}s"
    if workload.spec.replicas != 1:
        service["scale"] = workload.spec.replicas
    return Translated(service, mounts.volumes)


def escaped(text: str) -> str:
    """Return the text with `$` doubled, so that Compose does not substitute variables."""
    return text.replace("$", "$$")


def _escaped_words(name: str, words: Iterable[str]) -> list[str]:
    for word in words:
        if _VARIABLE.search(word):
            raise UnsupportedManifest(f"{name}: {word}: Compose has no $(VARIABLE)")
    return [escaped(word) for word in words]


def _environment(component: str, container: Container, context: Context) -> dict[str, str]:
    environment = {}
    for entry in container.env:
        value = escaped(entry.value)
        if entry.name in OVERRIDABLE:
            value = f"${{{entry.name}:-{value}}}"
        elif entry.name in OPTIONAL_SECRETS.values():
            value = f"${{{entry.name}:+{value}}}"
        environment[entry.name] = value
    if component in SERVICES:
        if component not in context.aliases:
            raise UnsupportedManifest(f"{component}: no Service, so that nobody finds it")
        environment["BIND_HOST"] = f"127.0.0.1,{context.aliases[component]}"
    return environment


def _security(name: str, workload: Workload, container: Container) -> dict[str, Any]:
    pod, own = workload.pod.security_context, container.security_context
    user = own.run_as_user if own.run_as_user is not None else pod.run_as_user
    group = own.run_as_group if own.run_as_group is not None else pod.run_as_group
    if user in (None, 0):
        raise UnsupportedManifest(f"{name}: runAsUser must be a user that is not root")
    if own.privileged or own.allow_privilege_escalation or own.capabilities.add:
        raise UnsupportedManifest(f"{name}: privileges that no container here has")
    return {
        "user": f"{user}:{group if group is not None else user}",
        "read_only": own.read_only_root_filesystem,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


class _Mounts:
    """Collects the mounts of one service, and the named volumes among them."""

    def __init__(self, component: str, context: Context, user: str) -> None:
        self._user = user.split(":")
        self._component = component
        self._context = context
        self.volumes: list[str] = []
        self.service: dict[str, Any] = {}

    def add_persistent(self, mount: Mount) -> None:
        """Mount the volume with the component's persistent data."""
        name = f"{self._component}-data"
        self.volumes.append(name)
        self._add("volumes", {"type": "volume", "source": name, "target": mount.mount_path})

    def add(self, mount: Mount, volume: Volume) -> None:
        """Mount a volume of the pod. Raises UnsupportedManifest if its kind is not supported."""
        if volume.secret is not None:
            self._secret(mount, volume.secret)
        elif volume.config_map is not None:
            self._config(mount, volume)
        elif volume.empty_dir is not None:
            # Without these options it belongs to root and has the mode of the image's folder.
            user, group = self._user
            self._add("tmpfs", f"{mount.mount_path}:uid={user},gid={group},mode=1777")
        elif volume.persistent_volume_claim is not None:
            self.add_persistent(mount)
        else:
            raise UnsupportedManifest(
                f"{self._component}: volume {volume.name} is of no known kind"
            )

    def _secret(self, mount: Mount, source: SecretSource) -> None:
        secret = source.secret_name
        entry: dict[str, Any] = {"target": mount.mount_path, "read_only": True}
        if secret in OPTIONAL_SECRETS:
            self._optional(mount, source)
            return
        if secret in self._context.generated:
            volume = f"{self._component}-secrets"
            self.volumes.append(volume)
            entry = {"type": "volume", "source": volume, **entry}
        else:
            directory = (
                "${TRADING_SECRETS_DIR:?the directory with one folder of secrets by service}"
            )
            bind = {"create_host_path": False}
            entry = {
                "type": "bind",
                "source": f"{directory}/{self._component}",
                **entry,
                "bind": bind,
            }
        self._add("volumes", entry)

    def _optional(self, mount: Mount, source: SecretSource) -> None:
        """Mount a file of this host, or an empty file if its variable is not set."""
        if len(source.items) != 1:
            raise UnsupportedManifest(
                f"{self._component}: Secret {source.secret_name} must be one file"
            )
        entry = {
            "type": "bind",
            "source": f"${{{OPTIONAL_SECRETS[source.secret_name]}:-/dev/null}}",
            "target": f"{mount.mount_path}/{source.items[0].path}",
            "read_only": True,
            "bind": {"create_host_path": False},
        }
        self._add("volumes", entry)

    def _config(self, mount: Mount, volume: Volume) -> None:
        source = volume.config_map
        assert source is not None  # noqa: S101
        if source.name not in self._context.config_maps:
            raise UnsupportedManifest(f"{self._component}: no ConfigMap {source.name} in the chart")
        paths = {item.key: item.path for item in source.items} or {
            key: key for key in self._context.config_maps[source.name].data
        }
        for key, path in paths.items():
            if mount.sub_path and mount.sub_path != path:
                continue
            target = mount.mount_path if mount.sub_path else f"{mount.mount_path}/{path}"
            name = self._context.configs[source.name, key]
            self._add("configs", {"source": name, "target": target})

    def _add(self, key: str, entry: Any) -> None:
        self.service.setdefault(key, []).append(entry)


def _health_check(component: str, container: Container, context: Context) -> dict[str, Any] | None:
    """Return the health check: the readiness probe, because others wait for it, else liveness."""
    probe = container.readiness_probe or container.liveness_probe
    if probe is None:
        return None
    command = _probe_command(component, probe, container, context)
    if command is None:
        return None
    startup = container.startup_probe
    start_seconds = startup.period_seconds * startup.failure_threshold if startup is not None else 0
    check = {
        "test": command,
        "interval": f"{probe.period_seconds}s",
        # Each check starts a process, which takes longer than a request of the kubelet.
        "timeout": f"{max(probe.timeout_seconds, 5)}s",
        "retries": probe.failure_threshold,
    }
    if start_seconds:
        check |= {"start_period": f"{start_seconds}s", "start_interval": "1s"}
    return check


def _probe_command(
    component: str, probe: Probe, container: Container, context: Context
) -> list[str] | None:
    if probe.exec is not None:
        return ["CMD", *(escaped(word) for word in probe.exec.command)]
    request = probe.http_get
    if request is None:
        return None
    ports = {p.name: p.container_port for p in container.ports}
    port = ports.get(request.port, 0) if isinstance(request.port, str) else request.port
    if component in SERVICES:
        url = f"http://127.0.0.1:{port}{request.path}"
        return ["CMD", "python3", "-m", "trading.server.probe", url]
    template = _HTTP_PROBE_COMMANDS.get(component)
    return (
        [w.format(alias=context.aliases[component], port=port) for w in template]
        if template
        else None
    )


def _resource_limits(container: Container) -> dict[str, Any]:
    limits = container.resources.limits
    compose_limits = {}
    if "cpu" in limits:
        compose_limits["cpus"] = cpus(str(limits["cpu"]))
    if "memory" in limits:
        compose_limits["memory"] = memory(str(limits["memory"]))
    return {"deploy": {"resources": {"limits": compose_limits}}} if compose_limits else {}


def cpus(quantity: str) -> str:
    """Convert a Kubernetes CPU quantity to that of Compose: `500m` becomes `0.5`."""
    return f"{int(quantity[:-1]) / 1000:g}" if quantity.endswith("m") else quantity


def memory(quantity: str) -> str:
    """Convert a Kubernetes memory quantity to that of Compose: `128Mi` becomes `128m`.

    Raises UnsupportedManifest for other units than Ki, Mi and Gi.
    """
    match = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", quantity)
    if match is None:
        raise UnsupportedManifest(f"memory {quantity}: must be in Ki, Mi or Gi")
    return match[1] + _UNITS[match[2]]
