"""Exports the traces of a service by OpenTelemetry, if OTEL_EXPORTER_OTLP_ENDPOINT is set."""

import asyncio
from collections.abc import Sequence
from importlib.metadata import version

from trading.hosting.host import Host
from trading.hosting.live_session import PublishedMessage
from trading.hosting.service_app import ServiceApp
from trading.hosting.settings import Settings
from trading.telemetry.export import Traces
from trading.telemetry.trace_builders import TRACE_BUILDERS, TraceBuilder


class Tracing:
    """Turns the requests and published messages of one service into spans and exports them.

    Subscribes to ``app`` and ``host`` when it is created, which has to be before the host starts.
    """

    def __init__(self, service: str, app: ServiceApp, host: Host, settings: Settings) -> None:
        self._journey_class = TRACE_BUILDERS.get(service, TraceBuilder)
        self._host = host
        self._journey: TraceBuilder | None = None
        self._traces = Traces(
            service,
            version("trading-ecosystem"),
            settings.otel_exporter_otlp_endpoint,
            settings.otel_traces_sampler_arg,
        )
        app.context.request_observers.append(self._traces.request)
        host.on_session(self._on_session)
        kinds = getattr(self._journey_class, "kinds", ())
        self._kinds = frozenset(kinds)
        if kinds:
            host.count(kinds, self._on_published)

    def problems(self) -> dict[str, str]:
        """Return no problems: a service is healthy without its traces."""
        return {}

    async def start(self, host: Host) -> None:
        """Do nothing: the constructor has subscribed already."""

    async def stop(self) -> None:
        """Export the remaining spans."""
        await asyncio.to_thread(self._traces.stop)

    def _on_session(self) -> None:
        session = self._host.session
        name = session.key or session.run_id or session.opened
        self._journey = self._journey_class(name, session.plan.universe)

    def _on_published(self, published: Sequence[PublishedMessage]) -> None:
        journey = self._journey
        if journey is None:
            return
        spans = [
            span
            for message, now in published
            if type(message) in self._kinds
            for span in journey.see(message, now)
        ]
        if spans:
            self._traces.put(spans, self._host.now, self._host.speed)


def tracing_of(service: str, app: ServiceApp, host: Host, settings: Settings) -> list[Tracing]:
    """Return the tracing of a service in a list, which is empty if tracing is not enabled.

    Call this before the host starts.
    """
    if not settings.otel_exporter_otlp_endpoint:
        return []
    return [Tracing(service, app, host, settings)]
