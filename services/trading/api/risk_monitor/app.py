"""Builds the risk monitor's app: portfolio, exposures, limits, alerts, breaker and rules as JSON, a
stream of changes at `/events`, and the dashboard at `/`. PUBLISHED and PROJECTIONS tell the host
which messages to publish and which read models to maintain for this app.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Header, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles

from trading.api.risk_monitor import answers, models
from trading.api.risk_monitor.broadcast import PUBLISHED, VIEW, Broadcast
from trading.api.risk_monitor.metrics import RiskFigures, RiskMetrics
from trading.api.risk_monitor.operations import add_operations
from trading.api.risk_monitor.problems import add_error_handler, error_responses
from trading.api.risk_monitor.utilisation import exposures
from trading.api.risk_monitor.view import MAX_ALERTS, RiskView
from trading.hosting.app import create_app
from trading.hosting.login_routes import add_links, add_login, page
from trading.hosting.service_app import AppContext, ServiceApp
from trading.hosting.session import Session
from trading.risk_monitor.component import RiskMonitor

__all__ = ["PROJECTIONS", "PUBLISHED", "risk_app"]

STATIC = Path(__file__).parent / "static"

_EVENT_EXAMPLE = (
    "id: 1-52\n"
    'data: {"full":false,"session":1,"time":"2026-01-05T00:11:05.502Z","speed":1.0,"alerts":['
    '{"alert_id":"drawdown/portfolio/1","rule":"drawdown","subject":"portfolio","severity":'
    '"critical","state":"firing","observed":"2.0343 %","limit":"2 %"}]}\n\n'
)
_EVENTS = """Every event has one shape: `full`, `session`, `time`, `speed`, `alerts`, and of
`portfolio`, `exposures`, `health`, `breaker`, `silences` those that have changed. With `full` it
replaces what was known; otherwise `alerts` holds only those that have changed. Alerts and the
breaker are told at once, figures at most 20 times a second. `Last-Event-ID` goes on after an event
where that is still possible. A comment and an event with no change show that the stream is alive.
"""


def view(session: Session) -> RiskView:
    """Return an empty view; the host feeds it with the messages of `session`."""
    return RiskView()


PROJECTIONS = {VIEW: view}


def risk_app(context: AppContext) -> ServiceApp:
    """Return the risk monitor's app. The access of the context decides who may act, and who may see
    the firm's figures.
    """
    host, access = context.host, context.access
    app = create_app(
        context,
        title="Risk monitor",
        description="Watches the firm through production APIs only, and stops it when it must.",
    )
    broadcast = Broadcast(host)
    context.on_shutdown(broadcast.close)
    add_error_handler(app)

    def monitor() -> RiskMonitor:
        return host.component(RiskMonitor)

    def figures() -> RiskFigures | None:
        if host.ready:
            return None
        return RiskFigures(broadcast.view, monitor(), host.session.plan.universe)

    context.registry.register(RiskMetrics(figures))

    @app.get(
        "/api/portfolio",
        tags=["risk"],
        summary="Equity, P&L, drawdown, positions, marks, accounts",
        response_model=models.Portfolio,
        response_model_exclude_unset=True,
        responses=error_responses(401, 429),
        dependencies=[access.reads],
    )
    async def portfolio() -> dict[str, Any]:
        return answers.portfolio(broadcast.view, monitor(), host.session.plan.universe)

    @app.get(
        "/api/exposures",
        tags=["risk"],
        summary="What limits hold, and how much is used",
        response_model=list[models.Exposure],
        responses=error_responses(401, 429),
        dependencies=[access.reads],
    )
    async def exposure_list() -> list[dict[str, Any]]:
        return exposures(broadcast.view, monitor(), host.session.plan.universe)

    @app.get(
        "/api/limits",
        tags=["risk"],
        summary="Limit by rule",
        responses={
            200: {"content": {"application/json": {"example": {"drawdown": "2 %"}}}},
        },
    )
    async def limits() -> dict[str, str]:
        return {r["name"]: r["limit"] for r in answers.rules(monitor()) if r["enabled"]}

    @app.get(
        "/api/rules", tags=["risk"], summary="The rule table", response_model=list[models.Rule]
    )
    async def rules() -> list[dict[str, Any]]:
        return answers.rules(monitor())

    @app.get(
        "/api/health",
        tags=["risk"],
        summary="Venues and feeds, as the monitor sees them",
        response_model=models.Health,
    )
    async def health() -> dict[str, Any]:
        return answers.health(monitor(), host.processed_until)

    @app.get(
        "/api/curves",
        tags=["risk"],
        summary="P&L and prices over the session",
        response_model=models.Curves,
        responses=error_responses(401, 429),
        dependencies=[access.reads],
    )
    async def curves() -> dict[str, Any]:
        return answers.curves(broadcast.view, host.session_number)

    @app.get(
        "/api/alerts",
        tags=["alerts"],
        summary="Open ones first, newest first",
        response_model=list[models.Alert],
        responses=error_responses(422),
    )
    async def alerts(
        state: Annotated[
            Literal["", "firing", "acknowledged", "resolved"], Query(description="Empty: all.")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=MAX_ALERTS)] = MAX_ALERTS,
    ) -> list[dict[str, Any]]:
        return answers.alerts(broadcast.view, state)[:limit]

    @app.get(
        "/api/alerts/{alert_id:path}",
        tags=["alerts"],
        summary="One alert",
        response_model=models.Alert,
        responses=error_responses(404, 422),
    )
    async def alert(
        alert_id: Annotated[str, InPath(max_length=200, examples=["drawdown/portfolio/1"])],
    ) -> dict[str, Any]:
        alert = broadcast.view.alerts.get(alert_id)
        if alert is None:
            raise HTTPException(404, "no such alert; GET /api/alerts lists them")
        return answers.alert(alert)

    @app.get(
        "/api/silences",
        tags=["alerts"],
        summary="The silences in force",
        response_model=list[models.Silence],
    )
    async def silences() -> list[dict[str, Any]]:
        return answers.silences(monitor(), host.processed_until)

    @app.get(
        "/api/breaker",
        tags=["breaker"],
        summary="State, and how it came to it",
        response_model=models.Breaker,
    )
    async def breaker() -> dict[str, Any]:
        return answers.breaker(broadcast.view)

    add_login(app)
    add_links(app)
    add_operations(app, broadcast)

    @app.get(
        "/events",
        tags=["risk"],
        summary="Server-sent events: everything the dashboard shows, when it changes",
        description=_EVENTS,
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {"example": _EVENT_EXAMPLE}}},
            **error_responses(401, 422, 429, 503),
        },
        dependencies=[access.reads],
    )
    async def events(
        last_event_id: Annotated[str, Header(max_length=40, examples=["1-52"])] = "",
    ) -> StreamingResponse:
        if broadcast.full:
            raise HTTPException(503, "too many streams; close one, or try again later")
        stream = broadcast.stream(last_event_id)
        return StreamingResponse(stream, media_type="text/event-stream")

    @app.get("/", include_in_schema=False)
    async def dashboard(request: Request) -> Response:
        return page(request, access, STATIC / "index.html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
