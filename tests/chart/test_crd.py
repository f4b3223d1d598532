"""The definition of ChaosScenario is structural and current, and accepts what the scenarios
need.
"""

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.chart.rendering import manifests, of_kind
from tools.crd import definition, structural, texts
from trading.scenario.errors import ScenarioError
from trading.scenario.load import load

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
NAME = "chaosscenarios.chaos.trading"
#: The fields of JSONSchemaProps that our schema uses and that a structural schema may have
#: (kubernetes.io, "Specifying a structural schema").
_ALLOWED = {
    *("additionalProperties", "description", "enum", "exclusiveMinimum", "format", "items"),
    *("maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minimum"),
    *("pattern", "properties", "required", "type"),
    *("x-kubernetes-list-map-keys", "x-kubernetes-list-type"),
    *("x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
}


def schema() -> dict[str, Any]:
    """Return the schema of the resource."""
    (version,) = definition()["versions"]
    openapi = version["schema"]["openAPIV3Schema"]
    assert isinstance(openapi, dict)
    return openapi


def document(path: Path) -> dict[str, Any]:
    """Return a scenario file as a dictionary."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def check(value: dict[str, Any]) -> None:
    """Validate a resource against the schema. Raises jsonschema.ValidationError."""
    # OpenAPI 3.0 is based on draft 4, in which exclusiveMinimum is a boolean.
    jsonschema.Draft4Validator(schema()).validate(value)


def unknown(part: dict[str, Any], value: Any, path: str = "") -> list[str]:
    """Return the fields that Kubernetes would prune."""
    if part.get("x-kubernetes-preserve-unknown-fields") or path == ".metadata":
        return []
    fields = []
    if isinstance(value, dict):
        for key, inner in value.items():
            below = part.get("properties", {}).get(key) or part.get("additionalProperties")
            if below is None:
                fields.append(f"{path}.{key}")
            else:
                fields += unknown(below, inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            fields += unknown(part["items"], inner, f"{path}[]")
    return fields


def test_it_is_structural() -> None:
    def walk(part: dict[str, Any], path: str) -> None:
        assert set(part) <= _ALLOWED, path
        free = part.get("x-kubernetes-preserve-unknown-fields") is True
        assert free or isinstance(part.get("type"), str), f"{path}: without one type"
        assert not ("properties" in part and "additionalProperties" in part), path
        assert part.get("type") != "array" or "items" in part, path
        for name, inner in part.get("properties", {}).items():
            walk(inner, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if key in part:
                walk(part[key], f"{path}.{key}")

    walk(schema(), "")


def test_committed_is_generated_and_rendered() -> None:
    ((path, text),) = texts().items()
    assert (ROOT / path).read_text(encoding="utf-8") == text
    crd = of_kind(manifests("dev"), "CustomResourceDefinition")[NAME]
    assert crd["spec"] == definition()
    assert crd["metadata"]["name"] == f"{crd['spec']['names']['plural']}.{crd['spec']['group']}"
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for name in ("bare", "prod"):
        assert of_kind(manifests(name), "CustomResourceDefinition") == {}


def test_no_scenario_is_in_the_release() -> None:
    """A scenario in the release would be deleted with it, and started by every upgrade."""
    assert of_kind(manifests("dev"), "ChaosScenario") == {}


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_shipped_scenario_fits(path: Path) -> None:
    check(document(path))
    assert unknown(schema(), document(path)) == []


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (("spec", "faults"), []),
        (("spec", "expect"), []),
        (("spec", "seed"), -1),
        (("spec", "seed"), "7"),
        (("spec", "clock"), {"speed": 0}),
        (("spec", "clock"), {"speed": 3601}),
        (("spec", "clock"), {"speed": "fast"}),
        (("spec", "clock"), {"mode": "real"}),
        (("spec", "faults", 0, "duration"), "soon"),
        (("spec", "faults", 0, "marketShock", "change"), "fifteen"),
        (("spec", "faults", 0, "name"), "Crash!"),
        (("spec", "expect", 2, "breaker"), "ACTIVE"),
        (("spec", "abort"), "yes"),
        (("status",), {"phase": "Sleeping"}),
    ],
)
def test_a_wrong_one_does_not(change: tuple[str | int, ...], value: Any) -> None:
    whole = document(ROOT / "scenarios" / "market-crash.yaml")
    part: Any = whole
    for step in change[:-1]:
        part = part[step]
    part[change[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check(whole)


def test_a_misspelt_field_would_be_cut_off() -> None:
    whole = document(ROOT / "scenarios" / "market-crash.yaml")
    whole["spec"]["faults"][0]["durations"] = "5m"
    assert unknown(schema(), whole) == [".spec.faults[].durations"]


def test_a_price_may_be_text_or_a_number() -> None:
    for price in ("0.95", 0.95, 1):
        whole = copy.deepcopy(document(ROOT / "scenarios" / "stablecoin-depeg.yaml"))
        whole["spec"]["market"] = {"initialPrices": {"BTC": price}}
        check(whole)
        assert unknown(schema(), whole) == []


@pytest.mark.parametrize(
    "clock",
    [{"mode": "wall"}, {"mode": "wall", "speed": 60}, {"mode": "virtual", "speed": 0.5}, {}],
)
def test_either_clock_fits(clock: dict[str, Any]) -> None:
    whole = document(ROOT / "scenarios" / "market-crash.yaml")
    whole["spec"]["clock"] = clock
    check(whole)
    assert unknown(schema(), whole) == []


def test_the_clock_is_explained() -> None:
    """`kubectl explain chaos.spec.clock` explains both modes, and the speed of each."""
    clock = schema()["properties"]["spec"]["properties"]["clock"]
    assert "ecosystem" in clock["description"]
    assert set(clock["properties"]) == {"mode", "speed", "start"}
    for name in ("mode", "speed"):
        description = clock["properties"][name]["description"]
        assert "virtual:" in description and "wall:" in description


def test_what_the_definition_cannot_say_the_model_still_does(tmp_path: Path) -> None:
    """A fault with two kinds passes the schema, and the model refuses it."""
    whole = document(ROOT / "scenarios" / "market-crash.yaml")
    whole["spec"]["faults"][0]["exchangeOutage"] = {"mode": "partition"}
    check(whole)
    path = tmp_path / "both.yaml"
    path.write_text(yaml.safe_dump(whole), encoding="utf-8")
    with pytest.raises(ScenarioError, match="one fault has one kind"):
        load(path)


def test_spec_is_compared_field_by_field_but_for_abort() -> None:
    (rule,) = schema()["x-kubernetes-validations"]
    for name in schema()["properties"]["spec"]["properties"]:
        assert (f"self.spec.{name} == oldSelf.spec.{name}" in rule["rule"]) == (name != "abort")


def test_a_keyword_that_nobody_thought_about_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="multipleOf"):
        structural({"type": "integer", "multipleOf": 2}, {})


def test_columns_lead_to_fields() -> None:
    (version,) = definition()["versions"]
    columns = {
        column["name"].upper(): column["jsonPath"] for column in version["additionalPrinterColumns"]
    }
    assert list(columns) == ["PHASE", "VERDICT", "DETECT", "RECOVER", "AGE"]
    for path in columns.values():
        top, name = path.strip(".").split(".")
        assert top == "metadata" or name in schema()["properties"]["status"]["properties"]
