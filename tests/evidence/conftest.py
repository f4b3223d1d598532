"""Fixtures: a run, its report, and copies of the report to change."""

import shutil
from pathlib import Path

import pytest

from tests.evidence.small_run import outside, plan
from trading.embedded.reporting import write_report
from trading.embedded.run import RunResult, run_plan


@pytest.fixture(scope="session")
def run() -> RunResult:
    """Return a run with orders of a client."""
    small_plan = plan()
    return run_plan(small_plan, outside=outside(small_plan.start))


@pytest.fixture(scope="session")
def report(run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of the run; tests must not change it."""
    directory = tmp_path_factory.mktemp("report") / "out"
    write_report(run, directory)
    return directory


@pytest.fixture
def copy(report: Path, tmp_path: Path) -> Path:
    """Return a copy of the report that a test may change."""
    return Path(shutil.copytree(report, tmp_path / "copy"))
