"""Tests the record of overrides in a resource: it is complete, and false entries are refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from trading.embedded.api import load_scenario, load_submitted
from trading.scenario.errors import ScenarioError
from trading.scenario.plan import plan_digest, reproduction
from trading_operator.resource import scenario

CHANGE = "faults.crash.marketShock.change"


def as_stored(resource: Any) -> Any:
    """Return a resource as the Kubernetes API server returns it: keys sorted, nulls left out."""
    if isinstance(resource, dict):
        return {
            key: as_stored(resource[key]) for key in sorted(resource) if resource[key] is not None
        }
    return [as_stored(item) for item in resource] if isinstance(resource, list) else resource


def sent_by_operator(resource: dict[str, Any], **changed: Any) -> str:
    """Return the text that the operator sends for a resource.

    ``changed`` are fields of its spec that were changed since it was loaded.
    """
    meta = {"name": resource["metadata"]["name"], "namespace": "chaos", "uid": "0a1b2c3d"}
    return scenario({"metadata": meta, "spec": as_stored(resource)["spec"] | changed}).text


@pytest.mark.parametrize(
    "overrides",
    [
        {CHANGE: "-6%"},
        {"spec.seed": "9", CHANGE: "-6%", "expect.0.within": "9m"},
        {"market.initialPrices": "{BTC: 5e4}", "controls.limits.drawdown": "3%"},
        # A later override changes a part of an earlier one, or replaces it.
        {"clock": "{mode: wall}", "clock.speed": "60"},
        {"clock.speed": "60", "clock": "{mode: wall, speed: 30}"},
        {"faults.0.at": "90s", "faults.crash.at": "2m"},
        {"market.replay": "null"},
        {"market": "{source: synthetic, replay: null}"},
        {"abort": "true", "metadata.name": "another"},
    ],
)
def test_a_resource_names_what_it_was_made_with_to_whoever_gets_it(
    overrides: dict[str, str],
) -> None:
    loaded = load_scenario("market-crash", seed=9, overrides=overrides)
    assert [entry.partition("=")[::2] for entry in loaded.resource["spec"]["overrides"]] == [
        *loaded.plan.overrides.items()
    ]
    received = load_submitted(sent_by_operator(loaded.resource))
    assert received.plan.overrides == loaded.plan.overrides
    assert list(received.plan.overrides) == list(loaded.plan.overrides)
    assert plan_digest(received.plan) == plan_digest(loaded.plan)
    assert (
        reproduction(received.plan).partition(" --seed")[2]
        == (reproduction(loaded.plan).partition(" --seed")[2])
    )


def test_one_that_was_not_changed_names_nothing() -> None:
    loaded = load_scenario("market-crash")
    assert loaded.plan.overrides == {} and "overrides" not in loaded.resource["spec"]


def test_one_can_be_changed_further() -> None:
    """For example by ``trading run``, after it was exported from a cluster."""
    loaded = load_scenario("market-crash", seed=9, overrides={CHANGE: "-6%", "clock.speed": "60"})
    further = load_submitted(
        sent_by_operator(loaded.resource), seed=4, overrides={f"spec.{CHANGE}": "-7%"}
    )
    assert further.plan.overrides == {"clock.speed": "60", CHANGE: "-7%", "seed": "4"}
    resent = load_submitted(sent_by_operator(further.resource))
    assert resent.plan.overrides == further.plan.overrides
    assert resent.plan.seed == 4


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (["seed=8"], "spec.overrides[0]: spec has something else there than '8'"),
        (
            [f"{CHANGE}=-6%", "faults.crash.at=3s"],
            "spec.overrides[1]: spec has something else there than '3s'",
        ),
        (["market.initialPrices.BTC=5"], "spec has something else there than '5'"),
        (["controls.disable=[drawdown]"], "spec has something else there than '[drawdown]'"),
        (["metadata.name=other"], "spec has something else there than 'other'"),
        (["seed"], "expected KEY=VALUE, got 'seed'"),
        (["sed=9"], "did you mean 'seed'"),
        (["faults.crsh.at=3s"], "did you mean 'crash'"),
        (["overrides=[]"], "overrides say what was changed, and change nothing"),
        (["seed=[&a x]"], "spec.overrides[0]: anchors"),
        ([9], "expected a text, got 9"),
        ("seed=9", "expected a list"),
        (["seed=9"] * 101, "at most 100"),
    ],
)
def test_what_it_is_not_changed_to_is_refused(record: Any, message: str) -> None:
    loaded = load_scenario("market-crash", seed=9, overrides={CHANGE: "-6%"})
    with pytest.raises(ScenarioError) as caught:
        load_submitted(sent_by_operator(loaded.resource, overrides=record))
    assert message in str(caught.value)


@pytest.mark.parametrize("spec", [[], "text", 5, None])
def test_a_spec_that_is_none_is_refused_as_before(spec: Any) -> None:
    whole = {**load_scenario("market-crash").resource, "spec": spec}
    with pytest.raises(ScenarioError, match="a mapping with fields"):
        load_submitted(yaml.safe_dump(whole))


@pytest.mark.parametrize("key", ["overrides", "spec.overrides", "overrides.0"])
def test_no_override_writes_into_the_record(key: str) -> None:
    with pytest.raises(ScenarioError, match=f"--set {key}=.*overrides say what was changed"):
        load_scenario("market-crash", overrides={key: "[seed=9]"})


def test_a_mistake_in_a_file_has_its_line(tmp_path: Path) -> None:
    text = yaml.safe_dump({"overrides": ["seed=8"]})
    file = tmp_path / "crash.yaml"
    whole = Path("scenarios/market-crash.yaml").read_text(encoding="utf-8").rstrip()
    file.write_text(f"{whole}\n" + "".join(f"  {line}\n" for line in text.splitlines()))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    (problem,) = caught.value.problems
    assert problem.line == file.read_text().count("\n") and problem.path == "spec.overrides[0]"
