"""Metrics of HTTP requests and their duration, by route.

The path itself has too many values to be a label.
"""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from starlette.types import Scope

from trading.telemetry.signals import SIGNALS

# Otherwise each route has one more series, which no query uses.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Label of requests that no route handled: static files, unknown paths, refused requests.
NO_ROUTE = "other"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})


#: Key in an ASGI scope: the path of the route, set by code that answers without the router.
MATCHED = "trading.matched"


def route_of(scope: Scope) -> str:
    """Return the path of the request's route, with placeholders for parameters, or NO_ROUTE."""
    return str(scope.get(MATCHED) or getattr(scope.get("route"), "path", NO_ROUTE))


class HttpMetrics:
    """Counts and times the HTTP requests of one ``service``, in a Prometheus ``registry``."""

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        requests = SIGNALS["trading_http_requests"]
        duration = SIGNALS["trading_http_request_duration_seconds"]
        self._service = service
        self._requests = Counter(requests.name, requests.text, requests.labels, registry=registry)
        self._duration = Histogram(
            duration.name, duration.text, duration.labels, registry=registry, buckets=_BUCKETS
        )
        # Labelled children, because looking them up in prometheus_client is slow.
        self._durations: dict[tuple[str, str], Any] = {}
        self._counters: dict[tuple[str, str, int], Any] = {}

    def see(self, scope: Scope, status: int, seconds: float) -> None:
        """Record one answered request; ``scope`` is its ASGI scope after routing."""
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = route_of(scope)
        key = (method, route)
        duration = self._durations.get(key)
        if duration is None:
            duration = self._durations[key] = self._duration.labels(self._service, *key)
        duration.observe(seconds)
        counter = self._counters.get((*key, status))
        if counter is None:
            labels = (self._service, *key, str(status))
            counter = self._counters[(*key, status)] = self._requests.labels(*labels)
        counter.inc()
