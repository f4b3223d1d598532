"""The reports of two runs, and copies to tamper with."""

import shutil
from pathlib import Path

import pytest

from tests.evidence.small_run import outside, plan
from trading.embedded.reporting import write_report
from trading.embedded.run import RunResult, run_plan


@pytest.fixture(scope="session")
def run() -> RunResult:
    """A run with orders from outside."""
    wanted = plan()
    return run_plan(wanted, outside=outside(wanted.start))


@pytest.fixture(scope="session")
def report(run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report; not to be changed."""
    directory = tmp_path_factory.mktemp("report") / "out"
    write_report(run, directory)
    return directory


@pytest.fixture
def copy(report: Path, tmp_path: Path) -> Path:
    """A copy of the report, to be changed."""
    return Path(shutil.copytree(report, tmp_path / "copy"))
