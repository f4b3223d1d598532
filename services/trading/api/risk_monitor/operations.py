"""What an operator can do: acknowledge, silence, trip, reset. Answered once it is durable."""

from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path

from trading.api.risk_monitor import answers, models
from trading.api.risk_monitor.broadcast import Broadcast
from trading.api.risk_monitor.problems import refusals
from trading.api.risk_monitor.view import FIRING, RESOLVED
from trading.hosting.access import ACTS
from trading.hosting.host import Host
from trading.hosting.inputs import Unavailable
from trading.messages import Message
from trading.messages.risk import AcknowledgeAlert, ResetBreaker, SilenceRule, TripBreaker
from trading.risk_monitor import RULES
from trading.topology import RISK_MONITOR, SERVICES
from trading.units import SECOND
from trading.universe import Universe

ANY = "*"
PORTFOLIO = "portfolio"

AlertId = Annotated[str, Path(max_length=200, examples=["drawdown/portfolio/1"])]
RuleName = Annotated[str, Path(max_length=models.MAX_NAME, examples=["concentration"])]
Subject = Annotated[str, Path(max_length=models.MAX_NAME, examples=["BTC"])]


def subjects(rule: str, universe: Universe) -> list[str]:
    """All that a rule's alerts can be about."""
    return {
        "portfolio": [PORTFOLIO],
        "account": list(universe.firm_accounts),
        "asset": [a.name for a in universe.assets],
        "symbol": list(universe.symbols),
        "service": list(SERVICES[RISK_MONITOR].calls),
    }[RULES[rule].subject]


def add_operations(app: FastAPI, host: Host, broadcast: Broadcast) -> None:
    async def act(message: Message) -> None:
        try:
            await host.settled(host.command(RISK_MONITOR, message))
        except Unavailable as error:
            raise HTTPException(503, f"not acknowledged: {error}") from error

    @app.post(
        "/api/alerts/{alert_id:path}/acknowledge",
        tags=["alerts"],
        summary="Somebody looks after it",
        response_model=models.Alert,
        responses=refusals(401, 404, 409, 422, 429, 503),
        dependencies=[ACTS],
    )
    async def acknowledge(alert_id: AlertId, wanted: models.Acknowledge) -> dict[str, Any]:
        seen = broadcast.view.alerts.get(alert_id)
        if seen is None:
            raise HTTPException(404, "no such alert; GET /api/alerts lists them")
        if seen.state == RESOLVED:
            raise HTTPException(409, "the alert is resolved already; nothing is left to do")
        if seen.state == FIRING:
            await act(AcknowledgeAlert(alert_id, wanted.by))
        return answers.alert(seen)

    @app.post(
        "/api/silences",
        status_code=201,
        tags=["alerts"],
        summary="No new alert of a rule for a while; the breaker still acts on it",
        response_model=models.Silence,
        responses=refusals(401, 404, 422, 429, 503),
        dependencies=[ACTS],
    )
    async def silence(wanted: models.SilenceRequest) -> dict[str, Any]:
        check(wanted.rule, wanted.subject)
        until = host.kernel.now + wanted.seconds * SECOND
        await act(SilenceRule(wanted.rule, wanted.subject, until, wanted.by))
        broadcast.silences_changed()
        return {
            "rule": wanted.rule,
            "subject": wanted.subject,
            "until": answers.instant(until),
            "by": wanted.by,
        }

    @app.post(
        "/api/silences/{rule}/{subject}/end",
        tags=["alerts"],
        summary="Be told again; what has been silent until now fires",
        response_model=list[models.Silence],
        responses=refusals(401, 404, 422, 429, 503),
        dependencies=[ACTS],
    )
    async def end(rule: RuleName, subject: Subject, wanted: models.Acknowledge) -> list[Any]:
        monitor = host.component(RISK_MONITOR)
        known = [(s.rule, s.subject) for s in monitor.silences(host.kernel.now)]
        if (rule, subject) not in known:
            raise HTTPException(404, "no such silence; GET /api/silences lists them")
        await act(SilenceRule(rule, subject, host.kernel.now, wanted.by))
        broadcast.silences_changed()
        return answers.silences(monitor, host.kernel.now)

    @app.post(
        "/api/breaker/trip",
        tags=["breaker"],
        summary="REDUCING, or HALTED with the exchange's kill function",
        response_model=models.Breaker,
        responses=refusals(401, 422, 429, 503),
        dependencies=[ACTS],
    )
    async def trip(wanted: models.Trip) -> dict[str, Any]:
        await act(TripBreaker(wanted.state, wanted.reason, wanted.by))
        return answers.breaker(broadcast.view)

    @app.post(
        "/api/breaker/reset",
        tags=["breaker"],
        summary="Trade again, killed accounts too; needs a reason",
        response_model=models.Breaker,
        responses=refusals(401, 422, 429, 503),
        dependencies=[ACTS],
    )
    async def reset(wanted: models.Reset) -> dict[str, Any]:
        await act(ResetBreaker(wanted.reason, wanted.by))
        return answers.breaker(broadcast.view)

    def check(rule: str, subject: str) -> None:
        """A silence of something that cannot happen would only look like one."""
        if rule not in RULES:
            raise HTTPException(404, "no such rule; GET /api/rules lists them")
        known = subjects(rule, host.session.plan.universe)
        if subject != ANY and subject not in known:
            raise HTTPException(404, f"{rule} is about {', '.join(known)}, or '*' for any")
