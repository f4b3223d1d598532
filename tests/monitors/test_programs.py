"""A program as a monitor: the protocol, its limits, and what a broken program comes to."""

from pathlib import Path

import pytest

from tests.api.running import wait_for
from tests.monitors.scenario import NOTICING, judged, plan, write_program
from trading.embedded.run import run_plan
from trading.monitors import Alert, Kill, MonitorError, Price, Resolve
from trading.monitors.program import MAX_ANSWERS, MAX_LINE, ProgramMonitor
from trading.scenario.result import Outcome

#: Any event.
EVENT = Price("BTC", None, 1, 0)


def test_a_program_that_notices_passes(tmp_path: Path) -> None:
    result = judged(write_program(tmp_path / "monitor.py", NOTICING))
    assert (result.verdict.outcome, result.verdict.reasons) == (Outcome.PASS, ())
    (alert,) = [a for a in result.verdict.alerts if a.monitor == "desk"]
    assert alert.rule == "price-move" and alert.labels == {"subject": "BTC"}


def test_the_same_seed_gives_it_the_same_events_byte_for_byte(tmp_path: Path) -> None:
    inputs = []
    for name in ("one", "two"):
        body = f"    open({str(tmp_path / name)!r}, 'a').write(text)\n" + NOTICING
        judged(write_program(tmp_path / f"{name}.py", body))
        inputs.append((tmp_path / name).read_bytes())
    assert inputs[0] == inputs[1]
    for kind in ("start", "price", "book", "trade", "execution", "account", "custody", "pong"):
        assert b'"event":"%s"' % kind.encode() in inputs[0], kind


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("    raise SystemExit(3)\n", "ended with exit code 3"),
        ("    raise ValueError('no data')\n", "ValueError: no data"),
        ("    import os; os.close(1); time.sleep(60)\n", "closed its output"),
        ("    print('drawdown!', flush=True)\n", "answered 'drawdown!'"),
        ("    say(alarm='drawdown')\n", "unknown field `alarm`"),
        ("    say(alert='a', resolve='b')\n", "expected one of alert, resolve, kill, done"),
        ("    say(alert='a', labels={'subject': 7})\n", "Expected `str`, got `int`"),
        ("    say(alert='')\n", "an alert needs a name"),
        ("    say(alert='a' * 101)\n", "name: longer than 100 characters"),
        ("    say(done=7)\n", "answered done 7 to the step"),
        (
            "    print(json.dumps({'done': line['now']}) + '\\n{}', flush=True)\n",
            "went on after done",
        ),
        ("    say(events=['prices'])\n", "asked for events 'prices'; there are start, price"),
        (f"    print('x' * {2 * MAX_LINE}, flush=True)\n", f"more than {MAX_LINE} bytes"),
        (
            f"    [say(alert=f'a{{n}}') for n in range({MAX_ANSWERS + 1})]\n",
            f"more than {MAX_ANSWERS} answers",
        ),
    ],
)
def test_a_broken_program_is_inconclusive_and_says_why(
    tmp_path: Path, body: str, says: str
) -> None:
    body = body if "done" not in body else "    if 'now' in line:\n    " + body
    result = judged(write_program(tmp_path / "monitor.py", body))
    assert result.verdict.outcome == Outcome.INCONCLUSIVE
    (reason,) = result.verdict.reasons[:1]
    assert reason.startswith("monitor desk: ") and says in reason
    forbidden = [e for e in result.verdict.expectations if e.kind == "noAlert"]
    assert [e.met for e in forbidden] == [False]


def test_a_program_that_takes_too_long_is_inconclusive(tmp_path: Path) -> None:
    result = judged(write_program(tmp_path / "monitor.py", "    time.sleep(60)\n"), timeout=0.5)
    assert result.verdict.outcome == Outcome.INCONCLUSIVE
    assert result.verdict.reasons[0] == "monitor desk: did not answer within 0.5 s"


def test_one_that_cannot_be_started_is_an_error() -> None:
    with pytest.raises(MonitorError, match="cannot start /no/such/program: No such file"):
        run_plan(plan(), monitors={"desk": lambda: ProgramMonitor(["/no/such/program"], 1)})


def test_its_answers_are_typed(tmp_path: Path) -> None:
    body = """\
    if "now" in line:
        say(alert="a", labels={"account": "x"}, observed="7", time=5)
        say(resolve="a", labels={"account": "x"})
        say(kill="enough")
"""
    monitor = ProgramMonitor(write_program(tmp_path / "monitor.py", body), 30)
    try:
        assert monitor.on([EVENT], 10) == [
            Alert(name="a", labels={"account": "x"}, observed="7", time=5),
            Resolve(name="a", labels={"account": "x"}),
            Kill(reason="enough"),
        ]
    finally:
        monitor.close()


def test_it_gets_only_the_events_that_it_wants_and_a_step_a_second(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    body = f"    open({str(seen)!r}, 'a').write(text)\n"
    body += "    if line.get('now') == 1_000_000:\n        say(events=['trade'])\n"
    monitor = ProgramMonitor(write_program(tmp_path / "monitor.py", body), 30)
    try:
        for at in (1_000_000, 1_200_000, 1_999_999, 2_000_000):
            monitor.on([EVENT], at)
    finally:
        monitor.close()
    steps = [line for line in seen.read_text().splitlines() if "now" in line]
    assert steps == ['{"now":1000000}', '{"now":2000000}']
    assert seen.read_text().count("price") == 1 + 1, "the first step has it: event and field"


def test_what_it_writes_to_standard_error_cannot_block_it(tmp_path: Path) -> None:
    body = "    print('x' * 200_000, file=sys.stderr, flush=True)\n"
    monitor = ProgramMonitor(write_program(tmp_path / "monitor.py", body), 30)
    try:
        assert monitor.on([EVENT], 1) == []
    finally:
        monitor.close()


def test_a_step_larger_than_a_pipe_gets_through(tmp_path: Path) -> None:
    body = "    say(alert=str(line.get('seq')))\n    time.sleep(0)\n"
    monitor = ProgramMonitor(write_program(tmp_path / "monitor.py", body), 30)
    many = [Price("BTC", None, number, 0) for number in range(900)]
    wide = [Price("B" * 1000, None, number, 0) for number in range(900)]
    try:
        assert len(monitor.on(many, 1)) == 901
        with pytest.raises(MonitorError, match="answers"):
            monitor.on([*wide, *many], 2)
    finally:
        monitor.close()


def test_it_and_its_children_end_with_the_run(tmp_path: Path) -> None:
    """The program ignores the end of its input, and has started another."""
    pids = tmp_path / "pids"
    body = f"""\
    if not fired:
        fired = True
        import os, subprocess
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
"""
    command = write_program(tmp_path / "monitor.py", body + "\n")
    path = tmp_path / "monitor.py"
    path.write_text(path.read_text() + "time.sleep(600)\n")
    monitor = ProgramMonitor(command, 30)
    monitor.on([EVENT], 1)
    monitor.close()
    for pid in pids.read_text().split():
        wait_for(f"the end of {pid}", lambda pid=pid: _ended(int(pid)))


def _ended(pid: int) -> bool:
    """Return whether a process has ended, even if nobody has asked for its exit code yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"
