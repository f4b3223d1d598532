"""Every example scenario passes, and every kind and mode of fault has one."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.embedded.test_every_fault import FAULTS
from trading.embedded.api import load_scenario, run
from trading.scenario.model import EXPECTATION_KINDS, FAULT_KINDS

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCENARIOS = sorted(EXAMPLES.glob("*/*.yaml"))

#: Expectations that no embedded run can judge: they need a Prometheus.
NOT_EMBEDDED = {"promql"}


def specs() -> list[dict[str, Any]]:
    return [yaml.safe_load(file.read_text(encoding="utf-8"))["spec"] for file in SCENARIOS]


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_an_example_passes(file: Path) -> None:
    verdict = run(file)
    assert (verdict.outcome, verdict.reasons) == ("Pass", ())


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_an_example_is_named_after_its_file_and_says_what_it_shows(file: Path) -> None:
    assert load_scenario(file).plan.name == file.stem.partition("-")[2]
    assert file.read_text(encoding="utf-8").startswith("# ")


def test_examples_are_numbered_without_gaps() -> None:
    for directory in ("faults", "expectations"):
        numbers = [int(file.stem[:2]) for file in SCENARIOS if file.parent.name == directory]
        assert numbers == list(range(1, len(numbers) + 1))


def test_every_kind_and_mode_of_fault_has_an_example() -> None:
    modes = {
        (kind, fault[kind].get("mode"))
        for spec in specs()
        for fault in spec["faults"]
        for kind in FAULT_KINDS
        if kind in fault
    }
    assert modes >= {
        (kind, fields.get("mode")) for fault in FAULTS for kind, fields in fault.items()
    }


def test_every_kind_of_expectation_has_an_example() -> None:
    kinds = {kind for spec in specs() for expected in spec["expect"] for kind in expected}
    assert kinds >= set(EXPECTATION_KINDS) - NOT_EMBEDDED
