"""What a user writes: monitors in a scenario and on the command line, with clear messages."""

import sys
from pathlib import Path

import pytest

from tests.forked import command
from tests.monitors.scenario import NOTICING, TEXT, write_program
from trading.embedded.api import load_submitted
from trading.monitors import MonitorError
from trading.monitors.sources import MonitorSource, WrongMonitors, parse_sources
from trading.scenario.errors import ScenarioError

EXPECTED = "{alert: price-move, of: fall, within: 10s}"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[desk]", "[desk, desk]", "spec.monitors[1]: 'desk' is named twice"),
        ("[desk]", "[exchange]", "'exchange' is a service, and no monitor"),
        ("[desk]", "[Desk]", "spec.monitors[0]"),
        ("of: fall", "of: fall, monitor: dest", "'dest' is not in spec.monitors, did you mean"),
        (EXPECTED, "{breaker: HALTED, of: fall, within: 1s, monitor: desk}", "belongs to an alert"),
        ("[desk]", "[desk, risk-monitor]", ""),
        ("price-move", "anything", ""),
        ("price-move, of", "'*', of", ""),
    ],
)
def test_monitors_in_a_scenario(old: str, new: str, says: str) -> None:
    text = TEXT.replace(old, new)
    assert text != TEXT
    if not says:
        assert load_submitted(text).plan.monitors
        return
    with pytest.raises(ScenarioError) as caught:
        load_submitted(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        ("price-move, of", "'*', of"),
        ("price-move", "anything"),
        ("of: fall", "of: fall, labels: {subject: BTC}"),
    ],
)
def test_the_built_in_one_is_still_checked(change: tuple[str, str]) -> None:
    for monitors in ("[risk-monitor, desk]", "[]"):
        with pytest.raises(ScenarioError):
            load_submitted(TEXT.replace("[desk]", monitors).replace(*change))


def test_monitors_on_the_command_line() -> None:
    assert parse_sources(["desk=exec:./m --fast", "exec:x", "fund=my.module:Monitor"]) == [
        MonitorSource("desk", "exec:./m --fast"),
        MonitorSource("monitor", "exec:x"),
        MonitorSource("fund", "my.module:Monitor"),
    ]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["./m"], "'./m' is no monitor: write exec:COMMAND"),
        (["desk=exec:"], "has no command"),
        (["exec:'x"], "No closing quotation"),
        (["exec:a", "exec:b"], "two monitors are named 'monitor': write NAME= before each"),
    ],
)
def test_wrong_monitors_are_named(texts: list[str], says: str) -> None:
    with pytest.raises(WrongMonitors) as caught:
        parse_sources(texts)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "target", "says"),
    [
        ("", "absent_module:X", "cannot import absent_module: ModuleNotFoundError"),
        ("", "mine_a:X", "mine_a has no X"),
        ("raise OSError('no model')", "mine_b:X", "cannot import mine_b: OSError: no model"),
        ("class X:\n    pass\n", "mine_c:X", "X has no method on(events, now)"),
        ("def X():\n    return 1 // 0\n", "mine_d:X", "X() failed: ZeroDivisionError"),
    ],
)
def test_a_class_that_cannot_be_created_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, target: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / f"{target.partition(':')[0]}.py").write_text(content) if content or (
        target == "mine_a:X"
    ) else None
    with pytest.raises(MonitorError) as caught:
        MonitorSource("desk", target).create()
    assert says in str(caught.value)


def test_the_command(tmp_path: Path) -> None:
    """A class and a program are judged in one run, which says how to repeat it."""
    (tmp_path / "fall.yaml").write_text(TEXT.replace("  monitors: [desk]\n", ""))
    words = write_program(tmp_path / "monitor.py", NOTICING)
    (tmp_path / "mine.py").write_text(
        "class Silent:\n    def on(self, events, now):\n        return ()\n"
    )
    program, silent = f"quick=exec:{' '.join(words)}", "asleep=mine:Silent"
    run = command("run", "fall.yaml", "--quiet", "--monitor", program, "--monitor", silent,
                  cwd=tmp_path)  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert "alert price-move by asleep: never came" in run.stdout
    assert f"--monitor '{program}' --monitor {silent}" in run.stdout
    wrong = command("run", "fall.yaml", "--monitor", "nothing", cwd=tmp_path)
    assert wrong.returncode == 2 and "is no monitor" in wrong.stderr
    absent = command("run", "fall.yaml", "--quiet", "--monitor", "exec:./absent", cwd=tmp_path)
    assert absent.returncode == 2 and "cannot start ./absent" in absent.stderr
    (tmp_path / "named.yaml").write_text(TEXT)
    unnamed = command("run", "named.yaml", "--quiet", cwd=tmp_path)
    assert unnamed.returncode == 2 and "--monitor desk=exec:COMMAND" in unnamed.stderr
    other = command("run", "named.yaml", "--monitor", "dest=exec:true", cwd=tmp_path)
    assert other.returncode == 2
