"""How the site of the documentation is built: ``make docs``."""

import re
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent

project = "Trading ecosystem chaos range"
author = "The maintainers"
release = version = installed("trading-ecosystem")

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = project
html_show_copyright = False
html_show_sourcelink = False

#: Documents beside the README, which the site has under project/.
_BESIDE = "ARCHITECTURE|CHANGELOG|CONTRIBUTING|SECURITY"


def _adapted(app: Sphinx, name: str, source: list[str]) -> None:
    """Links to the documents beside the README lead to their pages in the site."""
    up = "../" * name.count("/")
    if name.startswith("project/"):
        beside = ROOT / f"{name.removeprefix('project/').upper()}.md"
        source[0] = beside.read_text(encoding="utf-8").replace("](docs/", f"]({up}")
        pattern = rf"\]\(({_BESIDE})\.md"
    else:
        pattern = rf"\]\({re.escape(up)}\.\./({_BESIDE})\.md"
    source[0] = re.sub(pattern, lambda m: f"]({up}project/{m[1].lower()}.md", source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", _adapted)
