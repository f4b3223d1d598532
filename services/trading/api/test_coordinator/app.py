"""The scenario API: list, run, watch, abort."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from trading.api.test_coordinator.metrics import RunMetrics
from trading.api.test_coordinator.runs import TIMELINE, RunActive, Runs
from trading.api.test_coordinator.timeline import Timeline
from trading.embedded.api import load_scenario, load_scenario_text
from trading.embedded.library import shipped
from trading.hosting.app import create_app
from trading.hosting.guard import require_token
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.world import CannotOpen, World
from trading.messages.chaos import PhaseChanged
from trading.messages.risk import AlertFired, PortfolioReported
from trading.scenario.errors import ScenarioError
from trading.scenario.model import NAME_PATTERN
from trading.scenario.plan import RunPlan
from trading.topology import TEST_COORDINATOR

PUBLISHED = (PhaseChanged, AlertFired, PortfolioReported)
SCENARIO = "scenario"


def timeline(session: Session) -> Timeline:
    return Timeline()


PROJECTIONS = {TIMELINE: timeline}


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
    overrides: dict[str, str] = Field(
        default={}, max_length=100, description="Dotted paths in spec, as trading run --set."
    )


class AbortRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="asked for by an operator", max_length=200)


def coordinator_app(
    host: Host, world: World, *, chaos_token: SecretStr | None, speed: float
) -> FastAPI:
    """``chaos_token``: None where no chaos is allowed; then runs can only be looked at.
    ``speed``: simulated seconds per wall second between runs.
    """
    app = create_app(
        TEST_COORDINATOR,
        host,
        title="Test coordinator",
        description="Runs chaos scenarios against the ecosystem and judges them.",
    )
    runs = Runs(host, world, speed)
    app.state.registry.register(RunMetrics(host, runs))

    def allowed(request: Request) -> None:
        require_token(request, chaos_token, "CHAOS_TOKEN")

    @app.get("/scenarios", tags=["scenarios"], summary="Shipped scenarios, and your own")
    async def scenarios() -> list[dict[str, Any]]:
        found = [_listed(load_scenario(name).plan, "shipped") for name in shipped()]
        own = await asyncio.to_thread(host.store.documents, SCENARIO)
        return found + [_listed(_load_text(text.decode()), "own") for text in own.values()]

    @app.post(
        "/scenarios",
        status_code=201,
        tags=["scenarios"],
        summary="Keep a scenario of your own; a wrong one is refused with every mistake",
        dependencies=[Depends(allowed)],
        responses={401: {"description": "No token"}, 409: {"description": "A shipped name"}},
    )
    async def add_scenario(
        text: Annotated[str, Body(media_type="application/yaml", max_length=200_000)],
    ) -> dict[str, Any]:
        plan = _load_text(text)
        if plan.name in shipped():
            raise HTTPException(409, f"'{plan.name}' is a shipped scenario; choose another name")
        await asyncio.to_thread(host.store.put, SCENARIO, plan.name, text.encode())
        return _listed(plan, "own")

    @app.get("/runs", tags=["runs"], summary="All runs, newest first")
    async def list_runs() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(run) for run in await asyncio.to_thread(runs.all)]

    @app.post(
        "/runs",
        status_code=202,
        tags=["runs"],
        summary="Begin a run; the ecosystem opens a new session with the scenario's world",
        dependencies=[Depends(allowed)],
        responses={
            401: {"description": "No token"},
            409: {"description": "Another run"},
            503: {"description": "A service is not there"},
        },
    )
    async def begin(wanted: RunRequest, response: Response) -> dict[str, Any]:
        if wanted.id is not None and await asyncio.to_thread(runs.get, wanted.id) is not None:
            return _found(runs, wanted.id)
        plan = _plan(wanted, await asyncio.to_thread(host.store.documents, SCENARIO))
        try:
            run_id = await runs.begin(
                plan, run_id=wanted.id or "", platform_cuts=wanted.network == "platform"
            )
        except RunActive as error:
            raise HTTPException(409, str(error)) from error
        except CannotOpen as error:
            raise HTTPException(503, str(error)) from error
        response.headers["Location"] = f"/runs/{run_id}"
        return _found(runs, run_id)

    @app.get("/runs/{run_id}", tags=["runs"], summary="One run, with its verdict once it ended")
    async def get_run(run_id: str) -> dict[str, Any]:
        found = _found(runs, run_id)
        verdict = runs.verdict(run_id)
        return {**found, "verdict": msgspec.to_builtins(verdict) if verdict else None}

    @app.post(
        "/runs/{run_id}/abort",
        status_code=202,
        tags=["runs"],
        summary="Take every fault back at once",
        dependencies=[Depends(allowed)],
        responses={401: {"description": "No token"}, 409: {"description": "It has ended"}},
    )
    async def abort(run_id: str, wanted: AbortRequest) -> dict[str, Any]:
        _found(runs, run_id)
        if runs.current != run_id:
            raise HTTPException(409, f"run {run_id} has ended")
        await runs.abort(wanted.reason)
        return _found(runs, run_id)

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
        _found(runs, run_id)
        after = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else 0
        stream = _events(app, host, runs, run_id, after)
        return StreamingResponse(stream, media_type="text/event-stream")

    return app


async def _events(
    app: FastAPI, host: Host, runs: Runs, run_id: str, after: int
) -> AsyncIterator[str]:
    """Ends with the verdict, or when another session has begun."""
    stopping: asyncio.Event = app.state.stopping
    told = 0
    while not stopping.is_set():
        if host.session.run_id == run_id:
            line = runs.timeline
            for event in line.events[after:]:
                yield f"id: {event.id}\nevent: {event.kind}\ndata: {_json(event)}\n\n"
                after = event.id
            if line.at != told:
                told = line.at
                figures = {"at": line.at, "pnl": line.pnl, "firing": len(line.firing)}
                yield f"event: pnl\ndata: {json.dumps(figures)}\n\n"
        verdict = await asyncio.to_thread(runs.verdict, run_id)
        if verdict is not None:
            yield f"event: verdict\ndata: {_json(verdict)}\n\n"
            return
        if host.session.run_id != run_id:
            return
        await runs.changed(1.0)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _found(runs: Runs, run_id: str) -> dict[str, Any]:
    run = runs.get(run_id)
    if run is None:
        raise HTTPException(404, f"no run {run_id}; GET /runs lists them")
    built: dict[str, Any] = msgspec.to_builtins(run)
    return built


def _plan(wanted: RunRequest, own: dict[str, bytes]) -> RunPlan:
    if (wanted.scenario is None) == (wanted.text is None):
        raise HTTPException(422, "give either 'scenario' or 'text'")
    if wanted.text is not None:
        return _load_text(wanted.text, wanted.seed, wanted.overrides)
    name = wanted.scenario or ""
    if name in own:
        return _load_text(own[name].decode(), wanted.seed, wanted.overrides)
    if name not in shipped():
        raise HTTPException(404, f"no scenario '{name}'; GET /scenarios lists them")
    try:
        return load_scenario(name, seed=wanted.seed, overrides=wanted.overrides).plan
    except ScenarioError as error:
        raise HTTPException(422, str(error)) from error


def _load_text(
    text: str, seed: int | None = None, overrides: dict[str, str] | None = None
) -> RunPlan:
    """Nothing on this machine may be read by a scenario that came over the network."""
    name = Path("scenario.yaml")
    try:
        loaded = load_scenario_text(text, name, seed=seed, overrides=overrides or {}, files=False)
    except ScenarioError as error:
        raise HTTPException(422, str(error)) from error
    return loaded.plan


def _listed(plan: RunPlan, source: str) -> dict[str, Any]:
    return {
        "name": plan.name,
        "description": plan.description,
        "source": source,
        "seed": plan.seed,
        "faults": [{"name": f.name, "kind": f.kind} for f in plan.faults],
        "expectations": [e.label for e in plan.expectations],
    }
