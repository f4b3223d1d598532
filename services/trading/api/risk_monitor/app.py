"""Portfolio, exposures, limits, alerts, breaker, rules; live events; the dashboard at ``/``."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from trading.api.risk_monitor import answers
from trading.api.risk_monitor.view import ACKNOWLEDGED, FIRING, RESOLVED, RiskView
from trading.hosting.app import create_app
from trading.hosting.guard import require_token
from trading.hosting.host import Host, Unavailable
from trading.hosting.session import Session
from trading.messages import Message
from trading.messages.risk import (
    ACTIVE,
    HALTED,
    REDUCING,
    AcknowledgeAlert,
    ResetBreaker,
    SilenceRule,
    TripBreaker,
)
from trading.risk_monitor import RULES
from trading.topology import RISK_MONITOR
from trading.units import DAY, SECOND, parse_units

VIEW = "risk-monitor/view"
STATIC = Path(__file__).parent / "static"
#: Wall seconds between two events of a stream, and between signs of life where nothing happens.
EVERY = 0.5
KEEP_ALIVE = 10.0


def view(session: Session) -> RiskView:
    return RiskView()


PROJECTIONS = {VIEW: view}


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")
    by: str = Field(min_length=1, max_length=60, description="Who does it.", examples=["desk-1"])


class Acknowledge(_Request):
    pass


class Silence(_Request):
    rule: str = Field(max_length=60, examples=["concentration"])
    subject: str = Field(default="*", max_length=60, description='"*": any')
    seconds: int = Field(ge=1, le=7 * 86400, description="Simulated seconds from now.")


class Trip(_Request):
    state: Literal["REDUCING", "HALTED"] = HALTED  # type: ignore[assignment]
    reason: str = Field(min_length=1, max_length=200)


class Reset(_Request):
    reason: str = Field(min_length=1, max_length=200)


def risk_app(host: Host, *, risk_token: SecretStr | None) -> FastAPI:
    """``risk_token``: who knows it may act; None: everybody who can connect may."""
    app = create_app(
        RISK_MONITOR,
        host,
        title="Risk monitor",
        description="Watches the firm through production APIs only, and stops it when it must.",
    )
    app.state.registry.register(_Metrics(host))

    def allowed(request: Request) -> None:
        if risk_token is not None:
            require_token(request, risk_token, "RISK_TOKEN")

    def current() -> RiskView:
        found: RiskView = host.projection(VIEW)
        return found

    async def act(message: Message) -> None:
        try:
            await host.settled(host.send(RISK_MONITOR, message))
        except Unavailable as error:
            raise HTTPException(503, f"not acknowledged: {error}") from error

    @app.get("/api/portfolio", tags=["risk"], summary="Equity, P&L, drawdown, positions, marks")
    async def portfolio() -> dict[str, Any]:
        return answers.portfolio(current())

    @app.get("/api/exposures", tags=["risk"], summary="What limits hold, and how much is used")
    async def exposures() -> list[dict[str, Any]]:
        universe = host.session.plan.universe
        return answers.exposures(current(), host.component(RISK_MONITOR), universe)

    @app.get("/api/limits", tags=["risk"], summary="Limit by rule")
    async def limits() -> dict[str, str]:
        found = answers.rules(host.component(RISK_MONITOR))
        return {r["name"]: r["limit"] for r in found if r["enabled"]}

    @app.get("/api/rules", tags=["risk"], summary="The rule table")
    async def rules() -> list[dict[str, Any]]:
        return answers.rules(host.component(RISK_MONITOR))

    @app.get("/api/health", tags=["risk"], summary="Venues and feeds, as the monitor sees them")
    async def health() -> dict[str, Any]:
        return answers.health(host.component(RISK_MONITOR), host.kernel.now)

    @app.get("/api/curves", tags=["risk"], summary="P&L and prices over the session")
    async def curves() -> dict[str, Any]:
        return answers.curves(current())

    @app.get("/api/alerts", tags=["alerts"], summary="Open ones first, newest first")
    async def alerts(
        state: Annotated[Literal["", "firing", "acknowledged", "resolved"], Query()] = "",
    ) -> list[dict[str, Any]]:
        return answers.alerts(current(), state)

    @app.post(
        "/api/alerts/{alert_id:path}/acknowledge",
        tags=["alerts"],
        summary="Somebody looks after it",
        dependencies=[Depends(allowed)],
    )
    async def acknowledge(alert_id: str, wanted: Acknowledge) -> dict[str, Any]:
        seen = current().alerts.get(alert_id)
        if seen is None:
            raise HTTPException(404, f"no alert {alert_id}")
        if seen.state == RESOLVED:
            raise HTTPException(409, f"alert {alert_id} is resolved")
        if seen.state == FIRING:
            await act(AcknowledgeAlert(alert_id, wanted.by))
        return answers.alert(seen)

    @app.post(
        "/api/silences",
        status_code=201,
        tags=["alerts"],
        summary="No new alert of a rule for a while",
        dependencies=[Depends(allowed)],
    )
    async def silence(wanted: Silence) -> dict[str, Any]:
        if wanted.rule not in RULES:
            raise HTTPException(404, f"no rule {wanted.rule}; GET /api/rules lists them")
        until = host.kernel.now + min(wanted.seconds * SECOND, 7 * DAY)
        await act(SilenceRule(wanted.rule, wanted.subject, until, wanted.by))
        until_text = answers.instant(until)
        return {"rule": wanted.rule, "subject": wanted.subject, "until": until_text}

    @app.get("/api/breaker", tags=["breaker"], summary="State, and how it came to it")
    async def breaker() -> dict[str, Any]:
        return answers.breaker(current())

    @app.post(
        "/api/breaker/trip",
        tags=["breaker"],
        summary="REDUCING, or HALTED with the exchange's kill function",
        dependencies=[Depends(allowed)],
    )
    async def trip(wanted: Trip) -> dict[str, Any]:
        await act(TripBreaker(wanted.state, wanted.reason, wanted.by))
        return answers.breaker(current())

    @app.post(
        "/api/breaker/reset",
        tags=["breaker"],
        summary="Trade again; needs a reason",
        dependencies=[Depends(allowed)],
    )
    async def reset(wanted: Reset) -> dict[str, Any]:
        await act(ResetBreaker(wanted.reason, wanted.by))
        return answers.breaker(current())

    @app.get(
        "/events",
        tags=["risk"],
        summary="Server-sent events: everything the dashboard shows, whenever it changes",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def events() -> StreamingResponse:
        return StreamingResponse(_events(app, host), media_type="text/event-stream")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


async def _events(app: FastAPI, host: Host) -> AsyncIterator[str]:
    stopping: asyncio.Event = app.state.stopping
    told, quiet = (-1, -1), 0.0
    while not stopping.is_set():
        found: RiskView = host.projection(VIEW)
        version = (host.live.number, found.version)
        if version != told:
            told, quiet = version, 0.0
            yield f"id: {version[0]}-{version[1]}\ndata: {json.dumps(_snapshot(host, found))}\n\n"
        elif quiet >= KEEP_ALIVE:
            quiet = 0.0
            yield ": still here\n\n"
        quiet += EVERY
        try:
            await asyncio.wait_for(stopping.wait(), EVERY)
        except TimeoutError:
            continue


def _snapshot(host: Host, found: RiskView) -> dict[str, Any]:
    monitor = host.component(RISK_MONITOR)
    return {
        "session": host.live.number,
        "speed": host.clock.speed,
        "portfolio": answers.portfolio(found),
        "exposures": answers.exposures(found, monitor, host.session.plan.universe),
        "alerts": answers.alerts(found)[:50],
        "breaker": answers.breaker(found),
        "health": answers.health(monitor, host.kernel.now),
    }


class _Metrics(Collector):
    """Named ``risk_monitor_*``; money in USD."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def collect(self) -> list[Metric]:
        if self._host.ready == "starting":
            return []
        found: RiskView = self._host.projection(VIEW)
        states = (ACTIVE, REDUCING, HALTED)
        made: list[Metric] = [
            _gauge("breaker_state", "0 ACTIVE, 1 REDUCING, 2 HALTED", states.index(found.breaker))
        ]
        firing = GaugeMetricFamily(
            "risk_monitor_alerts", "Alerts that are not resolved", labels=["rule", "state"]
        )
        counts: dict[tuple[str, str], int] = {}
        for alert in found.alerts.values():
            if alert.state in (FIRING, ACKNOWLEDGED):
                key = (alert.rule, alert.state)
                counts[key] = counts.get(key, 0) + 1
        for (rule, state), count in counts.items():
            firing.add_metric([rule, state], count)
        made.append(firing)
        report = found.portfolio
        if report is not None:
            one = parse_units("1")
            made += [
                _gauge("portfolio_pnl", "P&L since the session opened, USD", report.pnl / one),
                _gauge("portfolio_equity", "Equity, USD", report.equity / one),
                _gauge("portfolio_drawdown_ratio", "Fall from the peak", report.drawdown_ppm / 1e6),
                _gauge("gross_exposure", "Value of all coins, USD", report.gross / one),
                _gauge("net_exposure", "Net value of all coins, USD", report.net / one),
                _gauge("value_at_risk", "99 % one-day value at risk, USD", report.var / one),
            ]
        return made


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"risk_monitor_{name}", text, value)
