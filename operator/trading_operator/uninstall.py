"""Aborts every scenario that runs and waits until its faults have ended, before an uninstall.

    python -m trading_operator.uninstall

A pre-delete hook of the chart runs it, because without the operator nothing would remove the
finalizers. Exit code 1: not all of them ended in
time; the operator is still there, and goes on.
"""

import asyncio
import os
import sys
import time

from trading_operator.cluster import Cluster, ClusterError, connect
from trading_operator.resource import FINALIZER

#: Seconds to wait for all scenarios to end.
_TIMEOUT = 240.0


async def end_all(cluster: Cluster) -> list[str]:
    """Abort all running scenarios and wait until none has a finalizer. Return the names of those
    that did not end in time. Raises ClusterError.
    """
    deadline = time.monotonic() + _TIMEOUT
    aborted: set[str] = set()
    while True:
        remaining = []
        for scenario in await cluster.scenarios():
            name = scenario["metadata"]["name"]
            ended = bool((scenario.get("status") or {}).get("verdict"))
            if not ended and name not in aborted and not scenario["spec"].get("abort"):
                await cluster.abort(name)
                print(f"{name}: aborted", flush=True)
                aborted.add(name)
            if not ended or FINALIZER in (scenario["metadata"].get("finalizers") or ()):
                remaining.append(name)
        if not remaining or time.monotonic() > deadline:
            return remaining
        await asyncio.sleep(1)


def main() -> int:
    """End all scenarios, print those that did not end, and return the exit code."""
    cluster = Cluster(connect(), os.environ["NAMESPACE"], {})
    try:
        remaining = asyncio.run(end_all(cluster))
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    for name in remaining:
        print(f"{name}: did not end within {_TIMEOUT:.0f} s", file=sys.stderr)
    return 1 if remaining else 0


if __name__ == "__main__":
    sys.exit(main())
