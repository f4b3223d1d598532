"""What a resource that was changed says of it, and that it says nothing that is not so."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from trading.embedded.api import load_scenario, load_sent
from trading.scenario.errors import ScenarioError
from trading.scenario.plan import plan_digest, reproduction
from trading_operator.resource import scenario

CHANGE = "faults.crash.marketShock.change"


def kept(resource: Any) -> Any:
    """A resource as an API server gives it back: keys sorted, nulls left out."""
    if isinstance(resource, dict):
        return {key: kept(resource[key]) for key in sorted(resource) if resource[key] is not None}
    return [kept(one) for one in resource] if isinstance(resource, list) else resource


def again(resource: dict[str, Any], **changed: Any) -> str:
    """The text that the operator sends of a resource; ``changed``: in its spec since."""
    meta = {"name": resource["metadata"]["name"], "namespace": "chaos", "uid": "0a1b2c3d"}
    return scenario({"metadata": meta, "spec": kept(resource)["spec"] | changed}).text


@pytest.mark.parametrize(
    "overrides",
    [
        {CHANGE: "-6%"},
        {"spec.seed": "9", CHANGE: "-6%", "expect.0.within": "9m"},
        {"market.initialPrices": "{BTC: 5e4}", "controls.limits.drawdown": "3%"},
        # A later one has the last word on a part of an earlier one, and the other way round.
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
    made = load_scenario("market-crash", seed=9, overrides=overrides)
    assert [one.partition("=")[::2] for one in made.resource["spec"]["overrides"]] == [
        *made.plan.overrides.items()
    ]
    got = load_sent(again(made.resource))
    assert got.plan.overrides == made.plan.overrides
    assert list(got.plan.overrides) == list(made.plan.overrides)
    assert plan_digest(got.plan) == plan_digest(made.plan)
    assert (
        reproduction(got.plan).partition(" --seed")[2]
        == (reproduction(made.plan).partition(" --seed")[2])
    )


def test_one_that_was_not_changed_names_nothing() -> None:
    made = load_scenario("market-crash")
    assert made.plan.overrides == {} and "overrides" not in made.resource["spec"]


def test_one_can_be_changed_further() -> None:
    """As one that was exported from a cluster, by ``trading run``."""
    made = load_scenario("market-crash", seed=9, overrides={CHANGE: "-6%", "clock.speed": "60"})
    further = load_sent(again(made.resource), seed=4, overrides={f"spec.{CHANGE}": "-7%"})
    assert further.plan.overrides == {"clock.speed": "60", CHANGE: "-7%", "seed": "4"}
    once_more = load_sent(again(further.resource))
    assert once_more.plan.overrides == further.plan.overrides
    assert once_more.plan.seed == 4


@pytest.mark.parametrize(
    ("record", "said"),
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
def test_what_it_is_not_changed_to_is_refused(record: Any, said: str) -> None:
    made = load_scenario("market-crash", seed=9, overrides={CHANGE: "-6%"})
    with pytest.raises(ScenarioError) as caught:
        load_sent(again(made.resource, overrides=record))
    assert said in str(caught.value)


@pytest.mark.parametrize("spec", [[], "text", 5, None])
def test_a_spec_that_is_none_is_refused_as_before(spec: Any) -> None:
    whole = {**load_scenario("market-crash").resource, "spec": spec}
    with pytest.raises(ScenarioError, match="a mapping with fields"):
        load_sent(yaml.safe_dump(whole))


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
