"""The whole Compose file: services, networks, volumes, configurations."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from trading.compose.manifests import (
    DROPPED,
    ConfigMap,
    Ingress,
    NotUnderstood,
    Policy,
    Secret,
    Service,
)
from trading.compose.networks import callers, published
from trading.compose.pods import Workload
from trading.compose.translate import Context, translate
from trading.topology import DATABASE_SETUP, POSTGRES, SERVICES

EDGE = "edge"
SECRETS = "secrets"
#: Where the one-shot container that makes secrets has every component's folder.
_MADE = "/made"
#: Of the container that makes secrets: each component's are its own user's.
_OWNER_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
_LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


class Document(NamedTuple):
    """``compose``: the file's content; ``files``: by path beside it, what no file of the chart has
    word for word.
    """

    compose: dict[str, Any]
    files: dict[PurePosixPath, str]


def document(
    manifests: Iterable[Any],
    *,
    project: str,
    environment: str,
    chart_files: Mapping[str, PurePosixPath],
) -> Document:
    """``chart_files``: content -> where in the project a file has it. Raises NotUnderstood."""
    found = list(manifests)
    workloads = [m for m in found if isinstance(m, Workload)]
    services = [m for m in found if isinstance(m, Service)]
    config_maps = {m.metadata.name: m for m in found if isinstance(m, ConfigMap)}
    generated = frozenset(m.metadata.name for m in found if isinstance(m, Secret))
    reached = callers(m for m in found if isinstance(m, Policy))
    components = {w.metadata.component for w in workloads}
    aliases = _aliases(services, workloads)
    configs, config_files, files = _configs(config_maps, environment, chart_files)
    image = next(w.pod.containers[0].image for w in workloads if w.metadata.component in SERVICES)
    context = Context(aliases, configs, config_maps, generated, image)
    made: dict[str, Any] = {}
    volumes: dict[str, Any] = {}
    for workload in sorted(workloads, key=lambda w: w.metadata.component):
        component = workload.metadata.component
        translated = translate(workload, context)
        service = {**translated.service, "logging": _LOGGING}
        if depends := _depends(component, translated.volumes, components):
            service["depends_on"] = depends
        networks: dict[str, Any] = {}
        if component in aliases:
            networks[component] = {"aliases": [aliases[component]]}
        networks |= {callee: {} for callee, who in sorted(reached.items()) if component in who}
        service["networks"] = networks
        made[component] = service
        volumes |= {name: {} for name in translated.volumes}
    secrets = [name for name in volumes if name.endswith("-secrets")]
    if secrets:
        made[SECRETS] = _secrets(secrets, image, chaos=_has_chaos(found))
    routes = published(services, (m for m in found if isinstance(m, Ingress)))
    if routes:
        made[EDGE] = _edge(routes, image, aliases)
    networks = {name: {"internal": True} for name in sorted(aliases)}
    compose: dict[str, Any] = {"name": project, "services": made, "networks": networks}
    if routes:
        networks[EDGE] = {"internal": False}
    if volumes:
        compose["volumes"] = dict(sorted(volumes.items()))
    used = {c["source"] for s in made.values() for c in s.get("configs", [])}
    if used:
        compose["configs"] = {name: config_files[name] for name in sorted(used)}
    return Document(compose, files)


def dropped() -> list[str]:
    """What of the chart a single host does not have, a line each."""
    return [f"{kind}: {why}" for kind, why in DROPPED.items()]


def _aliases(services: Iterable[Service], workloads: Iterable[Workload]) -> dict[str, str]:
    """By component: the name that others know it by, of its Service."""
    known = {w.metadata.component for w in workloads}
    found: dict[str, str] = {}
    for service in services:
        component = service.metadata.component
        if component not in known:
            raise NotUnderstood(f"Service {service.metadata.name}: selects no workload")
        for port in service.spec.ports:
            if port.target_port not in (0, port.port, port.name):
                raise NotUnderstood(
                    f"Service {service.metadata.name}: port {port.port} leads to"
                    f" {port.target_port}; Compose has no other port than the container's own"
                )
        # A component's headless and outward Services name the same containers.
        if component not in found or len(service.metadata.name) < len(found[component]):
            found[component] = service.metadata.name
    return found


def _configs(
    config_maps: Mapping[str, ConfigMap],
    environment: str,
    chart_files: Mapping[str, PurePosixPath],
) -> tuple[dict[tuple[str, str], str], dict[str, dict[str, str]], dict[PurePosixPath, str]]:
    names: dict[tuple[str, str], str] = {}
    entries: dict[str, dict[str, str]] = {}
    files: dict[PurePosixPath, str] = {}
    for config_map in config_maps.values():
        for key, text in config_map.data.items():
            component = config_map.metadata.component
            name = f"{component}-{key}".replace(".", "-").lower()
            path = chart_files.get(text)
            if path is None:
                path = PurePosixPath("compose", environment, component, key)
                files[path] = text
            names[config_map.metadata.name, key] = name
            entries[name] = {"file": f"./{path}"}
    return names, entries, files


def _depends(component: str, volumes: Iterable[str], known: Iterable[str]) -> dict[str, Any]:
    found = {}
    if f"{component}-secrets" in volumes:
        found[SECRETS] = {"condition": "service_completed_successfully"}
    if component == DATABASE_SETUP and POSTGRES in known:
        found[POSTGRES] = {"condition": "service_healthy"}
    if component in SERVICES and DATABASE_SETUP in known:
        found[DATABASE_SETUP] = {"condition": "service_completed_successfully"}
    return found


def _has_chaos(manifests: Iterable[Any]) -> bool:
    return any("chaos-token" in m.keys for m in manifests if isinstance(m, Secret))


def _secrets(volumes: Iterable[str], image: str, *, chaos: bool) -> dict[str, Any]:
    """Makes what is not there yet, gives each component its own, and ends."""
    return {
        "image": f"${{TRADING_IMAGE:-{image}}}",
        "command": ["secrets", _MADE, "--owned", "--existing", *([] if chaos else ["--no-chaos"])],
        "user": "0:0",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": _OWNER_CAPABILITIES,
        "security_opt": ["no-new-privileges:true"],
        "network_mode": "none",
        "restart": "no",
        "logging": _LOGGING,
        "volumes": [
            {
                "type": "volume",
                "source": name,
                "target": f"{_MADE}/{name.removesuffix('-secrets')}",
                "volume": {"nocopy": True},
            }
            for name in sorted(volumes)
        ],
    }


def _edge(routes: Mapping[int, str], image: str, aliases: Mapping[str, str]) -> dict[str, Any]:
    """The only one with published ports."""
    alias = "trading-edge"
    return {
        "image": f"${{TRADING_IMAGE:-{image}}}",
        "entrypoint": ["python3", "-m", "trading.compose.edge", alias],
        "command": [f"{port}={aliases[name]}:{port}" for port, name in routes.items()],
        "user": "10001:10001",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "deploy": {"resources": {"limits": {"cpus": "1", "memory": "256m"}}},
        "restart": "unless-stopped",
        "logging": _LOGGING,
        "ports": [
            {"target": p, "published": str(p), "host_ip": "127.0.0.1", "protocol": "tcp"}
            for p in routes
        ],
        "networks": {
            EDGE: {"aliases": [alias]},
            **{name: {} for name in sorted(set(routes.values()))},
        },
    }
