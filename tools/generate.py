"""Write the generated files, or list with `--check` those that are out of date.

`--monitor-results` includes docs/reference/monitor-results.md, which takes minutes.
"""

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
    monitor_results,
    reference,
)
from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan
from trading.report.svg_summary import render_svg

ROOT = Path(__file__).resolve().parent.parent


def documents() -> dict[Path, str]:
    """Return the text of each generated file but the Compose and env files, by its path within the
    project.
    """
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
    """Write or check all generated files. Return 1 if `--check` finds one that is out of date, and
    0 otherwise.
    """
    check = "--check" in sys.argv
    stale = _write_or_check(documents(), check)
    if "--monitor-results" in sys.argv:
        stale += _write_or_check(monitor_results.texts(), check)
    # These are rendered from the chart, which has files of the first step in it.
    composed = compose_files.texts(ROOT)
    stale += _write_or_check({**composed, **env_files.texts(composed)}, check)
    for path in stale:
        print(f"{path}: {'stale, run make generate' if check else 'written'}")
    return 1 if stale and check else 0


def _write_or_check(files: dict[Path, str], check: bool) -> list[Path]:
    """Return the paths of the files that were out of date; write them unless `check` is set."""
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
