"""Generate Grafana's four dashboards: each is a table of panels in a module of its own, and `build`
makes Grafana's JSON from it.
"""

from pathlib import Path

from tools.dashboards import audit, executive, risk, system
from tools.dashboards.build import built

FOLDER = Path("charts/trading/files/grafana/dashboards")
DASHBOARDS = (executive.DASHBOARD, risk.DASHBOARD, audit.DASHBOARD, system.DASHBOARD)


def texts() -> dict[Path, str]:
    """Return the JSON of each dashboard, by its path within the project."""
    return {FOLDER / f"{dashboard.uid}.json": built(dashboard) for dashboard in DASHBOARDS}
