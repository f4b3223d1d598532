"""Builds the audit correlator's app: chains, findings, timeline, evidence and the auditor's ledger
as JSON, a stream of changes at `/events`, and the audit page at `/`.
"""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles

from trading.api.audit_correlator import answers
from trading.api.audit_correlator.metrics import AuditMetrics
from trading.api.audit_correlator.stream import EventStream, session_info
from trading.audit_correlator import AuditCorrelator
from trading.hosting.access import NOT_READ
from trading.hosting.app import create_app
from trading.hosting.inputs import Unavailable
from trading.hosting.login_routes import add_login, page
from trading.hosting.service_app import AppContext, ServiceApp
from trading.runtime.journal import to_ndjson

STATIC = Path(__file__).parent / "static"
#: Most records in one answer.
MAX_RECORDS = 2_000

_After = Annotated[int, Query(ge=0, le=2**62, description="Line of the ledger to go on after.")]
_Limit = Annotated[int, Query(ge=1, le=MAX_RECORDS, description="Of the records, the newest.")]
_Source = Annotated[str, InPath(max_length=60, examples=["risk-monitor"])]
_Seq = Annotated[int, InPath(ge=1, le=2**62, description="Sequence number in its journal.")]


def audit_app(context: AppContext) -> ServiceApp:
    """Return the audit correlator's app."""
    host, access = context.host, context.access
    app = create_app(
        context,
        title="Audit correlator",
        description="Reads every journal, believes none of them, compares all.",
    )

    context.registry.register(AuditMetrics(host))
    stream = EventStream(context.stopping, host)

    def current() -> AuditCorrelator:
        return host.component(AuditCorrelator)

    async def when_durable(answer: Any) -> Any:
        """Return `answer` once the entries that it depends on are durable."""
        try:
            await host.durable()
        except Unavailable as error:
            raise HTTPException(503, f"not durable: {error}") from error
        return answer

    @app.get("/api/v1/chains", tags=["audit"], summary="Every journal as far as it was read")
    async def chains() -> dict[str, Any]:
        return {"session": host.session_number, "journals": answers.chains(current())}

    @app.get(
        "/api/v1/findings",
        tags=["audit"],
        summary="Discrepancies found so far",
        responses=NOT_READ,
        dependencies=[access.reads],
    )
    async def findings() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(d) for d in current().discrepancies()]

    @app.get(
        "/api/v1/correlations",
        tags=["audit"],
        summary="Injection, effect, alert, recovery: by fault",
    )
    async def correlations() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(c) for c in current().correlations()]

    @app.get(
        "/api/v1/report",
        tags=["audit"],
        summary="The newest report: completeness, root, coverage, discrepancies, false alarms",
        responses=NOT_READ,
        dependencies=[access.reads],
    )
    async def report() -> dict[str, Any]:
        return answers.report(current())

    @app.get(
        "/api/v1/timeline",
        tags=["timeline"],
        summary="What happened, in order, each with the journal entry that proves it",
        responses=NOT_READ,
        dependencies=[access.reads],
    )
    async def timeline(after: _After = 0, limit: _Limit = 500) -> dict[str, Any]:
        answer = {**session_info(host), **answers.timeline(current(), after, limit)}
        durable: dict[str, Any] = await when_durable(answer)
        return durable

    @app.get(
        "/api/v1/evidence/{source}/{seq}",
        tags=["timeline"],
        summary="An entry of the timeline as it is in its journal, with what its hash is made of",
        responses={404: {"description": "Not in the timeline, or forgotten."}, **NOT_READ},
        dependencies=[access.reads],
    )
    async def evidence(source: _Source, seq: _Seq) -> dict[str, Any]:
        record = current().timeline.record(source, seq)
        if record is None:
            detail = "not in the timeline; every entry is in its service's /journal"
            raise HTTPException(404, detail)
        durable: dict[str, Any] = await when_durable(answers.evidence(record))
        return durable

    @app.get(
        "/api/v1/ledger",
        tags=["timeline"],
        summary="The auditor's own hash-chained ledger, one JSON object a line",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/x-ndjson": {}}}, **NOT_READ},
        dependencies=[access.reads],
    )
    async def ledger(after: _After = 0) -> StreamingResponse:
        chain = current().timeline.ledger
        lines = [to_ndjson(line) + b"\n" for line in chain.after(after)]
        headers = {
            "X-Session": str(host.session_number),
            "X-First": str(chain.first),
            "X-Length": str(chain.length),
            "X-Head": chain.head.hex(),
        }
        body = await when_durable(iter(lines))
        return StreamingResponse(body, media_type="application/x-ndjson", headers=headers)

    @app.get(
        "/events",
        tags=["audit"],
        summary="Server-sent events: chains, report and ledger, whenever more has been read",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}},
            503: {"description": "Too many streams."},
            **NOT_READ,
        },
        dependencies=[access.reads],
    )
    async def events() -> StreamingResponse:
        if stream.full:
            raise HTTPException(503, "too many streams; close one, or try again later")
        return StreamingResponse(stream.events(), media_type="text/event-stream")

    @app.get("/", include_in_schema=False)
    async def audit_page(request: Request) -> Response:
        return page(request, access, STATIC / "index.html")

    add_login(app)

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
