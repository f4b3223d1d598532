"""Generate docs/reference/scenario.md and faults.md from the model of a scenario."""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel

from tools.reference.markdown import FOLDER, code, plain, table
from tools.reference.scenario_examples import EXAMPLES, MODES, REFUSED
from trading.embedded.api import load_submitted
from trading.scenario import faults, model, quantities
from trading.scenario.errors import ScenarioError
from trading.scenario.faults import Model
from trading.scenario.plan import PlannedFault
from trading.scenario.schema import json_schema

_SPEC: tuple[tuple[type[BaseModel], str], ...] = (
    (model.ChaosScenario, "The file"),
    (model.Metadata, "metadata"),
    (model.Spec, "spec"),
    (model.Clock, "spec.clock"),
    (model.Market, "spec.market"),
    (model.Replay, "spec.market.replay"),
    (model.Settlement, "spec.settlement"),
    (model.Controls, "spec.controls"),
    (model.SteadyState, "spec.steadyState"),
    (model.Fault, "spec.faults[]"),
    (model.Expectation, "spec.expect[]"),
    (model.Recovery, "spec.recovery"),
)
_FAULTS: tuple[tuple[type[BaseModel], str], ...] = (
    (faults.MarketShock, "marketShock"),
    (faults.ShockPoint, "marketShock.path[]"),
    (faults.Depeg, "depeg"),
    (faults.PegPoint, "depeg.path[]"),
    (faults.Recording, "depeg.series"),
    (faults.ExchangeOutage, "exchangeOutage"),
    (faults.SettlementFailure, "settlementFailure"),
    (faults.StrategyMalfunction, "strategyMalfunction"),
    (faults.FeedDisruption, "feedDisruption"),
    (faults.NetworkPartition, "networkPartition"),
)
#: Models that have a section, by name.
SECTIONS: dict[str, tuple[type[BaseModel], str]] = {
    model_class.__name__: (model_class, title) for model_class, title in (*_SPEC, *_FAULTS)
}

_TYPES: tuple[tuple[Any, str], ...] = (
    (quantities.Duration, "duration"),
    (quantities.PositiveDuration, "duration above 0"),
    (quantities.Percent, "percentage"),
    (quantities.Price, "price in USD"),
    (faults.Name, "name"),
    (faults.Names, "list of names"),
    (model.Override, "text KEY=VALUE"),
    (bool, "true or false"),
    (int, "whole number"),
    (float, "number"),
    (str, "text"),
)

#: The service that plays each kind of fault.
PLAYED_BY = {
    "marketShock": "market-data",
    "depeg": "market-data; with `scope: venue` the exchange",
    "exchangeOutage": "exchange",
    "settlementFailure": "custodian",
    "strategyMalfunction": "trading-engine",
    "feedDisruption": "market-data",
    "networkPartition": "all services; on Compose and Kubernetes also the platform's network",
}

_HEAD = """# Scenario fields

This page is generated from `trading.scenario.model`. It lists every field of a ChaosScenario file.
The parameters of each kind of fault are on the page [Fault parameters](faults.md).

The file is YAML. `trading scenario validate FILE` reports every mistake at once, with its line.
`trading schema` prints the same model as JSON Schema for an editor. A field without a default is
required. A field that is not listed here is refused.

## Units

| type | how to write it | bounds |
|---|---|---|
| duration | a number with `ms`, `s`, `m`, `h` or `d`, or several: `90s`, `1h30m` | 0 to 7 days |
| percentage | a number with `%`, at most 4 decimals: `-15%` | -10000% to 10000% |
| price in USD | a number above 0 with at most 8 decimals: `0.95` | below 10000000000 |
| name | text: an asset, symbol, account, strategy, service or risk rule | 100 characters |

Durations are simulated time. A run, from its first minute to the end of its recovery, lasts at most
7 days of simulated time, and at most 7 days on the wall clock.
"""

_FAULTS_HEAD = """# Fault parameters

This page is generated from `trading.scenario.faults`. Each fault in `spec.faults` has a name, a
start, a duration ([scenario fields](scenario.md)) and exactly one of the kinds below. Types and
units are explained in [scenario fields](scenario.md).

| kind | what it does | which service plays it |
|---|---|---|
"""


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    kinds = "".join(
        f"| [`{title}`](#{title.lower()}) | {plain(_first(model_class))} | {PLAYED_BY[title]} |\n"
        for model_class, title in _FAULTS
        if title in PLAYED_BY
    )
    return {
        FOLDER / "scenario.md": _HEAD + _sections(_SPEC),
        FOLDER / "faults.md": _FAULTS_HEAD + kinds + _sections(_FAULTS),
    }


def _sections(models: tuple[tuple[type[BaseModel], str], ...]) -> str:
    return "".join(_section(model_class, title) for model_class, title in models)


def _section(model_class: type[BaseModel], title: str) -> str:
    heading = title if " " in title else code(title)
    text = f"\n## {heading}\n\n"
    if model_class.__doc__ and model_class.__doc__ != Model.__doc__:
        text += f"{plain(model_class.__doc__)}\n\n"
    text += table(
        ("field", "type and bounds", "default", "meaning", "example"),
        (_field(model_class, name) for name in names(model_class)),
    )
    if modes := MODES.get(model_class.__name__):
        text += "\n"
        text += table(("mode", "what happens"), ((code(m), plain(t)) for m, t in modes.items()))
    refused = REFUSED.get(model_class.__name__, ())
    if refused:
        text += "\nThe loader also refuses, for example:\n\n"
        rows = (
            (code(refused_text), plain(refusal(model_class.__name__, refused_text)))
            for refused_text in refused
        )
        text += table(("written", "message"), rows)
    return text


def names(model_class: type[BaseModel]) -> Iterator[str]:
    """Yield the names of a model's fields as they are written in a scenario file."""
    for name, field in model_class.model_fields.items():
        yield field.alias or name


def _field(model_class: type[BaseModel], file_name: str) -> tuple[str, ...]:
    name, field = next(
        (n, f) for n, f in model_class.model_fields.items() if file_name in (n, f.alias)
    )
    hint = get_type_hints(model_class, include_extras=True)[name]
    meaning = field.description or _first(_model_of(hint))
    return (
        code(file_name),
        ", ".join((type_of(hint), *_bounds(_schema(model_class)["properties"][file_name]))),
        "required" if field.is_required() else _default(field.default),
        plain(meaning),
        code(EXAMPLES[f"{model_class.__name__}.{file_name}"]),
    )


def _default(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, BaseModel):
        return "its fields' defaults"
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
    return code(text)


def type_of(hint: Any) -> str:
    """Describe in words the values that a field accepts. Raises NotImplementedError for an unknown
    type.
    """
    for type_hint, text in _TYPES:
        if hint == type_hint:
            return text
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (only,) = [member for member in inner if member is not NoneType]
        return type_of(only)
    if origin is Literal and len(inner) == 1:
        return code(inner[0])
    if origin is Literal:
        return "one of " + ", ".join(code(member) for member in inner)
    if origin is list:
        return f"list of {type_of(inner[0])}"
    if origin is dict:
        return f"map: {type_of(inner[0])} to {type_of(inner[1])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return f"object, {code(SECTIONS[hint.__name__][1])}"
    if hasattr(hint, "__metadata__"):
        return type_of(inner[0])
    raise NotImplementedError(f"no words for {hint}")


def _model_of(hint: Any) -> Any:
    for candidate in (hint, *get_args(hint)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    if get_origin(hint) is Literal:
        return hint
    raise NotImplementedError(f"{hint}: no description")


def _first(model_class: Any) -> str:
    """Return the first line of a model's description, or a reference to its section."""
    if get_origin(model_class) is Literal:
        return "Always this value."
    documented = model_class.__doc__ if model_class.__doc__ != Model.__doc__ else ""
    return (
        documented.split("\n")[0] if documented else f"See `{SECTIONS[model_class.__name__][1]}`."
    )


def _schema(model_class: type[BaseModel]) -> dict[str, Any]:
    whole = json_schema()
    schema: dict[str, Any] = whole["$defs"].get(model_class.__name__, whole)
    return schema


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the bounds of a JSON Schema in words. The patterns of quantities are described under
    Units.
    """
    for inner in schema.get("anyOf", ()):
        yield from _bounds(inner)
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
        "minItems": "at least {} entries",
        "maxItems": "at most {} entries",
        "maxProperties": "at most {} entries",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
    }
    for key, text in words.items():
        if (
            key in schema
            and schema[key] != 2**63
            and not (key == "maxLength" and _is_quantity(schema))
        ):
            yield text.format(schema[key]).replace("1 entries", "1 entry")
        elif schema.get(key) == 2**63:
            yield "below 2^63"
    if "pattern" in schema and not _is_quantity(schema):
        yield "lower-case letters, digits and `-`, at most 63 characters"


def _is_quantity(schema: dict[str, Any]) -> bool:
    """Return whether the schema is that of a quantity, whose form the page has explained."""
    return "examples" in schema


#: A scenario into which an example is inserted.
_BASE = """
apiVersion: chaos.trading/v1alpha1
kind: ChaosScenario
metadata: {name: usdt-slips}
spec:
  faults: [{name: slip, at: 1m, duration: 15m, depeg: {asset: USDT, to: 0.95}}]
  expect: [{alert: peg-deviation, of: slip, within: 2m}]
"""
#: Models inside a kind of fault: the kind, the field, and whether the field is a list.
_WITHIN = {
    "ShockPoint": ("marketShock", "path", True),
    "PegPoint": ("depeg", "path", True),
    "Recording": ("depeg", "series", False),
}


def document(name: str, part: str) -> dict[str, Any]:
    """Return a whole scenario in which `part` is the model `name`."""
    whole: dict[str, Any] = yaml.safe_load(_BASE)
    value, title = yaml.safe_load(part), SECTIONS[name][1]
    spec = whole["spec"]
    fault = spec["faults"][0]
    if name == "ChaosScenario":
        whole |= {key: v for key, v in value.items() if key != "spec"}
    elif name == "Metadata":
        whole["metadata"] |= value
    elif name == "Spec":
        spec |= value
    elif name == "Fault":
        kinds = set(model.FAULT_KINDS)
        other_fields = {k: v for k, v in fault.items() if not (k in kinds and kinds & set(value))}
        spec["faults"] = [value if "duration" in value and len(value) > 1 else other_fields | value]
    elif name == "Expectation":
        spec["expect"] = [value]
        if "monitor" in value:
            spec["monitors"] = ["risk-monitor", "desk"]
    elif name == "Replay":
        spec["market"] = {"source": "replay", "replay": value}
    elif title.startswith("spec."):
        spec[title.removeprefix("spec.")] = value
    else:
        del fault["depeg"]
        kind, field, listed = _WITHIN.get(name, (title, "", False))
        fault[kind] = {field: [value] if listed else value} if field else value
        if field and kind == "depeg":
            fault[kind]["asset"] = "USDC"
    if name != "Expectation" and "faults" in spec:
        spec["expect"] = [{"alert": "drawdown", "of": spec["faults"][0]["name"], "within": "2m"}]
    return whole


def refusal(name: str, part: str) -> str:
    """Return the loader's message about this part. Raises ValueError if the loader accepts it."""
    try:
        load_submitted(yaml.safe_dump(document(name, part)))
    except ScenarioError as error:
        return "; ".join(problem.message for problem in error.problems)
    raise ValueError(f"{name}: {part} is not refused")


def target(kind: str) -> str:
    """Return the service that plays a kind of fault, according to the compiled plan."""
    example = load_submitted(yaml.safe_dump(document("Fault", EXAMPLES[f"Fault.{kind}"])))
    fault: PlannedFault = example.plan.faults[0]
    return fault.target
