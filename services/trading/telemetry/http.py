"""Requests and how long they took, by route: a path has too many values to be a label."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from starlette.types import Scope

from trading.telemetry.signals import SIGNALS

# A series more for each route, that no query asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Where no route took the request: files of a page, unknown paths, refused requests.
NO_ROUTE = "other"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})


#: In a scope: the route's path, from who answers without the router.
MATCHED = "trading.matched"


def route_of(scope: Scope) -> str:
    """The path with names for what varies; NO_ROUTE where there is none."""
    return str(scope.get(MATCHED) or getattr(scope.get("route"), "path", NO_ROUTE))


class HttpMetrics:
    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        requests = SIGNALS["trading_http_requests"]
        duration = SIGNALS["trading_http_request_duration_seconds"]
        self._service = service
        self._requests = Counter(requests.name, requests.text, requests.labels, registry=registry)
        self._duration = Histogram(
            duration.name, duration.text, duration.labels, registry=registry, buckets=_BUCKETS
        )
        self._known: dict[tuple[str, str], Any] = {}
        self._counted: dict[tuple[str, str, int], Any] = {}

    def see(self, scope: Scope, status: int, seconds: float) -> None:
        """``scope``: after it was routed."""
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = route_of(scope)
        key = (method, route)
        observed = self._known.get(key)
        if observed is None:
            observed = self._known[key] = self._duration.labels(self._service, *key)
        observed.observe(seconds)
        counted = self._counted.get((*key, status))
        if counted is None:
            labels = (self._service, *key, str(status))
            counted = self._counted[(*key, status)] = self._requests.labels(*labels)
        counted.inc()
