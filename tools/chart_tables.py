"""Generate charts/trading/files/topology.yaml, the chart's copy of the table of services."""

from pathlib import Path
from typing import Any

import yaml

from trading.topology import INFRASTRUCTURE, PUBLISHED, SERVICES, callers

PATH = Path("charts/trading/files/topology.yaml")
_HEAD = "# Written by `make generate` from services/trading/topology.py.\n"


def texts() -> dict[Path, str]:
    """Return the text of each generated file, by its path within the project."""
    table = {
        "services": {
            name: {
                "port": service.port,
                "calls": sorted(service.calls),
                "callers": sorted(callers(name)),
                "ports": [_port(name, service.port, callers(name))],
            }
            for name, service in sorted(SERVICES.items())
        },
        "stores": {
            name: {
                "callers": sorted(store.callers),
                "ports": [
                    _port(name if number == 0 else "", port, who)
                    for number, (port, who) in enumerate(store.ports.items())
                ],
            }
            for name, store in sorted(INFRASTRUCTURE.items())
        },
    }
    return {PATH: _HEAD + yaml.safe_dump(table, sort_keys=False, default_flow_style=None)}


def _port(name: str, port: int, who: tuple[str, ...]) -> dict[str, Any]:
    """Return the entry of a port. `published` marks ports that are open outside the cluster,
    `tested` those that `helm test` checks.
    """
    entry: dict[str, Any] = {"port": port, "callers": sorted(who)}
    if name in PUBLISHED:
        entry["published"] = True
    if name in SERVICES:
        entry["tested"] = True
    return entry
