"""Assemble the whole Compose file: services, networks, volumes and configs."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from trading.compose.manifests import (
    DROPPED,
    ConfigMap,
    Ingress,
    Policy,
    Secret,
    Service,
    UnsupportedManifest,
)
from trading.compose.networks import callers, published
from trading.compose.pods import Workload
from trading.compose.translate import Context, translate
from trading.topology import DATABASE_SETUP, POSTGRES, SERVICES

EDGE = "edge"
SECRETS = "secrets"
#: Where the container that creates the secrets mounts the folders of all components.
_SECRETS_ROOT = "/made"
#: The container that creates the secrets must give each folder to the user of its component.
_CHOWN_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
_LOGGING = {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}


class Document(NamedTuple):
    """The content of a Compose file, and the configuration files that it mounts.

    `files` has their texts by path in the project. Configuration that is equal to a file of the
    chart is not among them, because Compose mounts that file.
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
    """Return the Compose file for the rendered `manifests` of the chart.

    `project` is the name of the Compose project, and `environment` the name of the folder for
    generated configuration files. `chart_files` maps the content of each file of the chart to its
    path in the project. Raises UnsupportedManifest.
    """
    parsed = list(manifests)
    workloads = [m for m in parsed if isinstance(m, Workload)]
    services = [m for m in parsed if isinstance(m, Service)]
    config_maps = {m.metadata.name: m for m in parsed if isinstance(m, ConfigMap)}
    generated = frozenset(m.metadata.name for m in parsed if isinstance(m, Secret))
    callers_of = callers(m for m in parsed if isinstance(m, Policy))
    components = {w.metadata.component for w in workloads}
    aliases = _aliases(services, workloads)
    configs, config_files, files = _configs(config_maps, environment, chart_files)
    image = next(w.pod.containers[0].image for w in workloads if w.metadata.component in SERVICES)
    context = Context(aliases, configs, config_maps, generated, image)
    compose_services: dict[str, Any] = {}
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
        networks |= {
            callee: {} for callee, names in sorted(callers_of.items()) if component in names
        }
        service["networks"] = networks
        compose_services[component] = service
        volumes |= {name: {} for name in translated.volumes}
    secrets = [name for name in volumes if name.endswith("-secrets")]
    if secrets:
        compose_services[SECRETS] = _secrets_service(secrets, image, chaos=_has_chaos(parsed))
    routes = published(services, (m for m in parsed if isinstance(m, Ingress)))
    if routes:
        compose_services[EDGE] = _edge_service(routes, image, aliases)
    networks = {name: {"internal": True} for name in sorted(aliases)}
    compose: dict[str, Any] = {"name": project, "services": compose_services, "networks": networks}
    if routes:
        networks[EDGE] = {"internal": False}
    if volumes:
        compose["volumes"] = dict(sorted(volumes.items()))
    used = {c["source"] for s in compose_services.values() for c in s.get("configs", [])}
    if used:
        compose["configs"] = {name: config_files[name] for name in sorted(used)}
    return Document(compose, files)


def dropped() -> list[str]:
    """Return a line for each kind of manifest that is dropped, with the reason."""
    return [f"{kind}: {reason}" for kind, reason in DROPPED.items()]


def _aliases(services: Iterable[Service], workloads: Iterable[Workload]) -> dict[str, str]:
    """Return, for each component, the host name by which others connect: that of its Service."""
    deployed = {w.metadata.component for w in workloads}
    aliases: dict[str, str] = {}
    for service in services:
        component = service.metadata.component
        if component not in deployed:
            raise UnsupportedManifest(f"Service {service.metadata.name}: selects no workload")
        for port in service.spec.ports:
            if port.target_port not in (0, port.port, port.name):
                raise UnsupportedManifest(
                    f"Service {service.metadata.name}: port {port.port} leads to"
                    f" {port.target_port}; Compose has no other port than the container's own"
                )
        # A component may have a headless and an external Service; both select the same containers.
        if component not in aliases or len(service.metadata.name) < len(aliases[component]):
            aliases[component] = service.metadata.name
    return aliases


def _configs(
    config_maps: Mapping[str, ConfigMap],
    environment: str,
    chart_files: Mapping[str, PurePosixPath],
) -> tuple[dict[tuple[str, str], str], dict[str, dict[str, str]], dict[PurePosixPath, str]]:
    """Return the names of the configs by ConfigMap and key, their entries, and files to write."""
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


def _depends(component: str, volumes: Iterable[str], deployed: Iterable[str]) -> dict[str, Any]:
    """Return the services, with conditions, that must precede a component."""
    conditions = {}
    if f"{component}-secrets" in volumes:
        conditions[SECRETS] = {"condition": "service_completed_successfully"}
    if component == DATABASE_SETUP and POSTGRES in deployed:
        conditions[POSTGRES] = {"condition": "service_healthy"}
    if component in SERVICES and DATABASE_SETUP in deployed:
        conditions[DATABASE_SETUP] = {"condition": "service_completed_successfully"}
    return conditions


def _has_chaos(manifests: Iterable[Any]) -> bool:
    return any("chaos-token" in m.keys for m in manifests if isinstance(m, Secret))


def _secrets_service(volumes: Iterable[str], image: str, *, chaos: bool) -> dict[str, Any]:
    """Return the service that creates missing secrets in all components' volumes, then exits."""
    return {
        "image": f"${{TRADING_IMAGE:-{image}}}",
        "command": [
            "secrets",
            _SECRETS_ROOT,
            "--owned",
            "--existing",
            *([] if chaos else ["--no-chaos"]),
        ],
        "user": "0:0",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": _CHOWN_CAPABILITIES,
        "security_opt": ["no-new-privileges:true"],
        "network_mode": "none",
        "restart": "no",
        "logging": _LOGGING,
        "volumes": [
            {
                "type": "volume",
                "source": name,
                "target": f"{_SECRETS_ROOT}/{name.removesuffix('-secrets')}",
                "volume": {"nocopy": True},
            }
            for name in sorted(volumes)
        ],
    }


def _edge_service(
    routes: Mapping[int, str], image: str, aliases: Mapping[str, str]
) -> dict[str, Any]:
    """Return the service that publishes the ports; no other service does."""
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
