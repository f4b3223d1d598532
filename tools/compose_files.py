"""Generate the Compose files of the three environments from the rendered chart."""

from pathlib import Path

from tools.helm import helm
from trading.compose.write import render
from trading.compose.write import texts as compose_texts

CHART = Path("charts/trading")
ENVIRONMENTS = ("dev", "test", "prod")


def texts(root: Path) -> dict[Path, str]:
    """Return the text of each generated file, by its path within the project. Raises
    CalledProcessError if helm fails.
    """
    files: dict[Path, str] = {}
    for environment in ENVIRONMENTS:
        # The default values of the chart are those of the environment dev.
        values = [] if environment == "dev" else [root / CHART / f"values-{environment}.yaml"]
        rendered = render(helm(), root / CHART, values)
        environment_files = compose_texts(rendered, root, root / CHART, environment)
        files |= {Path(path): text for path, text in environment_files.items()}
    return files
