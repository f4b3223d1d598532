"""Measure the whole ecosystem on the embedded runtime: messages per second, and wall time and
memory of the 36-hour depeg.

Each run has a process of its own, so that memory is measured for this run alone and caches are
cold.
"""

import json
import resource
import subprocess
import sys
import time

from bench.measure import Figure

MESSAGES_AIM = 300_000
DEPEG_SECONDS = 10.0
DEPEG_MEGABYTES = 200.0


def run() -> list[Figure]:
    """Run both scenarios; return the figures."""
    crash = _run_in_process("market-crash", control=False)
    depeg = _run_in_process("stablecoin-depeg", control=False)
    checked = _run_in_process("stablecoin-depeg", control=True)
    rate = crash["messages"] / crash["seconds"]
    depeg_rate = depeg["messages"] / depeg["seconds"]
    seconds, megabytes = depeg["seconds"], depeg["megabytes"]
    aim = f">= {MESSAGES_AIM:,}"
    return [
        Figure("kernel: messages, market-crash", rate, "/s", aim, rate >= MESSAGES_AIM),
        Figure("kernel: messages, 36 h depeg", depeg_rate, "/s", aim, depeg_rate >= MESSAGES_AIM),
        Figure("36 h depeg: wall time", seconds, "s", "< 10", seconds < DEPEG_SECONDS),
        Figure("36 h depeg: with its control run", checked["seconds"], "s"),
        Figure("36 h depeg: peak memory", megabytes, "MB", "< 200", megabytes < DEPEG_MEGABYTES),
    ]


def _run_in_process(scenario: str, *, control: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.simulation", scenario, str(int(control))]
    process = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(process.stdout)
    return figures


def _main(scenario: str, control: bool) -> None:
    from trading.embedded.api import load_scenario
    from trading.embedded.run import run_plan

    plan = load_scenario(scenario).plan
    begun = time.perf_counter()
    result = run_plan(plan, control=control)
    seconds = time.perf_counter() - begun
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "outcome": result.verdict.outcome,
                "messages": result.record.messages,
                "seconds": seconds,
                "megabytes": megabytes,
            }
        )
    )


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2] == "1")
