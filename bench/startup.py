"""How long a person waits for ``trading --help``."""

import subprocess
import sys

from bench.measure import Figure, best_of

AIM = 0.3


def run() -> list[Figure]:
    command = [sys.executable, "-m", "trading.cli", "--help"]
    seconds = best_of(5, lambda: subprocess.run(command, check=True, capture_output=True))
    return [Figure("trading --help", seconds, "s", f"< {AIM}", seconds < AIM)]
