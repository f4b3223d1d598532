"""The reference pages are complete, and their examples are valid."""

import asyncio
import inspect
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import httpx
import msgspec
import pytest
import yaml
from fastapi.routing import APIRoute

from tools.crd import definition
from tools.reference import evidence, http, monitors, resource, scenario, verdict
from tools.reference.evidence_fields import FIELDS
from tools.reference.scenario_examples import EXAMPLES, MODES
from trading.embedded.api import load_scenario, load_submitted
from trading.hosting.access import Access
from trading.monitors import Event
from trading.scenario import platform
from trading.scenario import verdict as rules
from trading.scenario.faults import Model
from trading.scenario.plan import NETWORK
from trading.scenario.recordings import Uploads
from trading.scenario.result import Phase
from trading.topology import SERVICES

CSV = {
    "prices.csv": "time,symbol,price\n2026-01-05T00:00:00Z,BTC,65000\n2026-01-05T03:00:00Z,BTC,1\n",
    "candles.csv": "time,close\n2026-01-05T00:00:00Z,65000\n2026-01-05T03:00:00Z,64000\n",
    "peg.csv": "time,close,price\n2023-03-11T00:00:00Z,0.99,0.99\n2023-03-11T00:05:00Z,0.9,0.9\n",
}


#: The recordings that the examples name as uploaded.
UPLOADED = {"crash-2020-03-12": CSV["prices.csv"], "usdc-2023-03": CSV["peg.csv"]}


def models(base: type[Model] = Model) -> list[type[Model]]:
    """Return all subclasses of a scenario model."""
    return [model for sub in base.__subclasses__() for model in (sub, *models(sub))]


def test_every_model_and_every_field_of_a_scenario_is_there() -> None:
    documented = {model.__name__ for model, _ in scenario.SECTIONS.values()}
    existing = {
        model.__name__ for model in models() if model.__module__.startswith("trading.scenario")
    }
    assert existing == documented
    fields = {f"{m.__name__}.{f}" for m, _ in scenario.SECTIONS.values() for f in scenario.names(m)}
    assert fields == set(EXAMPLES)


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path != "ChaosScenario.spec"])
def test_examples_are_taken_by_the_real_loader(path: str, tmp_path: Path) -> None:
    name, field = path.split(".")
    example = EXAMPLES[path]
    assert field in yaml.safe_load(example), f"the example of {path} does not use it"
    for csv, text in CSV.items():
        (tmp_path / csv).write_text(text, encoding="utf-8")
    file = tmp_path / "scenario.yaml"
    document = scenario.document(name, example)
    for override in document["spec"].get("overrides", ()):
        document["spec"]["recovery"] = {"within": override.partition("=")[2]}
    text = yaml.safe_dump(document)
    if field == "recording":
        load_submitted(text, uploads=Uploads(UPLOADED.get))
        return
    file.write_text(text, encoding="utf-8")
    load_scenario(file)


@pytest.mark.parametrize("name", MODES)
def test_every_mode_of_a_fault_is_explained(name: str) -> None:
    fault_model, _ = scenario.SECTIONS[name]
    assert list(get_args(get_type_hints(fault_model)["mode"])) == list(MODES[name])


def test_every_fault_with_modes_has_them_explained() -> None:
    with_modes = {
        fault_model.__name__
        for fault_model, title in scenario.SECTIONS.values()
        if "." not in title and get_origin(get_type_hints(fault_model).get("mode")) is Literal
    }
    assert with_modes == set(MODES)


@pytest.mark.parametrize("kind", scenario.PLAYED_BY)
def test_the_page_names_who_plays_a_fault(kind: str) -> None:
    player = scenario.PLAYED_BY[kind]
    target = scenario.target(kind)
    assert player.startswith("all services" if target == NETWORK else target)


@pytest.mark.parametrize("case", verdict.CASES, ids=lambda case: case.what)
def test_verdict_rules_are_what_judge_says(case: verdict.Case) -> None:
    assert verdict.verdict_of(case).outcome in case.group.split(" and ")


def test_every_reason_that_judge_can_give_has_a_case() -> None:
    """Every text that can become a reason of the verdict is in the result of one case."""
    reasons = "\n".join(
        reason for case in verdict.CASES for reason in verdict.verdict_of(case).reasons
    )
    source = inspect.getsource(rules) + inspect.getsource(platform)
    for words in (
        "no steady state within",
        "no evidence that",
        "ended early",
        "audit is incomplete",
        "entries were lost, and their loss accepted",
        "came after",
        "was never seen",
        "promql needs a Prometheus",
        "the rule is switched off",
        "it also fires without the fault",
        "it also trips without the fault",
        "before the injection: no detection",
        "never came",
        "risk monitor was silent for",
        "no recovery:",
        "aborted:",
        "no expectation",
        "the risk monitor was not there",
        "the monitor was not there",
        "the platform did not connect again",
    ):
        assert words in source, f"judge no longer says: {words}"
        assert words in reasons, f"no case has the reason: {words}"


def test_every_operation_says_who_may_call_it() -> None:
    """A request without a token is refused exactly if the page names a token."""
    wrong = asyncio.run(_wrong_labels())
    assert wrong == []


async def _wrong_labels() -> list[str]:
    wrong = []
    for service in SERVICES:
        app = http.apps()[service]
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{service}") as client:
            for operation in http.operations(service):
                refused = await _is_refused(client, operation)
                needs = operation.who not in (http.ANYBODY, http.KEY, http.TRADING_KEY)
                if refused != needs:
                    wrong.append(f"{service} {operation.method} {operation.path}: {operation.who}")
    return wrong


async def _is_refused(client: httpx.AsyncClient, operation: http.Operation) -> bool:
    path = operation.path
    for name in ("alert_id", "rule", "subject", "run_id", "source"):
        path = path.replace(f"{{{name}}}", "x")
    content = operation.described.get("requestBody", {}).get("content", {})
    media = next(iter(content), "application/json")
    response = client.request(
        operation.method, path.replace("{seq}", "1"), headers={"content-type": media}, content="{}"
    )
    try:
        return (await asyncio.wait_for(response, 2)).status_code == 401
    except TimeoutError:
        return False


def test_routes_that_ask_for_a_token_in_their_own_code_are_known() -> None:
    asking = {
        route.path_format
        for app in http.apps().values()
        for route in app.routes
        if isinstance(route, APIRoute)
        and route.include_in_schema
        and any(word in inspect.getsource(route.endpoint) for word in ("may_read", "may_act"))
    }
    assert asking == set(http.CHECKED_IN_CODE)
    access = Access()
    assert access.reads.dependency != access.acts.dependency


def test_every_field_of_the_verdict_is_explained() -> None:
    existing = {
        f"{struct.__name__}.{name}"
        for struct, _ in evidence.CLASSES
        for name in struct.__struct_fields__
    }
    assert existing == set(FIELDS)


def test_every_class_in_the_verdict_has_a_section() -> None:
    todo: list[Any] = [evidence.CLASSES[0][0]]
    structs: set[Any] = set()
    while todo:
        hint = todo.pop()
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint not in structs:
            structs.add(hint)
            todo += get_type_hints(hint).values()
        todo += get_args(hint)
    assert structs == {struct for struct, _ in evidence.CLASSES}


def test_every_event_and_answer_of_a_monitor_has_a_section() -> None:
    existing = {
        struct
        for module in monitors.MODULES
        for struct in vars(module).values()
        if inspect.isclass(struct) and issubclass(struct, msgspec.Struct) and struct is not Event
    }
    assert existing == monitors.DOCUMENTED


def test_the_resource_page_has_every_field_phase_condition_and_event() -> None:
    (version,) = definition()["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert [path for path, _, _ in resource.fields(status)] == list(resource.STATUS)
    assert list(resource.PHASE_MEANING) == list(Phase)
    conditions = [c.type for c in verdict.verdict_of(verdict.CASES[0]).conditions]
    assert conditions == list(resource.CONDITIONS)
    assert [reason for reason, _ in resource.events()] == list(resource.EVENTS)
