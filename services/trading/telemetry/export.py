"""Exports spans to an OpenTelemetry collector.

Spans that cannot be sent are dropped: no service ever waits for its traces.
"""

import os
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import Scope

from trading.telemetry.http import NO_ROUTE, route_of
from trading.telemetry.spans import Span, Value

#: How many spans may wait to be sent; further ones are dropped.
QUEUE = 16_384
_SCOPE = "trading"


class Traces:
    """Sends the spans of one ``service`` in the background.

    ``endpoint`` is a base URL as in OTEL_EXPORTER_OTLP_ENDPOINT. ``ratio`` is the share of traces
    that are sampled (0 to 1); every service samples the same traces, by their ids.
    """

    def __init__(self, service: str, version: str, endpoint: str, ratio: float) -> None:
        # Imported here, because it takes seconds and much memory that services without traces save.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._resource = Resource(
            {
                "service.name": service,
                "service.namespace": "trading",
                "service.version": version,
                "service.instance.id": f"{os.uname().nodename}-{os.getpid()}",
            }
        )
        self._scope = InstrumentationScope(_SCOPE, version)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=5)
        self._processor = BatchSpanProcessor(exporter, max_queue_size=QUEUE)
        self._sampled_below = int(ratio * 2**64)

    def put(self, spans: Iterable[Span], sim_now: int, speed: float) -> None:
        """Queue spans whose times are simulated.

        ``sim_now`` is the current time of the session's clock in microseconds, and ``speed`` its
        simulated seconds per wall second: they map the times of spans to wall time.
        """
        wall = time.time_ns()
        for span in spans:
            start, end = (
                wall - round((sim_now - at) * 1000 / speed) for at in (span.start, span.end)
            )
            attributes: dict[str, Value] = {
                **span.attributes,
                "sim.start": span.start,
                "sim.end": span.end,
            }
            self._send(
                span.trace, span.id, span.parent, span.name, start, end, attributes, span.error
            )

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """Queue the span of an HTTP request that was answered just now with ``status``.

        ``seconds`` is how long it took. The span belongs to the trace that the request's
        ``traceparent`` header names, or to a new one.
        """
        from opentelemetry.trace import SpanKind

        end = time.time_ns()
        trace, parent = _parse_traceparent(scope["headers"])
        route = route_of(scope)
        method = scope["method"]
        attributes: dict[str, Value] = {
            "http.request.method": method,
            "url.path": scope["path"],
            "http.response.status_code": status,
        }
        if route != NO_ROUTE:
            attributes["http.route"] = route
        start = end - round(seconds * 1e9)
        error = str(status) if status >= 500 else ""
        name = f"{method} {route}"
        span_id = secrets.randbits(64) or 1
        self._send(trace, span_id, parent, name, start, end, attributes, error, SpanKind.SERVER)

    def stop(self) -> None:
        """Send the queued spans, within a time limit, and stop."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _send(
        self,
        trace: int,
        span_id: int,
        parent: int,
        name: str,
        start: int,
        end: int,
        attributes: Mapping[str, Value],
        error: str,
        kind: Any = None,
    ) -> None:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        if trace & (2**64 - 1) >= self._sampled_below:
            return
        sampled = TraceFlags(TraceFlags.SAMPLED)
        self._processor.on_end(
            ReadableSpan(
                name,
                context=SpanContext(trace, span_id, False, sampled),
                parent=SpanContext(trace, parent, True, sampled) if parent else None,
                resource=self._resource,
                attributes=attributes,
                kind=kind or SpanKind.INTERNAL,
                status=Status(StatusCode.ERROR, error) if error else Status(StatusCode.UNSET),
                start_time=start,
                end_time=end,
                instrumentation_scope=self._scope,
            )
        )


def _parse_traceparent(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Return trace id and span id of a W3C ``traceparent`` header; a new trace and 0 if invalid."""
    header = dict(headers).get(b"traceparent", b"")
    parts = header.split(b"-")
    try:
        trace, parent = int(parts[1], 16), int(parts[2], 16)
        if len(parts[1]) == 32 and len(parts[2]) == 16 and trace and parent:
            return trace, parent
    except (IndexError, ValueError):
        pass
    return secrets.randbits(128) or 1, 0
