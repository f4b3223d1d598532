"""A service's traces, where OTEL_EXPORTER_OTLP_ENDPOINT says that somebody wants them."""

import asyncio
from collections.abc import Sequence
from importlib.metadata import version

from fastapi import FastAPI

from trading.hosting.host import Host
from trading.hosting.live import Published
from trading.hosting.settings import Settings
from trading.telemetry.export import Traces
from trading.telemetry.journeys import JOURNEYS, Journey


class Tracing:
    """``stop`` sends what waits."""

    def __init__(self, service: str, app: FastAPI, host: Host, settings: Settings) -> None:
        self._make = JOURNEYS.get(service, Journey)
        self._host = host
        self._journey: Journey | None = None
        self._traces = Traces(
            service,
            version("trading-ecosystem"),
            settings.otel_exporter_otlp_endpoint,
            settings.otel_traces_sampler_arg,
        )
        app.state.seen.append(self._traces.request)
        host.on_session(self._begin)
        kinds = getattr(self._make, "kinds", ())
        self._kinds = frozenset(kinds)
        if kinds:
            host.count(kinds, self._hear)

    def problems(self) -> dict[str, str]:
        """None that anybody should wait for."""
        return {}

    async def start(self, host: Host) -> None:
        """It has begun with its host."""

    async def stop(self) -> None:
        await asyncio.to_thread(self._traces.stop)

    def _begin(self) -> None:
        session = self._host.session
        name = session.key or session.run_id or session.opened
        self._journey = self._make(name, session.plan.universe)

    def _hear(self, published: Sequence[Published]) -> None:
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


def traced(service: str, app: FastAPI, host: Host, settings: Settings) -> list[Tracing]:
    """Empty where no traces are wanted. Before the host starts."""
    if not settings.otel_exporter_otlp_endpoint:
        return []
    return [Tracing(service, app, host, settings)]
