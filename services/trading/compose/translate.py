"""One workload of the chart as one service of Compose."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from trading.compose.manifests import ConfigMap, NotUnderstood
from trading.compose.pods import Container, Mount, Probe, SecretSource, Volume, Workload
from trading.topology import PROMETHEUS, SERVICES

#: What an environment file may change, with the chart's value as the default.
OVERRIDABLE = (
    "ENABLE_AUDIT_LOGGING",
    "ENABLE_CHAOS_SCENARIOS",
    "LOG_LEVEL",
    "SIM_SEED",
    "SIM_SPEED",
)
#: Secrets that whoever deploys may give, by name: the variable that names the file on this host.
#: Where it is not set the service has an empty file, and its own variable of that name is empty.
OPTIONAL_SECRETS = {"signing-key": "SIGNING_KEY_FILE"}
#: Asked inside the container, where only what the official image has can be used.
_HTTP_PROBES = {
    PROMETHEUS: ["CMD", "promtool", "check", "ready", "--url=http://{alias}:{port}"],
}
_UNITS = {"Ki": "k", "Mi": "m", "Gi": "g", "": "b"}
_EXPANDED = re.compile(r"\$\([A-Za-z_]")


class Context(NamedTuple):
    """``alias``: of a component; ``config``: ConfigMap and key -> name of a Compose config;
    ``generated``: names of the Secrets that the release makes itself; ``image``: ours.
    """

    aliases: Mapping[str, str]
    configs: Mapping[tuple[str, str], str]
    config_maps: Mapping[str, ConfigMap]
    generated: frozenset[str]
    image: str


class Translated(NamedTuple):
    """``volumes``: names of what has to be declared."""

    service: dict[str, Any]
    volumes: list[str]


def translate(workload: Workload, context: Context) -> Translated:
    """Without networks and dependencies. Raises NotUnderstood."""
    name = workload.metadata.name
    component = workload.metadata.component
    if len(workload.pod.containers) != 1:
        raise NotUnderstood(f"{name}: more than one container")
    container = workload.pod.containers[0]
    image = escaped(container.image)
    service: dict[str, Any] = {
        "image": f"${{TRADING_IMAGE:-{image}}}" if container.image == context.image else image
    }
    if container.command:
        service["entrypoint"] = _words(name, container.command)
    if container.args:
        service["command"] = _words(name, container.args)
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
            mounts.keep(mount)
        elif mount.name in volumes:
            mounts.add(mount, volumes[mount.name])
        else:
            raise NotUnderstood(f"{name}: mounts {mount.name}, which is no volume of it")
    service |= mounts.service
    if check := _health(component, container, context):
        service["healthcheck"] = check
    service |= _limits(container)
    if workload.kind == "Job":
        service["restart"] = f"on-failure:{workload.spec.backoff_limit}"
    else:
        service["restart"] = "unless-stopped"
        service["stop_grace_period"] = f"{workload.pod.termination_grace_period_seconds}s"
    if workload.spec.replicas != 1:
        service["scale"] = workload.spec.replicas
    return Translated(service, mounts.volumes)


def escaped(text: str) -> str:
    """Compose would replace a variable."""
    return text.replace("$", "$$")


def _words(name: str, words: Iterable[str]) -> list[str]:
    for word in words:
        if _EXPANDED.search(word):
            raise NotUnderstood(f"{name}: {word}: Compose has no $(VARIABLE)")
    return [escaped(word) for word in words]


def _environment(component: str, container: Container, context: Context) -> dict[str, str]:
    found = {}
    for entry in container.env:
        value = escaped(entry.value)
        if entry.name in OVERRIDABLE:
            value = f"${{{entry.name}:-{value}}}"
        elif entry.name in OPTIONAL_SECRETS.values():
            value = f"${{{entry.name}:+{value}}}"
        found[entry.name] = value
    if component in SERVICES:
        if component not in context.aliases:
            raise NotUnderstood(f"{component}: no Service, so that nobody finds it")
        found["BIND_HOST"] = f"127.0.0.1,{context.aliases[component]}"
    return found


def _security(name: str, workload: Workload, container: Container) -> dict[str, Any]:
    pod, own = workload.pod.security_context, container.security_context
    user = own.run_as_user if own.run_as_user is not None else pod.run_as_user
    group = own.run_as_group if own.run_as_group is not None else pod.run_as_group
    if user in (None, 0):
        raise NotUnderstood(f"{name}: runAsUser must be a user that is not root")
    if own.privileged or own.allow_privilege_escalation or own.capabilities.add:
        raise NotUnderstood(f"{name}: privileges that no container here has")
    return {
        "user": f"{user}:{group if group is not None else user}",
        "read_only": own.read_only_root_filesystem,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


class _Mounts:
    def __init__(self, component: str, context: Context, user: str) -> None:
        self._user = user.split(":")
        self._component = component
        self._context = context
        self.volumes: list[str] = []
        self.service: dict[str, Any] = {}

    def keep(self, mount: Mount) -> None:
        """Data that outlives the container."""
        name = f"{self._component}-data"
        self.volumes.append(name)
        self._add("volumes", {"type": "volume", "source": name, "target": mount.mount_path})

    def add(self, mount: Mount, volume: Volume) -> None:
        if volume.secret is not None:
            self._secret(mount, volume.secret)
        elif volume.config_map is not None:
            self._config(mount, volume)
        elif volume.empty_dir is not None:
            # Otherwise it is root's, with the mode of the folder in the image, whatever is asked.
            user, group = self._user
            self._add("tmpfs", f"{mount.mount_path}:uid={user},gid={group},mode=1777")
        elif volume.persistent_volume_claim is not None:
            self.keep(mount)
        else:
            raise NotUnderstood(f"{self._component}: volume {volume.name} is of no known kind")

    def _secret(self, mount: Mount, given: SecretSource) -> None:
        secret = given.secret_name
        entry: dict[str, Any] = {"target": mount.mount_path, "read_only": True}
        if secret in OPTIONAL_SECRETS:
            self._optional(mount, given)
            return
        if secret in self._context.generated:
            source = f"{self._component}-secrets"
            self.volumes.append(source)
            entry = {"type": "volume", "source": source, **entry}
        else:
            where = "${TRADING_SECRETS_DIR:?the directory with one folder of secrets by service}"
            bind = {"create_host_path": False}
            entry = {
                "type": "bind",
                "source": f"{where}/{self._component}",
                **entry,
                "bind": bind,
            }
        self._add("volumes", entry)

    def _optional(self, mount: Mount, given: SecretSource) -> None:
        """Mount one file of this host, or none that has anything in it."""
        if len(given.items) != 1:
            raise NotUnderstood(f"{self._component}: Secret {given.secret_name} must be one file")
        entry = {
            "type": "bind",
            "source": f"${{{OPTIONAL_SECRETS[given.secret_name]}:-/dev/null}}",
            "target": f"{mount.mount_path}/{given.items[0].path}",
            "read_only": True,
            "bind": {"create_host_path": False},
        }
        self._add("volumes", entry)

    def _config(self, mount: Mount, volume: Volume) -> None:
        source = volume.config_map
        assert source is not None  # noqa: S101
        if source.name not in self._context.config_maps:
            raise NotUnderstood(f"{self._component}: no ConfigMap {source.name} in the chart")
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


def _health(component: str, container: Container, context: Context) -> dict[str, Any] | None:
    """Readiness is what others wait for; without it, liveness."""
    probe = container.readiness_probe or container.liveness_probe
    if probe is None:
        return None
    test = _test(component, probe, container, context)
    if test is None:
        return None
    start = container.startup_probe
    patience = start.period_seconds * start.failure_threshold if start is not None else 0
    found = {
        "test": test,
        "interval": f"{probe.period_seconds}s",
        # A process has to start for every question; a kubelet asks by itself.
        "timeout": f"{max(probe.timeout_seconds, 5)}s",
        "retries": probe.failure_threshold,
    }
    if patience:
        found |= {"start_period": f"{patience}s", "start_interval": "1s"}
    return found


def _test(component: str, probe: Probe, container: Container, context: Context) -> list[str] | None:
    if probe.exec is not None:
        return ["CMD", *(escaped(word) for word in probe.exec.command)]
    asked = probe.http_get
    if asked is None:
        return None
    ports = {p.name: p.container_port for p in container.ports}
    port = ports.get(asked.port, 0) if isinstance(asked.port, str) else asked.port
    if component in SERVICES:
        url = f"http://127.0.0.1:{port}{asked.path}"
        return ["CMD", "python3", "-m", "trading.server.probe", url]
    words = _HTTP_PROBES.get(component)
    return [w.format(alias=context.aliases[component], port=port) for w in words] if words else None


def _limits(container: Container) -> dict[str, Any]:
    limits = container.resources.limits
    found = {}
    if "cpu" in limits:
        found["cpus"] = cpus(str(limits["cpu"]))
    if "memory" in limits:
        found["memory"] = memory(str(limits["memory"]))
    return {"deploy": {"resources": {"limits": found}}} if found else {}


def cpus(quantity: str) -> str:
    """``500m`` -> ``0.5``."""
    return f"{int(quantity[:-1]) / 1000:g}" if quantity.endswith("m") else quantity


def memory(quantity: str) -> str:
    """``128Mi`` -> ``128m``. Raises NotUnderstood."""
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", quantity)
    if found is None:
        raise NotUnderstood(f"memory {quantity}: must be in Ki, Mi or Gi")
    return found[1] + _UNITS[found[2]]
