"""The strategy leases of one trading engine, as a process of its own.

It prints a line of JSON for each report: ``held`` after each change of the leases; ``usable``, the
leases that it may use at that moment, after a change and after the process has stood still; and
``problem``. With ``--log`` it first appends each change to the list ``log`` in Redis. On SIGTERM it
releases its leases and exits.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping

import redis

from trading.hosting.leases import StrategyLeases

ACCOUNTS = ("firm-mm", "firm-momentum", "firm-meanrev", "firm-index")


async def main() -> None:
    """Run the leases until SIGTERM, or until the parent process is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("name")
    parser.add_argument("--ttl", type=float, default=3.0)
    parser.add_argument("--log", action="store_true")
    options = parser.parse_args()
    log = redis.Redis.from_url(options.url) if options.log else None

    def report(**fields: object) -> None:
        print(json.dumps({"at": time.monotonic(), **fields}), flush=True)

    def changed(held: Mapping[str, int]) -> None:
        if log is not None:
            log.rpush("log", json.dumps({"who": options.name, "held": held}))
        report(held=held)

    leases = StrategyLeases(options.url, options.name, ACCOUNTS, changed, ttl=options.ttl)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    report(problem=leases.problem)
    running = asyncio.create_task(leases.run())
    stopping = asyncio.create_task(stop.wait())
    reported_problem: object = leases.problem
    usable: Mapping[str, int] = {}
    checked_at = time.monotonic()
    parent = os.getppid()
    while not stopping.done() and os.getppid() == parent:
        if leases.problem != reported_problem:
            reported_problem = leases.problem
            report(problem=reported_problem)
        now = time.monotonic()
        if leases.held != usable or now - checked_at > 0.3:
            since = time.monotonic()
            usable = leases.held
            # The process may stand still between the two lines, so ``since`` is read first.
            report(usable=usable, since=since)
        checked_at = now
        await asyncio.wait([stopping, running], timeout=0.02, return_when="FIRST_COMPLETED")
        if running.done():
            running.result()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await leases.release()
    if log is not None:
        log.close()


if __name__ == "__main__":
    asyncio.run(main())
