"""What the README shows is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trading.embedded.api import load_scenario
from trading.embedded.run import run_plan
from trading.scenario.errors import ScenarioError

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [body for name, body in BLOCKS if name == language]


def shell(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=directory,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "script", [s for s in blocks("sh") if "trading" in s], ids=lambda s: s.split("\n")[0]
)
def test_shell_blocks_run(script: str, tmp_path: Path) -> None:
    done = shell(script, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_make_targets_exist() -> None:
    targets = [t for s in blocks("sh") for t in re.findall(r"^make (\w+)", s, re.MULTILINE)]
    assert targets == ["run", "test"]
    for target in targets:
        assert shell(f"make -n {target}", ROOT).returncode == 0


def test_python_blocks_run(tmp_path: Path) -> None:
    (script,) = blocks("python")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_scenario_passes(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    file = tmp_path / "usdt.yaml"
    file.write_text(text, encoding="utf-8")
    verdict = run_plan(load_scenario(file).plan).verdict
    assert (verdict.outcome, verdict.reasons) == ("Pass", ())


def test_the_mistake_is_reported_as_shown(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    file = tmp_path / "usdt.yaml"
    wrong = text.replace("depeg:", "depegg:").replace("alert: peg-deviation", "alert: peg-deviaton")
    file.write_text(wrong, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(file)
    reported = [*str(caught.value).replace(f"{tmp_path}/", "").split("\n")]
    (shown,) = [b for b in blocks("text") if "did you mean" in b]
    assert [*reported, "2 problems, nothing was run"] == shown.strip().split("\n")


def test_the_verdict_is_as_shown() -> None:
    done = shell("trading run market-crash --quiet", ROOT)
    (shown,) = [b for b in blocks("text") if b.startswith("Pass")]
    lines = [line.rstrip() for line in done.stdout.split("\n")]
    for line in shown.split("\n"):
        assert line == "..." or line in lines


def test_generated_documents_are_fresh() -> None:
    done = shell("python -m tools.generate --check", ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
