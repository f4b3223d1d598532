"""docs/signals.md, from the table of signals."""

from pathlib import Path

from trading.telemetry.signals import SIGNALS
from trading.topology import SERVICES

_HEAD = """# Signals

Written by `make generate` from `services/trading/telemetry/signals.py`: what the services show at
`/metrics`. Beside these, every service shows `process_*`: CPU, memory, open files, start.

| metric | kind | labels | of | from when on | meaning |
|---|---|---|---|---|---|
"""


def texts() -> dict[Path, str]:
    rows = []
    for signal in SIGNALS.values():
        of = "all" if len(signal.services) == len(SERVICES) else ", ".join(signal.services)
        labels = ", ".join(signal.labels)
        rows.append(
            f"| `{signal.shown}` | {signal.kind} | {labels} | {of} | {signal.when} |"
            f" {signal.text} |\n"
        )
    return {Path("docs/signals.md"): _HEAD + "".join(rows)}
