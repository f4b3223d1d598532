"""A tape has what a program in lockstep reads, and a score is the verdict of that program."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.forked import command
from tests.monitors.scenario import NOTICING, TEXT, judged, plan, write_program
from trading.embedded.reporting import write_report
from trading.embedded.tape import TapeError, score, write_tape
from trading.embedded.verification import verify_directory
from trading.scenario.result import Outcome


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a tape of the short run."""
    directory = tmp_path_factory.mktemp("tape")
    write_tape(plan(), directory)
    return directory


@pytest.fixture
def copied(tape: Path, tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the tape that a test may change."""
    directory = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(tape), str(directory)], check=True)
    yield directory


def replayed(words: list[str], tape: Path, name: str, output: Path) -> Path:
    """Feed a tape to a program, and return the file with what it wrote."""
    with (tape / f"{name}.ndjson").open("rb") as source, output.open("wb") as sink:
        subprocess.run(words, stdin=source, stdout=sink, check=True)
    return output


def test_it_has_the_lines_of_a_program_in_lockstep(tape: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = f"    open({str(seen)!r}, 'a').write(text)\n"
    text = TEXT.replace("steadyState", "controls: {}\n  steadyState")
    judged(write_program(tmp_path / "monitor.py", body), text)
    assert seen.read_bytes() == (tape / "events.ndjson").read_bytes()


def test_the_truth_is_apart(tape: Path) -> None:
    (fault,) = json.loads((tape / "truth" / "faults.json").read_text())
    assert fault["name"] == "fall" and fault["injected_at"]
    for name in ("events", "quiet"):
        assert b"fall" not in (tape / f"{name}.ndjson").read_bytes()
    assert _lowest(tape / "events.ndjson") < 0.9 * _lowest(tape / "quiet.ndjson")


def _lowest(path: Path) -> float:
    """Return the lowest price of Bitcoin on a tape."""
    events = [json.loads(line) for line in path.read_text().splitlines() if '"BTC"' in line]
    return min(float(event["price"]) for event in events if event.get("event") == "price")


def test_a_score_is_the_verdict_of_the_program_in_lockstep(tape: Path, tmp_path: Path) -> None:
    words = write_program(tmp_path / "monitor.py", NOTICING)
    alerts = replayed(words, tape, "events", tmp_path / "alerts.ndjson")
    quiet = replayed(words, tape, "quiet", tmp_path / "quiet.ndjson")
    scored = score(tape, alerts, quiet).verdict
    closed = judged(words).verdict
    assert scored.outcome == closed.outcome == Outcome.PASS
    assert scored.expectations == closed.expectations
    assert [m.open_loop for m in (*scored.monitors, *closed.monitors)] == [True, False]


def test_an_alert_that_is_repeated_is_one(tape: Path, tmp_path: Path) -> None:
    words = write_program(tmp_path / "monitor.py", NOTICING.replace(" and not fired", ""))
    alerts = replayed(words, tape, "events", tmp_path / "alerts.ndjson")
    assert alerts.read_bytes().count(b'"alert"') > 1
    (outcome,) = score(tape, alerts).verdict.monitors
    assert outcome.alerts == judged(words).verdict.monitors[0].alerts == 1


def test_alerts_may_carry_their_time_instead(tape: Path, tmp_path: Path) -> None:
    (fault,) = json.loads((tape / "truth" / "faults.json").read_text())
    alerts = tmp_path / "alerts.ndjson"
    line = {"alert": "price-move", "labels": {"subject": "BTC"}}
    alerts.write_text(json.dumps({**line, "time": fault["injected_at"] + 3_000_000}) + "\n")
    verdict = score(tape, alerts).verdict
    assert verdict.outcome == Outcome.PASS and verdict.expectations[0].latency == 3_001_000
    alerts.write_text(json.dumps({**line, "time": fault["injected_at"] + 60_000_000}) + "\n")
    assert score(tape, alerts).verdict.outcome == Outcome.FAIL


def test_what_also_fires_on_the_quiet_tape_is_no_detection(tape: Path, tmp_path: Path) -> None:
    words = write_program(tmp_path / "monitor.py", NOTICING)
    alerts = replayed(words, tape, "events", tmp_path / "alerts.ndjson")
    verdict = score(tape, alerts, alerts).verdict
    assert verdict.outcome == Outcome.FAIL
    assert "also fires without the fault" in verdict.reasons[0]


def test_a_score_leaves_evidence(tape: Path, tmp_path: Path) -> None:
    words = write_program(tmp_path / "monitor.py", NOTICING)
    alerts = replayed(words, tape, "events", tmp_path / "alerts.ndjson")
    write_report(score(tape, alerts), tmp_path / "report")
    assert verify_directory(tmp_path / "report").intact


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drawdown\n", "alerts.ndjson:1: "),
        ('\n{"alert": "a"}\n', "alerts.ndjson:2: expected a time of "),
        ('{"alert": "a", "kill": "b"}\n', "expected one of alert, resolve, kill, done"),
        ('{"done": 2000000000000000}\n{"done": 1}\n', "alerts.ndjson:2: expected a time of 2000"),
        ('{"alert": "", "time": 2000000000000000}\n', "an alert needs a name"),
    ],
)
def test_wrong_alerts_are_named(tape: Path, tmp_path: Path, text: str, says: str) -> None:
    alerts = tmp_path / "alerts.ndjson"
    alerts.write_text(text)
    with pytest.raises(TapeError) as caught:
        score(tape, alerts)
    assert says in str(caught.value)


def test_a_changed_tape_is_refused(copied: Path, tmp_path: Path) -> None:
    alerts = tmp_path / "alerts.ndjson"
    alerts.write_text("")
    assert score(copied, alerts).verdict.outcome == Outcome.FAIL
    (copied / "truth" / "faults.json").write_text("[]")
    with pytest.raises(TapeError, match=r"faults.json was changed"):
        score(copied, alerts)


def test_a_tape_of_another_version_is_refused(copied: Path, tmp_path: Path) -> None:
    contents = json.loads((copied / "tape.json").read_text())
    (copied / "tape.json").write_text(json.dumps({**contents, "version": "0.0.1"}))
    with pytest.raises(TapeError, match=r"written by version 0\.0\.1"):
        score(copied, tmp_path / "alerts.ndjson")


def test_a_tape_is_for_one_monitor(tmp_path: Path) -> None:
    for monitors in ((), ("risk-monitor",), ("a", "b")):
        with pytest.raises(TapeError, match="a tape is for one monitor"):
            write_tape(msgspec.structs.replace(plan(), monitors=monitors), tmp_path)


def test_the_commands(tmp_path: Path) -> None:
    scenario = tmp_path / "fall.yaml"
    scenario.write_text(TEXT.replace("  monitors: [desk]\n", ""))
    taped = command("tape", "fall.yaml", "--out", "tape", cwd=tmp_path)
    assert taped.returncode == 0, taped.stderr
    words = write_program(tmp_path / "monitor.py", NOTICING)
    replayed(words, tmp_path / "tape", "events", tmp_path / "alerts.ndjson")
    scored = command("score", "tape", "alerts.ndjson", "--json", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["monitors"][0]["open_loop"]
    scenario.write_text(TEXT)
    named = command("tape", "fall.yaml", "--out", "named", cwd=tmp_path)
    assert named.returncode == 0, named.stderr
    start = json.loads((tmp_path / "named" / "events.ndjson").read_text().splitlines()[0])
    assert start["monitor"] == "desk", "the scenario names it"
    missing = command("score", "tape", "nothing.ndjson", cwd=tmp_path)
    assert missing.returncode == 2 and "nothing.ndjson: No such file" in missing.stderr
    no_tape = command("score", ".", "alerts.ndjson", cwd=tmp_path)
    assert no_tape.returncode == 2 and "is no tape" in no_tape.stderr
