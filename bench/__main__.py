"""Run every benchmark; print the table, and write bench-results.json."""

import json
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import journal, matching, orders, simulation, startup
from bench.measure import Figure

RESULTS = Path("bench-results.json")


def main() -> None:
    console = Console()
    figures: list[Figure] = []
    for name, work in (
        ("matching", matching.figures),
        ("journal", journal.run),
        ("simulation", simulation.run),
        ("startup", startup.run),
        ("orders", orders.run),
    ):
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += work()
    table = Table(title=f"Python {platform.python_version()}, {platform.machine()}, one core")
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("aim", justify="right")
    table.add_column("met")
    for figure in figures:
        met = "" if figure.met is None else "yes" if figure.met else "MISSED"
        value = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.2f}"
        table.add_row(figure.name, f"{value} {figure.unit}", figure.aim, met)
    console.print(table)
    RESULTS.write_text(json.dumps([f._asdict() for f in figures], indent=2) + "\n")
    console.print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
