"""The description of a run is in the verdict and in the coordinator's journal, and nowhere else."""

import shlex
from pathlib import Path

import msgspec
import pytest

from tests.evidence.small_run import OVERRIDES, TEXT, plan
from trading.embedded.api import load_scenario, load_submitted
from trading.embedded.run import RunResult, run_plan
from trading.links.session_control import without_faults
from trading.report.html import render_html
from trading.risk_monitor import RULES
from trading.runtime.journal import decode
from trading.scenario.plan import installed_version, plan_digest, reproduction
from trading.topology import TEST_COORDINATOR


@pytest.fixture(scope="module")
def run() -> RunResult:
    """Return the result of the small run."""
    return run_plan(plan())


def test_the_verdict_says_what_was_run(run: RunResult) -> None:
    setup = run.verdict.setup
    assert setup.version == installed_version()
    assert setup.plan_digest == plan_digest(plan())
    assert setup.seed == 6
    assert setup.overrides == {**OVERRIDES, "seed": "6"}
    assert setup.disabled_rules == ("layering",)
    assert set(setup.limits) == set(RULES) - {"layering"}
    assert setup.limits["price-move"] == "3 %"
    assert setup.limits["drawdown"] == RULES["drawdown"].default.text
    assert setup.limits["stale-feed"] == "6s", "at least three ticks of two seconds"


def test_the_coordinator_s_journal_begins_with_it(run: RunResult) -> None:
    entries = [decode(e.body) for e in run.journals[TEST_COORDINATOR].after(0)]
    assert [kind for _, _, kind, _ in entries[:2]] == ["Received", "RunDescribed"]
    assert entries[1][3]["setup"] == msgspec.json.decode(msgspec.json.encode(run.verdict.setup))


def test_nobody_else_knows_of_it(run: RunResult) -> None:
    for name, journal in run.journals.items():
        matches = [e.body for e in journal.after(0) if b"faults.dark.duration" in e.body]
        assert len(matches) == (1 if name == TEST_COORDINATOR else 0), name


def test_services_are_not_told_what_was_changed() -> None:
    """An override names the fault that it changes, so services must not see it."""
    public_plan = without_faults(plan())
    assert public_plan.overrides == {} and public_plan.source == ""


def test_overrides_and_where_a_plan_comes_from_are_no_part_of_its_digest() -> None:
    """A file with certain values, and another one with overrides to them, are the same run."""
    text = TEXT.replace("seed: 4", "seed: 6").replace("duration: 30s, exch", "duration: 32s, exch")
    text = text.replace("{disable:", "{limits: {price-move: 3 %}, disable:")
    written = load_submitted(text).plan
    assert (written.overrides, written.source) == ({}, f"{written.name}.yaml")
    assert plan_digest(written) == plan_digest(plan())


def test_the_command_makes_the_same_run() -> None:
    """A shell that executes the command runs the same plan."""
    change = {"spec.faults.crash.marketShock.change": "-6 %", "controls.disable": "[drawdown]"}
    loaded = load_scenario("market-crash", seed=3, overrides=change).plan
    program, verb, scenario, *options = shlex.split(reproduction(loaded))
    assert (program, verb, scenario) == ("trading", "run", "market-crash")
    assert options[:2] == ["--seed", "3"]
    sets = dict(value.split("=", 1) for value in options[3::2])
    assert options[2::2] == ["--set"] * 2
    repeated = load_scenario(scenario, seed=3, overrides=sets).plan
    assert repeated == loaded


def test_the_command_names_a_file_as_it_was_named(tmp_path: Path) -> None:
    file = tmp_path / "my drop.yaml"
    file.write_text(TEXT, encoding="utf-8")
    command = reproduction(load_scenario(file).plan)
    assert command == f"trading run '{file}' --seed 4"


def test_every_alert_is_listed_expected_or_not(run: RunResult) -> None:
    listed = [(a.rule, a.subject, a.expected) for a in run.verdict.alerts]
    assert ("venue-down", "exchange", True) in listed
    assert any(not expected for _, _, expected in listed)
    fired = [
        decode(e.body)[3]["alert_id"]
        for e in run.journals["risk-monitor"].after(0)
        if b'"AlertFired"' in e.body
    ]
    assert len(listed) == len(fired) > 1


def test_the_page_says_what_was_changed(run: RunResult) -> None:
    page = render_html(run.verdict, run.record)
    head = page[: page.index("</header>")]
    assert "The venue is dark (changed: controls.limits.price-move=3 %, faults.dark" in head
    assert run.verdict.setup.plan_digest in page and f"version {installed_version()}" in page
    for rule, limit in run.verdict.setup.limits.items():
        assert f"<td>{rule}</td><td>{limit}</td>" in page
    assert "<td>layering</td><td>switched off</td>" in page
    assert "<td>beside</td>" in page
