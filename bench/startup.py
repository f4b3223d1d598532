"""Measure what a user waits for: `trading --help`, and `trading up` from the command to ready and
from Ctrl-C to the prompt. Also measure processor and memory of an idle ecosystem.
"""

import subprocess
import sys
import time

from bench.measure import Figure, best_of
from bench.running import Running

AIM = 0.3
START_AIM = 3.0
STOP_AIM = 2.0
ROUNDS = 3
#: Wall seconds for which an idle ecosystem is measured.
IDLE = 10.0


def run(rounds: int = ROUNDS, idle: float = IDLE) -> list[Figure]:
    """Start and stop `trading up` this many times; return the figures. The first one stays idle for
    `idle` wall seconds before it is stopped.
    """
    command = [sys.executable, "-m", "trading.cli", "--help"]
    helped = best_of(5, lambda: subprocess.run(command, check=True, capture_output=True))
    starts, stops = [], []
    busy = memory = 0.0
    for number in range(rounds):
        up = Running()
        try:
            if number == 0:
                busy, memory = _idle(up, idle)
        finally:
            stops.append(up.stop())
        starts.append(up.start_seconds)
    start, stop = min(starts), min(stops)
    return [
        Figure("trading --help", helped, "s", f"< {AIM}", helped < AIM),
        Figure("trading up: to ready", start, "s", f"<= {START_AIM:.0f}", start <= START_AIM),
        Figure("trading up: Ctrl-C to its end", stop, "s", f"<= {STOP_AIM:.0f}", stop <= STOP_AIM),
        Figure("trading up, idle: processor", busy * 100, "%"),
        Figure("trading up, idle: memory", memory, "MB"),
    ]


def _idle(up: Running, seconds: float) -> tuple[float, float]:
    """Return processor seconds per wall second, and resident memory in MB at the end."""
    before = up.cpu_seconds()
    time.sleep(seconds)
    return (up.cpu_seconds() - before) / seconds, up.megabytes()
