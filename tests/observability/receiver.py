"""A receiver of OTLP over HTTP for tests; it keeps the spans that arrive."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Received(NamedTuple):
    """A span. Ids are in hexadecimal; `start` and `end` are Unix nanoseconds."""

    service: str
    trace: str
    id: str
    parent: str
    name: str
    start: int
    end: int
    attributes: dict[str, Any]
    error: str


class Receiver:
    """An HTTP server for traces; OTEL_EXPORTER_OTLP_ENDPOINT must be set to `url`."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                spans.extend(_decoded(ExportTraceServiceRequest.FromString(body)))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def traces(self) -> dict[str, list[Received]]:
        """Return the received spans by trace id."""
        by_trace: dict[str, list[Received]] = {}
        for span in list(self.spans):
            by_trace.setdefault(span.trace, []).append(span)
        return by_trace


def _decoded(request: Any) -> list[Received]:
    spans = []
    for resource in request.resource_spans:
        about = {a.key: a.value.string_value for a in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                attributes = {
                    a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes
                }
                spans.append(
                    Received(
                        about["service.name"],
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.name,
                        span.start_time_unix_nano,
                        span.end_time_unix_nano,
                        attributes,
                        span.status.message,
                    )
                )
    return spans
