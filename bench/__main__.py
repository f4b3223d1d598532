"""Run the benchmarks, print a table of their figures, and write them to bench-results.json.

`python -m bench orders fanout` runs only these two; the figures of the others stay in the file.
`python -m bench --page` runs none, and copies the figures of the file into docs/benchmarks.md.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import apart, detection, fanout, journal, matching, orders, page, simulation, startup
from bench.measure import Figure

RESULTS = Path("bench-results.json")
PAGE = Path("docs/benchmarks.md")
BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {
    "matching": matching.figures,
    "journal": journal.run,
    "simulation": simulation.run,
    "startup": startup.run,
    "orders": orders.run,
    "detection": detection.run,
    "apart": apart.run,
    "fanout": fanout.run,
}


def main() -> None:
    """Run the command line: the benchmarks named in it, or all of them, or the update of the
    page.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure speed.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--page", action="store_true", help=f"run nothing: {RESULTS} into {PAGE}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; {', '.join(BENCHMARKS)}")
    if options.page:
        results = page.read(RESULTS)
        if not results:
            parser.error(f"no {RESULTS} here: run make bench first")
        figures = [f for name in BENCHMARKS for f in results.get(name, [])]
        PAGE.write_text(page.replaced(PAGE.read_text(encoding="utf-8"), figures), "utf-8")
        return
    measure([name for name in BENCHMARKS if name in options.names or not options.names])


def measure(names: Iterable[str]) -> None:
    """Run the benchmarks of these names, print their figures, and merge them into
    bench-results.json.
    """
    measured: dict[str, list[Figure]] = {}
    for name in names:
        load = os.getloadavg()[0]
        print(f"measuring {name} (load average {load:.1f}) ...", file=sys.stderr, flush=True)
        measured[name] = BENCHMARKS[name]()
    console = Console()
    table = Table(title=f"Python {platform.python_version()}, {platform.machine()}, one core")
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("aim", justify="right")
    table.add_column("met")
    for figure in (f for figures in measured.values() for f in figures):
        met = "" if figure.met is None else "yes" if figure.met else "MISSED"
        table.add_row(figure.name, figure.text, figure.aim, met)
    console.print(table)
    results = page.read(RESULTS) | measured
    written = {name: [f._asdict() for f in figures] for name, figures in results.items()}
    RESULTS.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
