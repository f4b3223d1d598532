"""Before the chart goes: every scenario that runs is aborted, and its faults have ended.

    python -m trading_operator.uninstall

With the operator away nobody could take a finalizer off. Exit code 1: not all of them ended in
time; the operator is still there, and goes on.
"""

import asyncio
import os
import sys
import time

from trading_operator.cluster import Cluster, ClusterError, connect
from trading_operator.resource import FINALIZER

_PATIENCE = 240.0


async def end_all(cluster: Cluster) -> list[str]:
    """Aborts what runs and waits; the names of those that did not end. Raises ClusterError."""
    until = time.monotonic() + _PATIENCE
    told: set[str] = set()
    while True:
        left = []
        for one in await cluster.scenarios():
            name = one["metadata"]["name"]
            ended = bool((one.get("status") or {}).get("verdict"))
            if not ended and name not in told and not one["spec"].get("abort"):
                await cluster.abort(name)
                print(f"{name}: aborted", flush=True)
                told.add(name)
            if not ended or FINALIZER in (one["metadata"].get("finalizers") or ()):
                left.append(name)
        if not left or time.monotonic() > until:
            return left
        await asyncio.sleep(1)


def main() -> int:
    cluster = Cluster(connect(), os.environ["NAMESPACE"], {})
    try:
        left = asyncio.run(end_all(cluster))
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    for name in left:
        print(f"{name}: did not end within {_PATIENCE:.0f} s", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
