"""Reads, checks and compiles a scenario.

All mistakes of a file are collected and reported at once, each with its line and with a hint how to
correct it. The text may come from an untrusted client, so its size is limited, and
:class:`~trading.scenario.recordings.FileAccess` restricts which files it may name.
"""

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import yaml
from pydantic import BaseModel, ValidationError

from trading.scenario import checks
from trading.scenario.checks import Finding, Rules
from trading.scenario.compile import compile_plan
from trading.scenario.document import MAX_ERRORS, Document
from trading.scenario.errors import CompileError, Problem, ScenarioError, dotted
from trading.scenario.errors import Path as Place
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
from trading.scenario.overrides import (
    apply_override,
    canonical,
    false_records,
    overrides_in,
    record_entries,
)
from trading.scenario.plan import RunPlan
from trading.scenario.recordings import FileAccess, Uploads, recordings
from trading.scenario.schema_errors import finding_of
from trading.universe import default_universe

MAX_BYTES = 1_000_000
#: Characters of an override that a message quotes.
_MAX_OVERRIDE_TEXT = 120

_NO_RULES: Rules = {}
_NO_OVERRIDES: Mapping[str, str] = {}

M = TypeVar("M", bound=BaseModel)


class LoadedScenario(NamedTuple):
    """A scenario that was read: as a model, as a plan and as a resource.

    ``path`` is the file that was read. ``resource`` is the content of the file after the overrides,
    which it lists in ``spec.overrides``.
    """

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
    files: FileAccess = FileAccess.ANYBODY,
) -> LoadedScenario:
    """Read, check and compile the scenario file at ``path``.

    ``known_rules`` maps the name of a risk rule to the function that parses its limit; without it
    rule names are not checked. ``overrides`` maps dotted paths in ``spec`` to YAML values, and
    ``seed`` overrides ``spec.seed``. ``files`` says which files the scenario may open. Raises
    ScenarioError with all mistakes.
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
    files: FileAccess = FileAccess.ANYBODY,
    uploads: Uploads | None = None,
) -> LoadedScenario:
    """Check and compile a scenario from its text; see :func:`load`.

    ``path`` names the scenario in messages, and files that the text names are relative to it.
    ``uploads`` are recordings that it may read as well.
    """
    file = str(path)
    document = _parse(text, file)
    data = document.data
    readable_files = recordings(files, path.parent, data, uploads)
    changed_paths: dict[Place, str] = {}
    problems: list[Problem] = []
    problems += [_problem_at(file, document, {}, {}, *finding) for finding in false_records(data)]
    recorded_overrides = overrides_in(data)
    all_overrides = dict(overrides)
    if seed is not None:
        all_overrides["spec.seed"] = str(seed)
    for key, value in all_overrides.items():
        try:
            changed_paths[apply_override(data, key, value)] = key
        except ValueError as error:
            problems.append(Problem(_override_text(key, value), 0, 0, "", str(error)))
    model, findings = _validate(data, known_rules)
    for place, message in findings:
        problems.append(_problem_at(file, document, changed_paths, all_overrides, place, message))
    if problems or model is None:
        raise ScenarioError(problems)
    try:
        plan = compile_plan(model, default_universe(), readable_files)
    except CompileError as error:
        place, message = error.place, str(error)
        problem = _problem_at(file, document, changed_paths, all_overrides, place, message)
        raise ScenarioError([problem]) from error
    source = file if files is FileAccess.ANYBODY else f"{plan.name}.yaml"
    current_overrides = canonical(all_overrides)
    effective_overrides = {
        key: value for key, value in recorded_overrides.items() if key not in current_overrides
    } | current_overrides
    if effective_overrides:
        data["spec"]["overrides"] = record_entries(effective_overrides)
    plan = msgspec.structs.replace(plan, overrides=effective_overrides, source=source)
    return LoadedScenario(model, plan, path, data)


def _read(path: Path) -> str:
    def scenario_error(message: str) -> ScenarioError:
        return ScenarioError([Problem(str(path), 0, 0, "", message)])

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        hint = "; trading scenario list shows the shipped ones"
        raise scenario_error(f"no such file{hint}") from error
    except IsADirectoryError as error:
        raise scenario_error("a directory, expected a file") from error
    except (OSError, ValueError) as error:
        raise scenario_error(getattr(error, "strerror", None) or str(error)) from error
    if len(raw) > MAX_BYTES:
        raise scenario_error(f"larger than {MAX_BYTES // 1_000_000} MB, that is no scenario")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise scenario_error("not a text file in UTF-8") from error


def _parse(text: str, file: str) -> Document:
    def scenario_error(line: int, column: int, message: str) -> ScenarioError:
        return ScenarioError([Problem(file, line, column, "", message)])

    if len(text) > MAX_BYTES:
        raise scenario_error(0, 0, f"larger than {MAX_BYTES // 1_000_000} MB, that is no scenario")
    try:
        document = Document(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        raise scenario_error(line, column, f"not valid YAML: {error.problem or error}") from error
    except yaml.YAMLError as error:
        raise scenario_error(0, 0, f"not valid YAML: {str(error).splitlines()[0]}") from error
    if document.errors:
        raise ScenarioError(
            Problem(file, line, column, dotted(place), message)
            for place, line, column, message in document.errors
        )
    if document.data is None:
        raise scenario_error(1, 1, "empty; trading scenario new NAME writes one to start from")
    if not isinstance(document.data, dict):
        raise scenario_error(1, 1, f"expected a {KIND} with apiVersion, kind, metadata and spec")
    return document


def _problem_at(
    file: str,
    document: Document,
    changed_paths: Mapping[Place, str],
    overrides: Mapping[str, str],
    place: Place,
    message: str,
) -> Problem:
    for end in range(len(place), 0, -1):
        key = changed_paths.get(place[:end])
        if key is not None:
            return Problem(_override_text(key, overrides[key]), 0, 0, dotted(place), message)
    line, column = document.place(place)
    return Problem(file, line, column, dotted(place), message)


def _override_text(key: str, value: str) -> str:
    """Return an override as it stands on the command line, shortened."""
    text = f"--set {key}={value}"
    return text if len(text) <= _MAX_OVERRIDE_TEXT else f"{text[:_MAX_OVERRIDE_TEXT]}..."


def _validate(data: dict[str, Any], rules: Rules) -> tuple[ChaosScenario | None, list[Finding]]:
    """Return the model, or None if the schema rejects the data, and all findings.

    Sections that are valid by themselves are cross-checked even if the rest is not valid.
    """
    model = None
    findings: list[Finding] = []
    try:
        model = ChaosScenario.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        findings = [finding_of(detail, data) for detail in details[:MAX_ERRORS]]
    spec = data.get("spec")
    if isinstance(spec, dict):
        findings += _cross_check(spec, rules)
    return (model if not findings else None), list(dict.fromkeys(findings))


def _cross_check(spec: dict[str, Any], rules: Rules) -> Iterator[Finding]:
    universe = default_universe()
    raw_faults = _items(spec.get("faults"))
    names = [str(f.get("name", "")) if isinstance(f, dict) else "" for f in raw_faults]
    yield from checks.check_names(names)
    faults = []
    for index, raw in enumerate(raw_faults):
        if (fault := _model_or_none(Fault, raw)) is not None:
            faults.append((index, fault))
            yield from checks.check_fault(index, fault, universe)
    expectations = []
    monitors = [name for name in _items(spec.get("monitors")) if isinstance(name, str)]
    for index, raw in enumerate(_items(spec.get("expect"))):
        if (expectation := _model_or_none(Expectation, raw)) is not None:
            expectations.append((index, expectation))
            yield from checks.check_expectation(index, expectation, names, rules, monitors)
    yield from checks.check_contradictions(expectations)
    yield from checks.check_monitors(monitors)
    if (clock := _valid_section(Clock, spec, "clock")) is not None:
        yield from checks.check_clock(clock)
    if (market := _valid_section(Market, spec, "market")) is not None:
        yield from checks.check_market(market, universe)
    if (settlement := _valid_section(Settlement, spec, "settlement")) is not None:
        yield from checks.check_settlement(settlement)
    if (controls := _valid_section(Controls, spec, "controls")) is not None:
        yield from checks.check_controls(controls, rules)
    if (steady := _valid_section(SteadyState, spec, "steadyState")) is not None:
        yield from checks.check_steady_state(steady)
    recovery = _valid_section(Recovery, spec, "recovery")
    if clock is not None and steady is not None and recovery is not None and faults:
        yield from checks.check_length(clock, steady, faults, recovery)


def _items(raw: Any) -> list[Any]:
    return raw[:64] if isinstance(raw, list) else []


def _valid_section(model: type[M], spec: dict[str, Any], name: str) -> M | None:
    return _model_or_none(model, spec.get(name, {}))


def _model_or_none(model: type[M], raw: Any) -> M | None:
    """Return ``raw`` as a model, or None if it is invalid, which _validate reports already."""
    try:
        return model.model_validate(raw)
    except ValidationError:
        return None
