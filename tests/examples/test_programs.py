"""The example programs run, as their first lines say how."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.api.running import Up, quoted, wait_for
from tests.forked import command

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "examples" / "programs"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    ecosystem = Up(tmp_path_factory.mktemp("up") / "data")
    try:
        wait_for("a book", lambda: quoted(ecosystem))
        yield ecosystem
    finally:
        ecosystem.stop()


def lines(*words: object, cwd: Path = ROOT) -> list[str]:
    """Run a program; return the lines that it prints. Fails unless it ends with 0."""
    arguments = [str(word) for word in words]
    ended = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.splitlines()


def test_the_python_bot_trades(up: Up) -> None:
    credentials = up.data / "credentials.json"
    url = ("--url", up.url["exchange"], "--credentials", credentials)
    bought, placed, cancelled = lines(sys.executable, PROGRAMS / "01_bot.py", *url)
    assert bought.startswith("bought 0.01")
    assert placed.startswith("placed NEW at ")
    assert cancelled == "cancelled CANCELED"


def test_the_javascript_bot_trades(up: Up) -> None:
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("REQUIRE_BROWSER"), "CI runs this test: install nodejs"
        pytest.skip("there is no Node.js: apt-get install nodejs")
    credentials = up.data / "credentials.json"
    bought, holds = lines(node, PROGRAMS / "02_bot.mjs", up.url["exchange"], credentials)
    assert bought.startswith("bought 0.01")
    assert holds.endswith(" BTC") and float(holds.split()[1]) > 0


def test_a_journal_is_read(tmp_path: Path) -> None:
    report = tmp_path / "out"
    ended = command("run", "market-crash", "--quiet", "--report", str(report))
    assert ended.returncode == 0, ended.stderr
    *alerts, counts = lines(sys.executable, PROGRAMS / "03_read_journal.py", report)
    assert any(line.endswith("drawdown on portfolio") for line in alerts)
    assert "PriceTick" in counts


def test_risk_controls_are_judged_in_pytest() -> None:
    program = PROGRAMS / "test_04_risk_controls.py"
    printed = lines(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", program)
    assert "4 passed" in printed[-1]


def test_the_workflow_s_commands_run(tmp_path: Path) -> None:
    """In a copy of the checkout's scenarios, with the commands that are installed already."""
    workflow = yaml.safe_load((PROGRAMS / "05_ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["scenarios"]["steps"]
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "trading").symlink_to(Path(sys.executable).parent / "trading")
    shell_steps = [step["run"] for step in steps if "name" in step]
    assert len(shell_steps) == 2
    for script in shell_steps:
        lines("bash", "-e", "-c", script, cwd=tmp_path)
    assert len(list((tmp_path / "evidence").glob("*/junit.xml"))) == 2


def test_every_program_has_a_test() -> None:
    """A program that is added needs a test here, too."""
    assert sorted(path.name for path in PROGRAMS.iterdir() if path.is_file()) == [
        "01_bot.py",
        "02_bot.mjs",
        "03_read_journal.py",
        "05_ci.yml",
        "test_04_risk_controls.py",
    ]
