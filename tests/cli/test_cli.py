"""Tests the command line as people and CI use it: a process with its output and exit code."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.evidence.small_run import TEXT
from tests.forked import command


def trading(
    *args: str, cwd: Path | None = None, forked: bool = True
) -> subprocess.CompletedProcess[str]:
    result = command(*args, cwd=cwd, forked=forked)
    assert "Traceback" not in result.stderr
    assert "\x1b[" not in result.stdout, "colours where there is no terminal"
    return result


def test_pass_is_0_and_progress_comes_as_plain_lines() -> None:
    result = trading("run", "strategy-malfunction", forked=False)
    assert result.returncode == 0, result.stdout + result.stderr
    for text in ("phase SteadyState", "verified", "alert runaway-orders", "Pass", "recovery"):
        assert text in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["beside", "order-rate", "on", "firm-momentum", "0:07:06"] in [x[:5] for x in lines]
    assert ["expected", "runaway-orders", "on", "firm-momentum"] in [x[:4] for x in lines]
    assert ["again", "trading", "run", "strategy-malfunction", "--seed", "9"] in lines


def test_fail_is_1_and_says_why() -> None:
    result = trading(
        "run", "strategy-malfunction", "--quiet", "--set", "controls.disable=[runaway-orders]"
    )
    assert result.returncode == 1
    assert "MISSED" in result.stdout and "switched off" in result.stdout
    assert "changed   controls.disable=[runaway-orders]" in result.stdout
    repeat_line = "again     trading run strategy-malfunction --seed 9 --set "
    assert f"{repeat_line}'controls.disable=[runaway-orders]'" in result.stdout
    assert "phase" not in result.stdout


def test_inconclusive_is_3() -> None:
    """The limit is so low that the quiet market exceeds it, so there is no steady state."""
    limit = "controls.limits.price-move=0.001%"
    result = trading("run", "strategy-malfunction", "--json", "--set", limit)
    assert result.returncode == 3, result.stdout + result.stderr
    assert json.loads(result.stdout)["outcome"] == "Inconclusive"


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
        (["audit", "verify", ".", "--root", "12"], "64 hexadecimal digits"),
        (["audit", "verify", ".", "--public-key", "/no/such"], "--public-key /no/such"),
        (["run", "market-crash", "--sign", "README.md"], "--sign needs --report"),
        (["run", "market-crash", "--report", ".", "--sign", "README.md"], "no private key"),
        (["keys", "new", "/no/such/key"], "/no/such/key: No such file"),
        (["sceanrio"], "sceanrio"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_wrong_input_is_2_and_says_what(args: list[str], says: str) -> None:
    result = trading(*args)
    assert result.returncode == 2, result.stdout + result.stderr
    assert says in result.stderr


def test_new_does_not_overwrite(tmp_path: Path) -> None:
    assert trading("scenario", "new", "mine", cwd=tmp_path).returncode == 0
    text = (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("# precious", encoding="utf-8")
    assert trading("scenario", "new", "mine", cwd=tmp_path).returncode == 2
    assert (tmp_path / "mine.yaml").read_text(encoding="utf-8") == "# precious"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    result = trading("run", "mine.yaml", "--quiet", cwd=tmp_path)
    assert result.returncode == 0, result.stdout


def test_every_shipped_scenario_is_valid_and_listed() -> None:
    listed = trading("scenario", "list").stdout
    names = [line.split()[0] for line in listed.split("\n") if line and line[0] != " "]
    assert len(names) == 10
    assert trading("scenario", "validate", *names).returncode == 0


def test_help_teaches() -> None:
    for words in ([], ["run"], ["scenario"], ["audit", "verify"], ["schema"]):
        result = trading(*words, "--help")
        assert result.returncode == 0 and len(result.stdout) > 100
    assert "Exit code" in trading("run", "--help").stdout


def test_schema_is_a_json_schema() -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads(trading("schema").stdout)
    Draft202012Validator.check_schema(schema)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a short run."""
    directory = tmp_path_factory.mktemp("run")
    (directory / "dark.yaml").write_text(TEXT, encoding="utf-8")
    result = trading("run", "dark.yaml", "--quiet", "--report", "report", cwd=directory)
    assert result.returncode == 0, result.stdout
    return directory / "report"


def test_report_has_everything(report: Path) -> None:
    names = {p.name for p in report.iterdir()}
    evidence = {"plan.json", "verdict.json", "journals"}
    assert names == evidence | {"junit.xml", "report.html", "summary.svg"}
    assert len(list((report / "journals").iterdir())) == 8
    suite = ET.parse(report / "junit.xml").getroot().find("testsuite")
    assert suite is not None and suite.get("failures") == "0"


def test_audit_verify_accepts_what_was_written(report: Path) -> None:
    result = trading("audit", "verify", str(report))
    assert result.returncode == 0 and "every chain holds" in result.stdout
    root = json.loads((report / "verdict.json").read_text())["audit"]["root"]
    assert f"root {root}" in result.stdout
    assert trading("audit", "verify", str(report), "--root", root).returncode == 0
    result = trading("audit", "verify", str(report), "--root", "0" * 64)
    assert result.returncode == 1 and "root: the copy says 0000" in result.stdout


def test_a_forged_verdict_is_named(report: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(report, tmp_path / "copy"))
    text = (copy / "verdict.json").read_text()
    (copy / "verdict.json").write_text(text.replace('"outcome": "Pass"', '"outcome": "Fail"', 1))
    result = trading("audit", "verify", str(copy))
    assert result.returncode == 1
    assert 'verdict.json: outcome: the file says "Fail", computed "Pass"' in result.stdout


def test_a_pair_of_keys_signs_and_checks(tmp_path: Path) -> None:
    created = trading("keys", "new", cwd=tmp_path)
    assert created.returncode == 0, created.stderr
    key = tmp_path / "evidence.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert "PUBLIC" in (tmp_path / "evidence.key.pub").read_text()
    (tmp_path / "dark.yaml").write_text(TEXT, encoding="utf-8")
    run = ("run", "dark.yaml", "--quiet", "--report", "out", "--sign", "evidence.key")
    assert trading(*run, cwd=tmp_path).returncode == 0
    check = ("audit", "verify", "out", "--public-key", "evidence.key.pub")
    result = trading(*check, cwd=tmp_path)
    assert result.returncode == 0 and "not checked" not in result.stdout, result.stdout
    assert "was not checked" in trading(*check[:3], cwd=tmp_path).stdout
    assert trading("keys", "new", "other", cwd=tmp_path).returncode == 0
    result = trading(*check[:-1], "other.pub", cwd=tmp_path)
    assert result.returncode == 1 and "statement.sig: is no signature" in result.stdout


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    for existing in ("mine", "mine.pub"):
        (tmp_path / existing).write_text("precious")
        result = trading("keys", "new", str(tmp_path / "mine"))
        assert result.returncode == 2 and f"{existing} exists already" in result.stderr
        assert (tmp_path / existing).read_text() == "precious"
        (tmp_path / existing).unlink()
        assert not list(tmp_path.iterdir())
    assert trading("keys", "new", str(tmp_path)).returncode == 0
    assert {p.name for p in tmp_path.iterdir()} == {"evidence.key", "evidence.key.pub"}


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
    result = trading("audit", "verify", str(copy))
    assert result.returncode == 1, result.stdout
    assert service in result.stdout


@pytest.mark.parametrize("text", ["[/foo]", "\\e]0;owned\\a", "one\\nPass  two", "\\x9b31m"])
def test_a_description_is_text_whatever_is_in_it(tmp_path: Path, text: str) -> None:
    """Such a description used to cause a traceback with exit code 1, which means Fail."""
    file = tmp_path / "hostile.yaml"
    shipped = Path("scenarios/strategy-malfunction.yaml").read_text(encoding="utf-8")
    written = shipped.replace("  description:", f'  description: "{text}" #', 1)
    assert written != shipped
    file.write_text(written, encoding="utf-8")
    result = trading("run", str(file))
    assert result.returncode == 0, result.stdout + result.stderr
    head = result.stdout.splitlines()[0]
    assert head.split(" · ")[2] == text.replace("\\e", "\\x1b").replace("\\a", "\\x07").replace(
        "\\n", " "
    )
    as_json = trading("run", str(file), "--json").stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", as_json) and json.loads(as_json)


def test_a_command_that_breaks_is_no_verdict(tmp_path: Path) -> None:
    """The exit code is not 1, which Python uses for a traceback and ``trading`` for a Fail."""
    broken = "import trading.embedded.run as r; r.run_plan = lambda *_, **__: 1 / 0;"
    code = f"{broken} from trading.cli.__main__ import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "run", "strategy-malfunction", "--quiet"],
        env={**os.environ, "PYTHONPATH": str(Path("services").resolve())},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 5 and "ZeroDivisionError" in result.stderr


def test_the_evidence_is_written_even_if_nobody_reads_the_verdict(tmp_path: Path) -> None:
    """As in a pipe to a command that ends early, such as head."""
    program = [sys.executable, "-m", "trading.cli", "run", "exchange-downtime", "--quiet"]
    with subprocess.Popen([*program, "--report", str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(300) != 0
    assert (tmp_path / "verdict.json").exists() and (tmp_path / "report.html").exists()
