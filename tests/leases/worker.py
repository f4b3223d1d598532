"""One trading engine's leases as a process of its own: says on stdout, a line of JSON each, what it
holds (``held``: the changes; ``usable``: what it may trade for at that moment, on a change and
after standing still). ``--log``: changes go to the list ``log`` in Redis first. SIGTERM: leaves in
order.
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
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("name")
    parser.add_argument("--ttl", type=float, default=3.0)
    parser.add_argument("--log", action="store_true")
    given = parser.parse_args()
    log = redis.Redis.from_url(given.url) if given.log else None

    def say(**what: object) -> None:
        print(json.dumps({"at": time.monotonic(), **what}), flush=True)

    def changed(held: Mapping[str, int]) -> None:
        if log is not None:
            log.rpush("log", json.dumps({"who": given.name, "held": held}))
        say(held=held)

    leases = StrategyLeases(given.url, given.name, ACCOUNTS, changed, ttl=given.ttl)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    say(problem=leases.problem)
    running = asyncio.create_task(leases.run())
    stopping = asyncio.create_task(stop.wait())
    told: object = leases.problem
    usable: Mapping[str, int] = {}
    looked = time.monotonic()
    parent = os.getppid()
    while not stopping.done() and os.getppid() == parent:
        if leases.problem != told:
            told = leases.problem
            say(problem=told)
        now = time.monotonic()
        if leases.held != usable or now - looked > 0.3:
            since = time.monotonic()
            usable = leases.held
            # It may stand still between the two: ``since`` is from before it looked.
            say(usable=usable, since=since)
        looked = now
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
