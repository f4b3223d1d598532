"""Tests that every changed field of verdict.json and plan.json is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.evidence.reports import changed, leaves, other, read, write
from tests.evidence.small_run import OVERRIDES, TEXT, plan
from trading.embedded.api import load_submitted
from trading.embedded.reporting import write_report
from trading.embedded.run import RunResult, run_plan
from trading.embedded.verification import verify_directory


def test_what_was_written_holds(report: Path, run: RunResult) -> None:
    checked = verify_directory(report)
    assert checked.problems == [] and checked.notes == []
    assert f"root {run.verdict.audit.root}" in checked.lines()
    assert run.verdict.outcome == "Pass", run.verdict.reasons


def test_a_run_with_nothing_from_outside_holds(tmp_path: Path) -> None:
    write_report(run_plan(plan()), tmp_path)
    assert verify_directory(tmp_path).problems == []


def test_a_run_that_failed_holds(tmp_path: Path) -> None:
    """The evidence of a failed run is valid, and its verdict is Fail."""
    failing = {**OVERRIDES, "controls.disable": "[venue-down]"}
    failing_plan = load_submitted(TEXT, overrides=failing).plan
    write_report(run_plan(failing_plan), tmp_path)
    checked = verify_directory(tmp_path)
    assert checked.problems == [] and checked.lines()[-1] == "verdict Fail"


def test_every_field_of_the_verdict_is_compared(copy: Path) -> None:
    """Each field is changed by itself, and has to be named."""
    verdict = read(copy / "verdict.json")
    missed = []
    paths = list(leaves(verdict))
    for path in paths:
        write(copy / "verdict.json", changed(verdict, path, other))
        problems = verify_directory(copy).problems
        if len(problems) != 1 or not problems[0].startswith(f"verdict.json: {path}"):
            missed.append((path, problems))
    assert missed == []
    assert len(paths) > 150


def test_a_field_is_named_with_both_values(copy: Path) -> None:
    verdict = read(copy / "verdict.json")
    write(copy / "verdict.json", {**verdict, "outcome": "Fail"})
    assert verify_directory(copy).problems == [
        'verdict.json: outcome: the file says "Fail", computed "Pass"'
    ]


def test_no_field_can_be_left_out_or_added(copy: Path) -> None:
    verdict = read(copy / "verdict.json")
    for name in verdict:
        write(copy / "verdict.json", {n: v for n, v in verdict.items() if n != name})
        (problem,) = verify_directory(copy).problems
        assert problem.startswith(f"verdict.json: {name}: not in the file, computed ")
    write(copy / "verdict.json", {**verdict, "approved": "by nobody"})
    (problem,) = verify_directory(copy).problems
    assert problem == 'verdict.json: approved: the file says "by nobody", there is no such field'


@pytest.mark.parametrize("name", ["alerts", "expectations", "faults", "phases", "conditions"])
def test_no_item_can_be_left_out(copy: Path, name: str) -> None:
    verdict = read(copy / "verdict.json")
    write(copy / "verdict.json", {**verdict, name: verdict[name][:-1]})
    assert f"verdict.json: {name}: the file has" in verify_directory(copy).problems[0]


def better(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return a verdict in which all expectations were met at once."""
    expected = [{**e, "met": True, "latency": 1, "reason": ""} for e in verdict["expectations"]]
    return {**verdict, "outcome": "Pass", "reasons": [], "expectations": expected}


def test_expectations_cannot_be_met_afterwards(copy: Path) -> None:
    write(copy / "verdict.json", better(read(copy / "verdict.json")))
    problems = verify_directory(copy).problems
    assert any(p.startswith("verdict.json: expectations[0].latency: ") for p in problems)


def test_a_field_that_stands_there_twice_is_found(copy: Path) -> None:
    """JSON parsers differ in which of two equal keys they take."""
    text = (copy / "verdict.json").read_text(encoding="utf-8")
    twice = text.replace('"outcome": ', '"outcome": "Fail",\n  "outcome": ', 1)
    assert json.loads(twice) == json.loads(text) and twice != text
    (copy / "verdict.json").write_text(twice, encoding="utf-8")
    (problem,) = verify_directory(copy).problems
    assert problem.startswith("verdict.json: has the right fields, and more")


def test_every_field_of_the_plan_is_compared(copy: Path) -> None:
    """A change of most fields changes the digest of the plan; the digest is compared first.

    The fields that the digest leaves out are compared with the journal and the verdict.
    """
    record = read(copy / "plan.json")
    missed = []
    for path in leaves(record):
        text = json.dumps(changed(record, path, other), separators=(",", ":"), ensure_ascii=False)
        (copy / "plan.json").write_text(f"{text}\n", encoding="utf-8")
        if not verify_directory(copy).problems:
            missed.append(path)
    assert missed == []


def test_a_plan_of_another_run_is_named(copy: Path) -> None:
    record = changed(read(copy / "plan.json"), "plan.seed", other)
    (copy / "plan.json").write_text(json.dumps(record), encoding="utf-8")
    assert any(p.startswith("plan.json: its digest is ") for p in verify_directory(copy).problems)


def test_without_a_plan_nothing_holds(copy: Path) -> None:
    (copy / "plan.json").unlink()
    assert verify_directory(copy).problems == [
        "plan.json: missing, so that nothing can be computed"
    ]
    (copy / "plan.json").write_text("{}", encoding="utf-8")
    assert verify_directory(copy).problems[0].startswith("plan.json: Object missing required field")


def test_a_copy_of_the_root_is_compared(report: Path, run: RunResult) -> None:
    root = run.verdict.audit.root
    assert verify_directory(report, root=root.upper()).problems == []
    (problem,) = verify_directory(report, root="0" * 64).problems
    assert problem == f"root: the copy says {'0' * 64}, computed {root}: this is another run"


def test_a_run_without_control_says_so(tmp_path: Path) -> None:
    write_report(run_plan(plan(), control=False), tmp_path)
    checked = verify_directory(tmp_path)
    assert checked.problems == []
    assert [n for n in checked.notes if "no control run" in n]
    assert read(tmp_path / "verdict.json")["command"].endswith(" --no-control")


def test_another_version_is_told(tmp_path: Path) -> None:
    write_report(run_plan(replace(plan(), version="0.0.1")), tmp_path)
    checked = verify_directory(tmp_path)
    assert checked.problems == [] and "made by version 0.0.1" in checked.notes[0]
