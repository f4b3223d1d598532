"""The routes that all services share: liveness, readiness, metrics, and the journal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from trading.hosting.access import NOT_READ
from trading.hosting.assets import add_assets
from trading.hosting.docs import add_docs
from trading.hosting.guard import RequestGuard
from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable
from trading.hosting.origins import Origins
from trading.hosting.service_app import AppContext, ServiceApp
from trading.hosting.store import EntriesDropped, EntriesLost, StoreUnavailable
from trading.hosting.wrong_request import add_wrong_request
from trading.runtime.journal import to_ndjson
from trading.telemetry.counts import MessageCounters, counted_types
from trading.telemetry.families import gauges
from trading.telemetry.http import HttpMetrics

#: Journal entries that are read from the store at once.
_PAGE = 2000
#: Response header with the length of the journal, sent where more entries were requested.
LENGTH = "X-Journal-Length"
#: Wall seconds between two reads of a journal that is followed while nothing is written, and
#: between two pages of it.
_POLL_INTERVAL, _PAUSE = 1.0, 0.1
#: Whose journal: the service's own, or that of the network in the service's process.
Source = Literal["", "network"]


def create_app(context: AppContext, *, title: str, description: str) -> ServiceApp:
    """Return the app of the context's service with the common routes."""
    service, host = context.service, context.host
    app = ServiceApp(context, title=title, description=description)
    add_docs(app, service)
    add_assets(app)
    add_wrong_request(app)
    registry = context.registry
    registry.register(_HostMetrics(service, host))
    ProcessCollector(registry=registry)
    counts = MessageCounters(service)
    registry.register(counts)
    host.count(counted_types(service), lambda published: counts.see(m for m, _ in published))
    context.request_observers.append(HttpMetrics(service, registry).see)

    def on_request(scope: Scope, status: int, seconds: float) -> None:
        for observer in context.request_observers:
            observer(scope, status, seconds)

    # The last is the outermost, so that requests refused for their origin are logged and counted.
    app.add_middleware(Origins, hosts=context.hosts)
    app.add_middleware(RequestGuard, service=service, on_request=on_request)

    @app.get(
        "/health",
        tags=["service"],
        summary="Is the process alive?",
        responses={503: {"description": "Only a restart helps; says why."}},
    )
    async def health(response: Response) -> dict[str, str]:
        """The header X-Instance says which of several processes of the service answers."""
        response.headers["X-Instance"] = context.instance
        if host.tasks.problem:
            response.status_code = 503
        return {"status": host.tasks.problem or "ok", "service": service}

    @app.get(
        "/ready",
        tags=["service"],
        summary="Can it do its work?",
        responses={503: {"description": "It cannot, and says why."}},
    )
    async def ready(response: Response) -> dict[str, Any]:
        problem = host.ready
        if problem:
            response.status_code = 503
        problems = host.dependencies()
        return {
            "ready": not problem,
            "service": service,
            "problem": problem or None,
            "dependencies": {name: why or "ok" for name, why in problems.items()},
        }

    @app.get("/metrics", tags=["service"], summary="Prometheus metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.get(
        "/journal",
        tags=["service"],
        summary="The hash-chained journal, one JSON object a line",
        responses={
            200: {"content": {"application/x-ndjson": {}}},
            410: {"description": "The entries were dropped; says where the journal goes on."},
            416: {"description": "With key: there are fewer entries than were read before."},
            **NOT_READ,
        },
        response_class=StreamingResponse,
    )
    async def journal(
        request: Request,
        after: Annotated[int, Query(ge=0, le=2**62, description="Sequence to go on after.")] = 0,
        follow: Annotated[bool, Query(description="Stay, and get what is to come.")] = False,
        session: Annotated[
            int | None, Query(ge=1, le=2**31, description="An earlier session; default: this.")
        ] = None,
        key: Annotated[
            str | None, Query(max_length=200, description="Refuse another session than this.")
        ] = None,
        source: Annotated[Source, Query(description="Whose; default: the service's own.")] = "",
        progress: Annotated[
            bool,
            Query(description='Also lines {"until":T}: all from before that time has been told.'),
        ] = False,
    ) -> StreamingResponse:
        context.may_read_journal(request)
        number = host.session_number if session is None else session
        if key is not None and key != host.session.key:
            raise HTTPException(409, f"the session is {host.session.key}")
        if number > host.session_number:
            raise HTTPException(404, f"no session {number}; the newest is {host.session_number}")
        # An error of reading must be raised before the response has begun.
        name = source or service
        await asyncio.to_thread(host.store.read, number, name, after, 1)
        if key is not None:
            head = await asyncio.to_thread(host.store.head, number, name)
            if head.length < after:
                why = f"{after} entries of {name} were read, it has {head.length}"
                raise HTTPException(416, why, headers={LENGTH: str(head.length)})
        lines = _journal_lines(context, name, number, after, follow, progress)
        headers = {"X-Session": str(number), "X-Instance": context.instance}
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)

    @app.get(
        "/journal/head",
        tags=["service"],
        summary="How long the journal is, and its last hash",
        responses=NOT_READ,
    )
    async def journal_head(
        request: Request,
        before: Annotated[
            int | None, Query(ge=0, le=2**62, description="Count what is from before this time.")
        ] = None,
        source: Annotated[Source, Query(description="Whose; default: the service's own.")] = "",
    ) -> dict[str, Any]:
        context.may_read_journal(request)
        live = host.live
        name = source or service
        if before is not None:
            if not host.caught_up(before):
                raise HTTPException(503, "not yet: it does again what it had done before")
            # All entries that are counted can be read: wait for those that are still to be written.
            await host.durable()
            head = live.journal(name).head_before(before)
        else:
            head = await asyncio.to_thread(host.store.head, live.number, name)
        return {
            "session": live.session.key,
            "number": live.number,
            "instance": context.instance,
            "length": head.length,
            "hash": head.hash.hex(),
        }

    @app.exception_handler(StoreUnavailable)
    @app.exception_handler(Unavailable)
    async def unavailable(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"not now: {error}"}, 503)

    @app.exception_handler(EntriesLost)
    async def lost(request: Request, error: EntriesLost) -> JSONResponse:
        dropped = isinstance(error, EntriesDropped)
        return JSONResponse({"detail": str(error)}, 410 if dropped else 500)

    return app


async def _journal_lines(
    context: AppContext, source: str, session: int, after: int, follow: bool, progress: bool
) -> AsyncIterator[bytes]:
    """Yield the durable entries as lines; with ``follow`` until the session ends."""
    host, stopping = context.host, context.stopping
    reported = -1
    while True:
        until = host.durable_until
        try:
            page = await asyncio.to_thread(host.store.read, session, source, after, _PAGE)
        except StoreUnavailable:
            if not follow:
                # To end here would look like the end of the journal.
                raise
            return
        if page:
            after += len(page)
            yield b"".join(to_ndjson(entry) + b"\n" for entry in page)
        if progress and len(page) < _PAGE and until > reported and host.session_number == session:
            reported = until
            yield b'{"until":%d}\n' % until
        if page:
            continue
        if not follow or host.session_number != session or stopping.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(host.more_written(), _POLL_INTERVAL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _PAUSE)


class _HostMetrics(Collector):
    """Collects the metrics of a host when Prometheus scrapes them."""

    def __init__(self, service: str, host: Host) -> None:
        self._service = service
        self._host = host

    def collect(self) -> list[Metric]:
        """Return the present values."""
        host, service = self._host, self._service
        metrics: list[Metric] = [
            gauges("trading_ready", [((service,), 0.0 if host.ready else 1.0)])
        ]
        if host.ready == "starting":
            return metrics
        values = (
            ("journal_entries", host.journals[service].length),
            ("journal_unwritten", host.unwritten),
            ("sim_time_seconds", host.processed_until / 1e6),
            ("sim_speed", host.speed),
            ("sim_slipped_seconds", host.clock.slipped / 1e6),
        )
        metrics += [
            gauges(f"trading_{name}", [((service,), float(value))]) for name, value in values
        ]
        problems = host.dependencies().items()
        up = [((service, name), 0.0 if why else 1.0) for name, why in problems]
        metrics.append(gauges("trading_dependency_up", up))
        return metrics
