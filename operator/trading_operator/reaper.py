"""Deletes partitions that nobody renews any more: for the day that the operator does not come back.

    python -m trading_operator.reaper

It may list and delete NetworkPolicies, and nothing else. Exit code 1: one could not be deleted.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from trading_operator.cluster import Cluster, ClusterError, connect
from trading_operator.policies import owner_of, until_of


async def sweep(cluster: Cluster, now: float) -> list[str]:
    """Names of the expired ones, deleted. Raises ClusterError with the first that cannot be."""
    problem: ClusterError | None = None
    gone = []
    for name in expired(await cluster.policies(), now):
        try:
            await cluster.drop(name)
        except ClusterError as error:
            problem = problem or error
        else:
            gone.append(name)
    if problem is not None:
        raise problem
    return gone


def expired(policies: Iterable[Mapping[str, Any]], now: float) -> list[str]:
    """Names of those of the operator's that nobody has renewed in time."""
    return [one["metadata"]["name"] for one in policies if owner_of(one) and until_of(one) < now]


def main() -> int:
    cluster = Cluster(connect(), os.environ["NAMESPACE"], {})
    try:
        for name in asyncio.run(sweep(cluster, time.time())):
            print(f"{name}: nobody renewed it, deleted")
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
