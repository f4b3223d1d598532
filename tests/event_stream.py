"""A server whose answers are streams of server-sent events, written byte for byte by a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class EventServer(NamedTuple):
    """A running server: its ``url``, and the Last-Event-ID of each request so far."""

    url: str
    last_event_ids: list[str]


@contextmanager
def event_server(*bodies: bytes) -> Iterator[EventServer]:
    """Answer each request with the next of ``bodies``, and close its connection; then with 404."""
    remaining = list(bodies)
    last_event_ids: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            last_event_ids.append(self.headers["Last-Event-ID"])
            self.send_response(200 if remaining else 404)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            if remaining:
                self.wfile.write(remaining.pop(0))

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield EventServer(f"http://127.0.0.1:{server.server_port}", last_event_ids)
        finally:
            server.shutdown()
            thread.join()
