"""What an operator can do: acknowledge alerts, silence rules, trip and reset the breaker. A request
is answered once its effect is durable.
"""

from typing import Annotated, Any

from fastapi import HTTPException, Path

from trading.api.risk_monitor import answers, models
from trading.api.risk_monitor.broadcast import Broadcast
from trading.api.risk_monitor.problems import error_responses
from trading.api.risk_monitor.view import FIRING, RESOLVED
from trading.hosting.inputs import Unavailable
from trading.hosting.service_app import ServiceApp
from trading.messages import Message
from trading.messages.risk import AcknowledgeAlert, ResetBreaker, SilenceRule, TripBreaker
from trading.risk_monitor import RULES, RiskMonitor
from trading.topology import RISK_MONITOR, SERVICES
from trading.units import SECOND, format_instant
from trading.universe import Universe

#: Subject of a silence that holds for all subjects of its rule.
ANY = "*"
#: Subject of rules about the firm as a whole.
PORTFOLIO = "portfolio"

AlertId = Annotated[str, Path(max_length=200, examples=["drawdown/portfolio/1"])]
RuleName = Annotated[str, Path(max_length=models.MAX_NAME, examples=["concentration"])]
Subject = Annotated[str, Path(max_length=models.MAX_NAME, examples=["BTC"])]


def subjects(rule: str, universe: Universe) -> list[str]:
    """Return all subjects that alerts of `rule` can be about."""
    return {
        "portfolio": [PORTFOLIO],
        "account": list(universe.firm_accounts),
        "asset": [a.name for a in universe.assets],
        "symbol": list(universe.symbols),
        "service": list(SERVICES[RISK_MONITOR].calls),
    }[RULES[rule].subject]


def add_operations(app: ServiceApp, broadcast: Broadcast) -> None:
    """Add the operations to `app`. They send commands to the risk monitor on its host; the answers
    show the durable view of `broadcast`.
    """
    host, acts = app.context.host, app.context.access.acts

    async def execute(message: Message) -> None:
        """Send a command and wait until its effect is durable. Raises HTTPException 503."""
        try:
            await host.committed(host.command(RISK_MONITOR, message))
        except Unavailable as error:
            raise HTTPException(503, f"not acknowledged: {error}") from error

    @app.post(
        "/api/alerts/{alert_id:path}/acknowledge",
        tags=["alerts"],
        summary="Somebody looks after it",
        response_model=models.Alert,
        responses=error_responses(401, 404, 409, 422, 429, 503),
        dependencies=[acts],
    )
    async def acknowledge(alert_id: AlertId, request: models.Acknowledge) -> dict[str, Any]:
        alert = broadcast.view.alerts.get(alert_id)
        if alert is None:
            raise HTTPException(404, "no such alert; GET /api/alerts lists them")
        if alert.state == RESOLVED:
            raise HTTPException(409, "the alert is resolved already; nothing is left to do")
        if alert.state == FIRING:
            await execute(AcknowledgeAlert(alert_id, request.by))
        return answers.alert(alert)

    @app.post(
        "/api/silences",
        status_code=201,
        tags=["alerts"],
        summary="No new alert of a rule for a while; the breaker still acts on it",
        response_model=models.Silence,
        responses=error_responses(401, 404, 422, 429, 503),
        dependencies=[acts],
    )
    async def silence(request: models.SilenceRequest) -> dict[str, Any]:
        check_subject(request.rule, request.subject)
        until = host.processed_until + request.seconds * SECOND
        await execute(SilenceRule(request.rule, request.subject, until, request.by))
        broadcast.silences_changed()
        return {
            "rule": request.rule,
            "subject": request.subject,
            "until": format_instant(until),
            "by": request.by,
        }

    @app.post(
        "/api/silences/{rule}/{subject}/end",
        tags=["alerts"],
        summary="Be told again; what has been silent until now fires",
        response_model=list[models.Silence],
        responses=error_responses(401, 404, 422, 429, 503),
        dependencies=[acts],
    )
    async def end(rule: RuleName, subject: Subject, request: models.Acknowledge) -> list[Any]:
        monitor = host.component(RiskMonitor)
        active = [(s.rule, s.subject) for s in monitor.silences(host.processed_until)]
        if (rule, subject) not in active:
            raise HTTPException(404, "no such silence; GET /api/silences lists them")
        await execute(SilenceRule(rule, subject, host.processed_until, request.by))
        broadcast.silences_changed()
        return answers.silences(monitor, host.processed_until)

    @app.post(
        "/api/breaker/trip",
        tags=["breaker"],
        summary="REDUCING, or HALTED with the exchange's kill function",
        response_model=models.Breaker,
        responses=error_responses(401, 422, 429, 503),
        dependencies=[acts],
    )
    async def trip(request: models.Trip) -> dict[str, Any]:
        await execute(TripBreaker(request.state, request.reason, request.by))
        return answers.breaker(broadcast.view)

    @app.post(
        "/api/breaker/reset",
        tags=["breaker"],
        summary="Trade again, killed accounts too; needs a reason",
        response_model=models.Breaker,
        responses=error_responses(401, 422, 429, 503),
        dependencies=[acts],
    )
    async def reset(request: models.Reset) -> dict[str, Any]:
        await execute(ResetBreaker(request.reason, request.by))
        return answers.breaker(broadcast.view)

    def check_subject(rule: str, subject: str) -> None:
        """Raise HTTPException 404 for an unknown rule or subject: silencing it would have no
        effect, and the operator would not notice.
        """
        if rule not in RULES:
            raise HTTPException(404, "no such rule; GET /api/rules lists them")
        possible = subjects(rule, host.session.plan.universe)
        if subject != ANY and subject not in possible:
            raise HTTPException(404, f"{rule} is about {', '.join(possible)}, or '*' for any")
