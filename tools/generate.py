"""Write the generated files again, or say with ``--check`` which of them are stale."""

import sys
from pathlib import Path

from tools import (
    alert_rules,
    architecture,
    chart_tables,
    compose_files,
    crd,
    dashboards,
    env_files,
    reference,
)
from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan
from trading.report.svg_summary import render_svg

ROOT = Path(__file__).resolve().parent.parent


def documents() -> dict[Path, str]:
    """Path in the project -> what shall be in it."""
    crash = run_plan(load_scenario("market-crash").plan)
    return {
        Path("docs/market-crash.svg"): render_svg(crash.verdict, crash.record),
        **alert_rules.texts(),
        **architecture.texts(),
        **dashboards.texts(),
        **reference.texts(),
        **chart_tables.texts(),
        **crd.texts(),
    }


def main() -> int:
    """0 where everything is as it shall be; 1 where ``--check`` finds a stale file."""
    check = "--check" in sys.argv
    stale = _put(documents(), check)
    # Rendered from the chart with the files of the first step in it.
    composed = compose_files.texts(ROOT)
    stale += _put({**composed, **env_files.texts(composed)}, check)
    for path in stale:
        print(f"{path}: {'stale, run make generate' if check else 'written'}")
    return 1 if stale and check else 0


def _put(files: dict[Path, str], check: bool) -> list[Path]:
    """Which were stale; they are written unless only a check is wanted."""
    stale = []
    for path, text in files.items():
        file = ROOT / path
        if file.exists() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
