"""Grafana's four dashboards: what is on them is a table each, how it looks is in ``build``."""

from pathlib import Path

from tools.dashboards import audit, executive, risk, system
from tools.dashboards.build import built

FOLDER = Path("charts/trading/files/grafana/dashboards")
DASHBOARDS = (executive.DASHBOARD, risk.DASHBOARD, audit.DASHBOARD, system.DASHBOARD)


def texts() -> dict[Path, str]:
    """Path in the project -> the dashboard's JSON."""
    return {FOLDER / f"{dashboard.uid}.json": built(dashboard) for dashboard in DASHBOARDS}
