"""Deletes expired partition policies, so that partitions end even if the operator never comes back.

    python -m trading_operator.reaper

A CronJob runs it. It may only list and delete NetworkPolicies. Exit code 1: one could not be
deleted.
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
    """Delete all expired policies and return their names. ``now`` is a Unix time in seconds. Raises
    the first ClusterError after it has tried all of them.
    """
    problem: ClusterError | None = None
    deleted = []
    for name in expired(await cluster.policies(), now):
        try:
            await cluster.delete_policy(name)
        except ClusterError as error:
            problem = problem or error
        else:
            deleted.append(name)
    if problem is not None:
        raise problem
    return deleted


def expired(policies: Iterable[Mapping[str, Any]], now: float) -> list[str]:
    """Return the names of the operator's policies whose recover-by is before ``now``."""
    return [
        policy["metadata"]["name"]
        for policy in policies
        if owner_of(policy) and until_of(policy) < now
    ]


def main() -> int:
    """Delete expired policies, print their names, and return the exit code."""
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
