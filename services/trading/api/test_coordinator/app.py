"""Builds the test coordinator's app: list and save scenarios; start, watch and abort runs.
PUBLISHED and PROJECTIONS tell the host which messages to publish and which read models to maintain
for this app.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Body, Depends, Header, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from trading.api.test_coordinator.metrics import RunMetrics
from trading.api.test_coordinator.recordings import UploadedRecordings, add_recording_routes
from trading.api.test_coordinator.runs import TIMELINE, RunActive, Runs
from trading.api.test_coordinator.scenarios import NoSuchScenario, NotSaved, Scenarios
from trading.api.test_coordinator.timeline import Timeline
from trading.hosting.app import create_app
from trading.hosting.service_app import AppContext, ServiceApp
from trading.hosting.session import Session
from trading.hosting.session_control import (
    DISMISSED_INSTANCES,
    NETWORK_CHANGES,
    CannotOpen,
    SessionControl,
    TradingHalted,
)
from trading.hosting.tokens import Token
from trading.messages.chaos import PhaseChanged
from trading.messages.risk import AlertFired, PortfolioReported
from trading.scenario.errors import ScenarioError
from trading.scenario.model import MAX_KEY, MAX_OVERRIDES, MAX_VALUE
from trading.scenario.names import NAME_PATTERN
from trading.scenario.plan import RunPlan
from trading.scenario.signing import private_key

PUBLISHED = (PhaseChanged, AlertFired, PortfolioReported)


def timeline(session: Session) -> Timeline:
    """Return an empty timeline; the host feeds it with the messages of `session`."""
    return Timeline()


PROJECTIONS = {TIMELINE: timeline}


#: The most files that a scenario can name: one of its market, and one of each fault.
MAX_FILES = 33


class RunRequest(BaseModel):
    """What to run: a scenario by name, or its text."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"scenario": "market-crash", "seed": 7}]}
    )
    scenario: str | None = Field(
        default=None, pattern=NAME_PATTERN, description="A name from GET /scenarios."
    )
    text: str | None = Field(
        default=None, max_length=200_000, description="A ChaosScenario as YAML, instead."
    )
    seed: int | None = Field(default=None, ge=0, lt=2**63, description="Instead of the file's.")
    id: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]([-a-z0-9]{0,94}[a-z0-9])?$",
        description="Name of the run; where it is there already, it is answered and none begins.",
    )
    network: Literal["services", "platform"] = Field(
        default="services",
        description="Who plays partitions: the services alone, or the platform's network with them;"
        " then a partition counts only when a real connection fails.",
    )
    files: dict[
        Annotated[str, StringConstraints(max_length=500)],
        Annotated[str, StringConstraints(pattern=NAME_PATTERN)],
    ] = Field(
        default={},
        max_length=MAX_FILES,
        description="Names of files in text, and the recordings that were uploaded in their place.",
    )
    overrides: dict[
        Annotated[str, StringConstraints(max_length=MAX_KEY)],
        Annotated[str, StringConstraints(max_length=MAX_VALUE)],
    ] = Field(
        default={},
        max_length=MAX_OVERRIDES,
        description="Dotted paths in spec, as trading run --set.",
    )


class AbortRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="asked for by an operator", max_length=200)


def coordinator_app(
    context: AppContext,
    world: SessionControl,
    *,
    chaos_token: Token,
    speed: float,
    signing_key: SecretStr | None = None,
) -> ServiceApp:
    """Return the test coordinator's app.

    `world` opens sessions and sets the clock, of this process or of all services. Without
    `chaos_token` runs can only be read. `speed` is in simulated seconds per wall second and holds
    between runs. `signing_key` is an Ed25519 key as PEM that signs the verdicts; without it they
    are not signed.
    """
    host = context.host
    app = create_app(
        context,
        title="Test coordinator",
        description="Runs chaos scenarios against the ecosystem and judges them.",
    )
    key = private_key(signing_key.get_secret_value()) if signing_key is not None else None
    runs = Runs(host, world, speed, key)
    uploads = UploadedRecordings(host.store, lambda: scenario_store.forget_compiled())
    scenario_store = Scenarios(host.store, uploads.text_of)
    context.registry.register(RunMetrics(host, runs))

    def require_chaos_token(request: Request) -> None:
        context.access.require_token(request, chaos_token)

    add_recording_routes(app, uploads, require_chaos_token)

    @app.get("/scenarios", tags=["scenarios"], summary="Shipped scenarios, and your own")
    async def scenarios() -> list[dict[str, Any]]:
        return await scenario_store.list_all()

    @app.post(
        "/scenarios",
        status_code=201,
        tags=["scenarios"],
        summary="Keep a scenario of your own; a wrong one is refused with every mistake",
        dependencies=[Depends(require_chaos_token)],
        responses={
            401: {"description": "No token"},
            409: {"description": "A shipped name, or too many"},
        },
    )
    async def add_scenario(
        text: Annotated[str, Body(media_type="application/yaml", max_length=200_000)],
    ) -> dict[str, Any]:
        try:
            return await scenario_store.save(text)
        except NotSaved as error:
            raise HTTPException(409, str(error)) from error
        except ScenarioError as error:
            raise HTTPException(422, str(error)) from error

    @app.get("/runs", tags=["runs"], summary="All runs, newest first")
    async def list_runs() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(run) for run in runs.all()]

    @app.post(
        "/runs",
        status_code=202,
        tags=["runs"],
        summary="Begin a run; the ecosystem opens a new session with the scenario's world",
        dependencies=[Depends(require_chaos_token)],
        responses={
            401: {"description": "No token"},
            409: {"description": "Another run, or a halt that somebody has to reset"},
            503: {"description": "A service is not there"},
        },
    )
    async def begin(request: RunRequest, response: Response) -> dict[str, Any]:
        if request.id is not None and runs.get(request.id) is not None:
            return _run_or_404(runs, request.id)
        plan = await _plan(request, scenario_store)
        try:
            run_id = await runs.begin(
                plan, run_id=request.id or "", platform_cuts=request.network == "platform"
            )
        except (RunActive, TradingHalted) as error:
            raise HTTPException(409, str(error)) from error
        except CannotOpen as error:
            raise HTTPException(503, str(error)) from error
        response.headers["Location"] = f"/runs/{run_id}"
        return _run_or_404(runs, run_id)

    @app.get("/runs/{run_id}", tags=["runs"], summary="One run, with its verdict once it ended")
    async def get_run(run_id: str) -> dict[str, Any]:
        run = _run_or_404(runs, run_id)
        verdict = await asyncio.to_thread(runs.verdict, run_id)
        signed = await asyncio.to_thread(runs.signed, run_id)
        changes = await asyncio.to_thread(host.store.document, NETWORK_CHANGES, run_id)
        dismissed = await asyncio.to_thread(host.store.document, DISMISSED_INSTANCES, run_id)
        return {
            **run,
            "dismissed": msgspec.json.decode(dismissed or b"{}"),
            "real_network": msgspec.json.decode(changes or b"[]"),
            "verdict": msgspec.to_builtins(verdict) if verdict else None,
            "signed": msgspec.to_builtins(signed) if signed and verdict else None,
            "waiting_for": world.waiting_for() if run["id"] == runs.current else [],
            "waited": world.waited() if run_id == host.session.run_id else {},
        }

    @app.post(
        "/runs/{run_id}/abort",
        status_code=202,
        tags=["runs"],
        summary="Take every fault back at once",
        dependencies=[Depends(require_chaos_token)],
        responses={401: {"description": "No token"}, 409: {"description": "It has ended"}},
    )
    async def abort(run_id: str, request: AbortRequest) -> dict[str, Any]:
        _run_or_404(runs, run_id)
        if runs.current != run_id:
            raise HTTPException(409, f"run {run_id} has ended")
        await runs.abort(request.reason)
        return _run_or_404(runs, run_id)

    @app.get(
        "/runs/{run_id}/events",
        tags=["runs"],
        summary="Server-sent events: phases, faults, alerts, breaker, P&L, verdict",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def events(
        run_id: str, last_event_id: Annotated[str, Header(max_length=20)] = "0"
    ) -> StreamingResponse:
        _run_or_404(runs, run_id)
        after = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else 0
        stream = _events(context, runs, world, run_id, after)
        return StreamingResponse(stream, media_type="text/event-stream")

    return app


async def _events(
    context: AppContext, runs: Runs, world: SessionControl, run_id: str, after: int
) -> AsyncIterator[str]:
    """Yield the server-sent events of a run after the event with number `after`. The stream ends
    with the verdict, or when another session has begun. While simulated time stands still, an event
    about every second names the services that it waits for.
    """
    host, stopping = context.host, context.stopping
    sent_at = 0
    while not stopping.is_set():
        if host.session.run_id == run_id:
            timeline = runs.timeline
            for event in timeline.events[after:]:
                yield f"id: {event.id}\nevent: {event.kind}\ndata: {_json(event)}\n\n"
                after = event.id
            if timeline.at != sent_at:
                sent_at = timeline.at
                figures = {"at": timeline.at, "pnl": timeline.pnl, "firing": len(timeline.firing)}
                yield f"event: pnl\ndata: {json.dumps(figures)}\n\n"
            else:
                waiting = {"at": host.processed_until, "for": world.waiting_for()}
                yield f"event: waiting\ndata: {json.dumps(waiting)}\n\n"
        if runs.is_judged(run_id):
            verdict = await asyncio.to_thread(runs.verdict, run_id)
            yield f"event: verdict\ndata: {_json(verdict)}\n\n"
            return
        if host.session.run_id != run_id:
            return
        await runs.wait_for_change(1.0)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _run_or_404(runs: Runs, run_id: str) -> dict[str, Any]:
    """Return a run as JSON. Raises HTTPException 404 if there is no such run."""
    run = runs.get(run_id)
    if run is None:
        raise HTTPException(404, f"no run {run_id}; GET /runs lists them")
    fields: dict[str, Any] = msgspec.to_builtins(run)
    return fields


async def _plan(request: RunRequest, scenario_store: Scenarios) -> RunPlan:
    """Return the plan of the requested run. Raises HTTPException if the request or its scenario is
    invalid, or if there is no such scenario.
    """
    if request.files and request.text is None:
        raise HTTPException(422, "'files' belongs to 'text'")
    try:
        if request.text is not None and request.scenario is None:
            return await scenario_store.plan_of_text(
                request.text, request.seed, request.overrides, request.files
            )
        if request.scenario is not None and request.text is None:
            return await scenario_store.plan_by_name(
                request.scenario, request.seed, request.overrides
            )
    except NoSuchScenario as error:
        raise HTTPException(404, f"no scenario '{error}'; GET /scenarios lists them") from error
    except ScenarioError as error:
        raise HTTPException(422, str(error)) from error
    raise HTTPException(422, "give either 'scenario' or 'text'")
