"""The Compose files of the three environments, from the rendered chart."""

from pathlib import Path

from tools.helm import helm
from trading.compose.write import render, texts

CHART = Path("charts/trading")
ENVIRONMENTS = ("dev", "test", "prod")


def values(environment: str) -> list[Path]:
    """The chart's own values are those of development."""
    return [] if environment == "dev" else [CHART / f"values-{environment}.yaml"]


def files() -> dict[Path, str]:
    """Path in the project -> what shall be in it."""
    root = Path.cwd()
    found: dict[Path, str] = {}
    for environment in ENVIRONMENTS:
        rendered = render(helm(), CHART, values(environment))
        made = texts(rendered, root, root / CHART, environment)
        found |= {Path(path): text for path, text in made.items()}
    return found
