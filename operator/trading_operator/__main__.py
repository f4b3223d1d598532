"""The operator's process.

    python -m trading_operator

By environment: NAMESPACE; COORDINATOR_URL; CHAOS_TOKEN_FILE; RELEASE_LABELS, which every pod of the
release has (a=b,c=d); HEALTH_PORT and METRICS_PORT.
"""

import asyncio
import logging
import os
import sys
from pathlib import Path

import kopf
from prometheus_client import start_http_server

from trading_operator.cluster import Cluster, connect
from trading_operator.coordinator import Coordinator
from trading_operator.handlers import Handlers
from trading_operator.metrics import Metrics


def main() -> int:
    """Run the operator until it is stopped. Return 2 if an environment variable is missing."""
    try:
        namespace = os.environ["NAMESPACE"]
        url = os.environ["COORDINATOR_URL"]
        token = Path(os.environ["CHAOS_TOKEN_FILE"])
        labels = os.environ["RELEASE_LABELS"]
    except KeyError as missing:
        print(f"{missing.args[0]}: not set\n\n{(__doc__ or '').strip()}", file=sys.stderr)
        return 2
    release = dict(pair.split("=", 1) for pair in labels.split(","))
    kopf.configure(log_format=kopf.LogFormat.JSON)
    for noisy in ("httpx", "kopf.activities"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    metrics = Metrics()
    start_http_server(int(os.environ.get("METRICS_PORT", "8088")), registry=metrics.registry)
    asyncio.run(_serve(namespace, url, token, release, metrics))
    return 0


async def _serve(
    namespace: str, url: str, token: Path, release: dict[str, str], metrics: Metrics
) -> None:
    """Run kopf with the operator's handlers until a signal stops it."""
    registry = kopf.OperatorRegistry()
    coordinator = Coordinator(url, token)
    Handlers(registry, Cluster(connect(), namespace, release), coordinator, metrics)
    port = os.environ.get("HEALTH_PORT", "8087")
    try:
        await kopf.operator(
            registry=registry,
            namespaces=[namespace],
            # There is never more than one replica, so no peering between operators is needed.
            standalone=True,
            # kopf's default identity contains a user's name, and the image has no users.
            identity="trading-operator",  # type: ignore[arg-type]
            liveness_endpoint=f"http://0.0.0.0:{port}/healthz",
        )
    finally:
        await coordinator.close()


if __name__ == "__main__":
    sys.exit(main())
