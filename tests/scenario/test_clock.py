"""Tests the two clocks of a scenario: a run is the same whichever clock it uses."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from trading.embedded.api import load_scenario, run
from trading.embedded.library import shipped
from trading.scenario.errors import ScenarioError
from trading.scenario.plan import ClockMode, RunPlan, plan_digest
from trading.scenario.template import new_scenario
from trading.units import SECOND

CRASH = load_scenario("market-crash").plan


def clock(**overrides: str) -> tuple[ClockMode, float | None]:
    settings = {f"clock.{name}": value for name, value in overrides.items()}
    plan = load_scenario("market-crash", overrides=settings).plan
    return plan.clock_mode, plan.speed


def test_a_clock_is_virtual_and_without_a_ceiling_unless_asked_for() -> None:
    assert clock() == (ClockMode.VIRTUAL, None)
    assert clock(mode="virtual") == (ClockMode.VIRTUAL, None)


@pytest.mark.parametrize("speed", ["0.25", "1", "3600"])
def test_a_virtual_clock_takes_any_speed_as_its_ceiling(speed: str) -> None:
    assert clock(speed=speed) == (ClockMode.VIRTUAL, float(speed))


def test_a_wall_clock_goes_as_asked_for_or_as_the_wall_s() -> None:
    assert clock(mode="wall") == (ClockMode.WALL, 1.0)
    assert clock(mode="wall", speed="60") == (ClockMode.WALL, 60.0)
    assert clock(mode="wall", speed="1") == (ClockMode.WALL, 1.0)


def test_a_wall_clock_that_is_too_slow_is_refused_where_it_was_said() -> None:
    with pytest.raises(ScenarioError, match=r"--set clock.speed=0.5: spec.clock.speed: .* got 0.5"):
        clock(mode="wall", speed="0.5")


def test_an_embedded_run_is_the_same_by_either_clock() -> None:
    """The results are equal, including the heads of all journals."""
    wall = changed(clock_mode=ClockMode.WALL, speed=60.0)
    assert run(wall, control=False) == run(CRASH, control=False)


def test_no_shipped_scenario_asks_for_a_speed() -> None:
    plans = [load_scenario(name).plan for name in shipped()]
    assert {(p.clock_mode, p.speed) for p in plans} == {(ClockMode.VIRTUAL, None)}


def test_the_clock_that_the_template_proposes_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = new_scenario("mine")
    assert "# clock:" in text
    file.write_text(text.replace("# clock:", "clock:"), encoding="utf-8")
    plan = load_scenario(file).plan
    assert (plan.clock_mode, plan.speed) == (ClockMode.WALL, 10.0)


def changed(**fields: Any) -> RunPlan:
    return msgspec.structs.replace(CRASH, **fields)


def other_fault(**fields: Any) -> RunPlan:
    (fault,) = CRASH.faults
    return changed(faults=(msgspec.structs.replace(fault, **fields),))


@pytest.mark.parametrize(
    "plan",
    [
        changed(seed=CRASH.seed + 1),
        changed(name="another"),
        changed(start=CRASH.start + SECOND),
        changed(limits={"drawdown": "3 %"}),
        changed(expectations=CRASH.expectations[:-1]),
        changed(faults=CRASH.faults * 2),
        other_fault(name="fall"),
        other_fault(at=CRASH.faults[0].at + 1),
        other_fault(duration=CRASH.faults[0].duration + 1),
        other_fault(fault=load_scenario("exchange-downtime").plan.faults[0].fault),
    ],
)
def test_another_run_has_another_digest(plan: RunPlan) -> None:
    assert plan_digest(plan) != plan_digest(CRASH)
    assert plan.journal_id != CRASH.journal_id


@pytest.mark.parametrize(
    "plan",
    [
        changed(clock_mode=ClockMode.WALL, speed=60.0),
        changed(speed=0.5),
        changed(description="In other words"),
        msgspec.json.decode(msgspec.json.encode(CRASH), type=RunPlan),
    ],
)
def test_the_same_run_has_the_same_digest(plan: RunPlan) -> None:
    assert plan_digest(plan) == plan_digest(CRASH)
    assert plan.journal_id == CRASH.journal_id


def test_the_order_in_which_limits_are_written_changes_nothing() -> None:
    limits = {"drawdown": "3 %", "price-move": "4 %"}
    forward, backward = changed(limits=limits), changed(limits=dict(reversed(limits.items())))
    assert list(forward.limits) != list(backward.limits)
    assert plan_digest(forward) == plan_digest(backward)


def test_journals_are_named_by_the_digest() -> None:
    assert len(plan_digest(CRASH)) == 64
    assert plan_digest(CRASH).startswith(CRASH.journal_id)
    assert len(CRASH.journal_id) == 16
