"""Read a scenario file: all of its mistakes at once, each with its place and how to mend it."""

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml
from pydantic import BaseModel, ValidationError

from trading.scenario import checks
from trading.scenario.checks import Finding, Rules
from trading.scenario.compile import CompileError, compile_plan
from trading.scenario.complaints import finding
from trading.scenario.document import MAX_COMPLAINTS, Document
from trading.scenario.errors import Path as Place
from trading.scenario.errors import Problem, ScenarioError, dotted
from trading.scenario.model import (
    KIND,
    ChaosScenario,
    Clock,
    Controls,
    Expectation,
    Fault,
    Market,
    Recovery,
    Settlement,
    SteadyState,
)
from trading.scenario.overrides import apply_override, as_record, canonical, recorded, untrue
from trading.scenario.plan import RunPlan
from trading.scenario.recordings import FilesOf, recordings
from trading.universe import default_universe

MAX_BYTES = 1_000_000
#: Characters of an override in a message.
_LONGEST_SETTING = 120

_NO_RULES: Rules = {}
_NO_OVERRIDES: Mapping[str, str] = {}

M = TypeVar("M", bound=BaseModel)


class Loaded(NamedTuple):
    """``resource``: the file's content after the overrides, which are named in it."""

    model: ChaosScenario
    plan: RunPlan
    path: Path
    resource: dict[str, Any]


def load(
    path: str | PathLike[str],
    *,
    known_rules: Rules = _NO_RULES,
    overrides: Mapping[str, str] = _NO_OVERRIDES,
    seed: int | None = None,
    files: FilesOf = FilesOf.ANYBODY,
) -> Loaded:
    """Read, check and compile a scenario. ``known_rules``: rule name -> what reads its limit;
    without them rule names are not checked. ``files``: which may be opened beside it. Raises
    ScenarioError with every mistake.
    """
    path = Path(path)
    return load_text(
        _read(path), path, known_rules=known_rules, overrides=overrides, seed=seed, files=files
    )


def load_text(
    text: str,
    path: Path,
    *,
    known_rules: Rules = _NO_RULES,
    overrides: Mapping[str, str] = _NO_OVERRIDES,
    seed: int | None = None,
    files: FilesOf = FilesOf.ANYBODY,
) -> Loaded:
    """As :func:`load`, from text; ``path`` names it, and files in it are relative to that."""
    file = str(path)
    document = _parse(text, file)
    data = document.data
    may_open = recordings(files, path.parent, data)
    changed: dict[Place, str] = {}
    problems: list[Problem] = []
    problems += [_located(file, document, {}, {}, *found) for found in untrue(data)]
    before = recorded(data)
    wanted = dict(overrides)
    if seed is not None:
        wanted["spec.seed"] = str(seed)
    for key, value in wanted.items():
        try:
            changed[apply_override(data, key, value)] = key
        except ValueError as error:
            problems.append(Problem(_setting(key, value), 0, 0, "", str(error)))
    model, findings = _validate(data, known_rules)
    for place, message in findings:
        problems.append(_located(file, document, changed, wanted, place, message))
    if problems or model is None:
        raise ScenarioError(problems)
    try:
        plan = compile_plan(model, default_universe(), may_open)
    except CompileError as error:
        place, message = error.place, str(error)
        problem = _located(file, document, changed, wanted, place, message)
        raise ScenarioError([problem]) from error
    source = file if files is FilesOf.ANYBODY else f"{plan.name}.yaml"
    now = canonical(wanted)
    made_with = {key: value for key, value in before.items() if key not in now} | now
    if made_with:
        data["spec"]["overrides"] = as_record(made_with)
    plan = msgspec.structs.replace(plan, overrides=made_with, source=source)
    return Loaded(model, plan, path, data)


def _read(path: Path) -> str:
    def wrong(message: str) -> ScenarioError:
        return ScenarioError([Problem(str(path), 0, 0, "", message)])

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        hint = "; trading scenario list shows the shipped ones"
        raise wrong(f"no such file{hint}") from error
    except IsADirectoryError as error:
        raise wrong("a directory, expected a file") from error
    except (OSError, ValueError) as error:
        raise wrong(getattr(error, "strerror", None) or str(error)) from error
    if len(raw) > MAX_BYTES:
        raise wrong(f"larger than {MAX_BYTES // 1_000_000} MB, that is no scenario")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong("not a text file in UTF-8") from error


def _parse(text: str, file: str) -> Document:
    def wrong(line: int, column: int, message: str) -> ScenarioError:
        return ScenarioError([Problem(file, line, column, "", message)])

    if len(text) > MAX_BYTES:
        raise wrong(0, 0, f"larger than {MAX_BYTES // 1_000_000} MB, that is no scenario")
    try:
        document = Document(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        raise wrong(line, column, f"not valid YAML: {error.problem or error}") from error
    except yaml.YAMLError as error:
        raise wrong(0, 0, f"not valid YAML: {str(error).splitlines()[0]}") from error
    if document.complaints:
        raise ScenarioError(
            Problem(file, line, column, dotted(place), message)
            for place, line, column, message in document.complaints
        )
    if document.data is None:
        raise wrong(1, 1, "empty; trading scenario new NAME writes one to start from")
    if not isinstance(document.data, dict):
        raise wrong(1, 1, f"expected a {KIND} with apiVersion, kind, metadata and spec")
    return document


def _located(
    file: str,
    document: Document,
    changed: Mapping[Place, str],
    overrides: Mapping[str, str],
    place: Place,
    message: str,
) -> Problem:
    for end in range(len(place), 0, -1):
        key = changed.get(place[:end])
        if key is not None:
            return Problem(_setting(key, overrides[key]), 0, 0, dotted(place), message)
    line, column = document.place(place)
    return Problem(file, line, column, dotted(place), message)


def _setting(key: str, value: str) -> str:
    """An override as it was given, shortened."""
    text = f"--set {key}={value}"
    return text if len(text) <= _LONGEST_SETTING else f"{text[:_LONGEST_SETTING]}..."


def _validate(data: dict[str, Any], rules: Rules) -> tuple[ChaosScenario | None, list[Finding]]:
    """The model, if it is whole; and everything that is wrong, also in the parts that are."""
    model = None
    found: list[Finding] = []
    try:
        model = ChaosScenario.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        found = [finding(detail, data) for detail in details[:MAX_COMPLAINTS]]
    spec = data.get("spec")
    if isinstance(spec, dict):
        found += _cross_check(spec, rules)
    return (model if not found else None), list(dict.fromkeys(found))


def _cross_check(spec: dict[str, Any], rules: Rules) -> Iterator[Finding]:
    universe = default_universe()
    raw_faults = _items(spec.get("faults"))
    names = [str(f.get("name", "")) if isinstance(f, dict) else "" for f in raw_faults]
    yield from checks.check_names(names)
    faults = []
    for index, raw in enumerate(raw_faults):
        if (fault := _valid(Fault, raw)) is not None:
            faults.append((index, fault))
            yield from checks.check_fault(index, fault, universe)
    expected = []
    for index, raw in enumerate(_items(spec.get("expect"))):
        if (expectation := _valid(Expectation, raw)) is not None:
            expected.append((index, expectation))
            yield from checks.check_expectation(index, expectation, names, rules)
    yield from checks.check_contradictions(expected)
    if (clock := _part(Clock, spec, "clock")) is not None:
        yield from checks.check_clock(clock)
    if (market := _part(Market, spec, "market")) is not None:
        yield from checks.check_market(market, universe)
    if (settlement := _part(Settlement, spec, "settlement")) is not None:
        yield from checks.check_settlement(settlement)
    if (controls := _part(Controls, spec, "controls")) is not None:
        yield from checks.check_controls(controls, rules)
    if (steady := _part(SteadyState, spec, "steadyState")) is not None:
        yield from checks.check_steady_state(steady)
    recovery = _part(Recovery, spec, "recovery")
    if clock is not None and steady is not None and recovery is not None and faults:
        yield from checks.check_length(clock, steady, faults, recovery)


def _items(raw: Any) -> list[Any]:
    return raw[:64] if isinstance(raw, list) else []


def _part(model: type[M], spec: dict[str, Any], name: str) -> M | None:
    return _valid(model, spec.get(name, {}))


def _valid(model: type[M], raw: Any) -> M | None:
    """None for what the schema has complained about already."""
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None
