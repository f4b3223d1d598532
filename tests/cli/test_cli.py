"""The command as people and CI run it: a process, its output, its exit code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

TRADING = [sys.executable, "-m", "trading.cli"]


def trading(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path("services").resolve())}
    done = subprocess.run(
        [*TRADING, *args], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    assert "\x1b[" not in done.stdout, "colours where there is no terminal"
    return done


def test_pass_is_0_and_progress_comes_as_plain_lines() -> None:
    done = trading("run", "strategy-malfunction")
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("phase SteadyState", "verified", "alert runaway-orders", "Pass", "recovery"):
        assert text in done.stdout


def test_fail_is_1_and_says_why() -> None:
    done = trading(
        "run", "strategy-malfunction", "--quiet", "--set", "controls.disable=[runaway-orders]"
    )
    assert done.returncode == 1
    assert "MISSED" in done.stdout and "switched off" in done.stdout
    assert "phase" not in done.stdout


def test_inconclusive_is_3() -> None:
    """A limit that the quiet market breaks: the steady state never comes."""
    limit = "controls.limits.price-move=0.001%"
    done = trading("run", "strategy-malfunction", "--json", "--set", limit)
    assert done.returncode == 3, done.stdout + done.stderr
    assert json.loads(done.stdout)["outcome"] == "Inconclusive"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["run", "no-such"], "no-such"),
        (["run", "."], "."),
        (["run", "market-crash", "--set", "seeds=1"], "did you mean 'seed'"),
        (["run", "market-crash", "--set", "seed"], "expected KEY=VALUE"),
        (["run", "market-crash", "--seed", "x"], "--seed"),
        (["run", "market-crash", "--report", "/dev/null/x"], "--report"),
        (["scenario", "show", "market-crsh"], "did you mean 'market-crash'"),
        (["scenario", "new", "Not A Name"], "Not A Name"),
        (["scenario", "validate", "no-such.yaml", "market-crash"], "no-such.yaml"),
        (["audit", "verify", "/no/such"], "/no/such"),
        (["sceanrio"], "sceanrio"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_wrong_input_is_2_and_says_what(args: list[str], says: str) -> None:
    done = trading(*args)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr


def test_new_does_not_overwrite(tmp_path: Path) -> None:
    assert trading("scenario", "new", "mine", cwd=tmp_path).returncode == 0
    text = (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("# precious", encoding="utf-8")
    assert trading("scenario", "new", "mine", cwd=tmp_path).returncode == 2
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == "# precious"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    done = trading("run", "mine.yaml", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_every_shipped_scenario_is_valid_and_listed() -> None:
    listed = trading("scenario", "list").stdout
    names = [line.split()[0] for line in listed.split("\n") if line and line[0] != " "]
    assert len(names) == 10
    assert trading("scenario", "validate", *names).returncode == 0


def test_help_teaches() -> None:
    for command in ([], ["run"], ["scenario"], ["audit", "verify"], ["schema"]):
        done = trading(*command, "--help")
        assert done.returncode == 0 and len(done.stdout) > 100
    assert "Exit code" in trading("run", "--help").stdout


def test_schema_is_a_json_schema() -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads(trading("schema").stdout)
    Draft202012Validator.check_schema(schema)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run") / "report"
    done = trading("run", "strategy-malfunction", "--quiet", "--report", str(directory))
    assert done.returncode == 0, done.stdout
    return directory


def test_report_has_everything(report: Path) -> None:
    names = {p.name for p in report.iterdir()}
    assert names == {"verdict.json", "junit.xml", "report.html", "summary.svg", "journals"}
    assert len(list((report / "journals").iterdir())) == 8
    suite = ET.parse(report / "junit.xml").getroot().find("testsuite")
    assert suite is not None and suite.get("failures") == "0"


def test_audit_verify_accepts_what_was_written(report: Path) -> None:
    done = trading("audit", "verify", str(report))
    assert done.returncode == 0 and "every chain holds" in done.stdout


def tampered(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b'"price', len(data) // 2) if b'"price' in data else len(data) // 2
    digit = next(i for i in range(at, len(data)) if chr(data[i]).isdigit())
    data[digit] = ord("1") if data[digit] != ord("1") else ord("2")
    path.write_bytes(bytes(data))


def truncated(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))


def reordered(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5], lines[6] = lines[6], lines[5]
    path.write_bytes(b"".join(lines))


def half_a_line(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def removed(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("service", ["exchange", "risk-monitor", "test-coordinator"])
@pytest.mark.parametrize("damage", [tampered, truncated, reordered, half_a_line, removed])
def test_audit_verify_finds_damage(
    report: Path, tmp_path: Path, damage: object, service: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(report, copy)
    damage(copy / "journals" / f"{service}.ndjson")  # type: ignore[operator]
    done = trading("audit", "verify", str(copy))
    assert done.returncode == 1, done.stdout
    assert service in done.stdout
