"""Judge a monitor afterwards: write what it would have seen to a file, and score its alerts.

A tape has the events of one run, and those of the same market without the faults, as a program in
lockstep would have read them. What was injected, and when, lies apart. A score is *open loop*: what
the monitor wanted to stop went on.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from trading.embedded.monitor_host import FiringAlerts, monitor_alert
from trading.embedded.run import ExternalMessages, RunResult, run_plan, run_with_monitors
from trading.messages.monitors import MonitorAlert
from trading.monitors import Answer, Event, Kill
from trading.monitors.answers import problem
from trading.monitors.events import PROTOCOL
from trading.monitors.lines import decode_line, encode_step
from trading.scenario.observation import monitor_alert as seen_alert
from trading.scenario.plan import ALERTS_FILE, RunPlan, installed_version
from trading.scenario.result import FaultOutcome, MonitorBaseline
from trading.scenario.signing import PlanRecord, encode_plan
from trading.topology import TEST_COORDINATOR
from trading.units import MILLISECOND

#: Names in the directory of a tape.
EVENTS, QUIET, CONTENTS = "events.ndjson", "quiet.ndjson", "tape.json"
TRUTH = Path("truth")
PLAN, FAULTS = TRUTH / "plan.json", TRUTH / "faults.json"


class TapeError(ValueError):
    """Raised if a tape or a file of alerts cannot be used; the text says why."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a tape says about itself; ``sha256`` has the digests of its files, with the truth."""

    scenario: str
    protocol: int
    version: str
    sha256: dict[str, str]


class _Arrival(NamedTuple):
    at: int
    message: MonitorAlert


class _Recording:
    """A monitor that writes what it sees to ``file``, and says nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def on(self, events: Sequence[Event], now: int) -> Iterable[Answer]:
        """Write a step, and return nothing."""
        self._file.write(encode_step(events, now))
        return ()


def write_tape(plan: RunPlan, directory: Path) -> tuple[FaultOutcome, ...]:
    """Run ``plan``, which names one monitor of the user's, write its tape to ``directory``, and
    return what was injected. Raises OSError if a file cannot be written.
    """
    (directory / TRUTH).mkdir(parents=True, exist_ok=True)
    name = scored_monitor(plan)
    with (directory / EVENTS).open("wb") as file:
        verdict = run_plan(plan, control=False, monitors={name: lambda: _Recording(file)}).verdict
    with (directory / QUIET).open("wb") as file:
        quiet = msgspec.structs.replace(plan, faults=())
        run_with_monitors(quiet, verdict.ended_at, {name: lambda: _Recording(file)})
    (directory / PLAN).write_bytes(encode_plan(PlanRecord(plan=plan, control=True)))
    faults = msgspec.json.format(msgspec.json.encode(verdict.faults), indent=2)
    (directory / FAULTS).write_bytes(faults + b"\n")
    contents = Contents(
        scenario=plan.name,
        protocol=PROTOCOL,
        version=installed_version(),
        sha256={str(f): _digest(directory / f) for f in (EVENTS, QUIET, PLAN, FAULTS)},
    )
    encoded = msgspec.json.format(msgspec.json.encode(contents), indent=2)
    (directory / CONTENTS).write_bytes(encoded + b"\n")
    return verdict.faults


def score(directory: Path, alerts: Path, quiet: Path | None = None) -> RunResult:
    """Judge the alerts in the file ``alerts`` by the tape in ``directory``.

    ``quiet`` has the alerts on the tape without faults; what is in it is no detection. Raises
    TapeError, and OSError if a file cannot be read.
    """
    plan = _read_plan(directory)
    name = scored_monitor(plan)
    plan = msgspec.structs.replace(plan, monitor_programs={name: f"{ALERTS_FILE}{alerts.name}"})
    outside = [
        ExternalMessages(arrival.at + MILLISECOND, TEST_COORDINATOR, [arrival.message])
        for arrival in _read_alerts(alerts, name, plan.start)
    ]
    signals: set[tuple[str, str]] = set()
    if quiet is not None:
        for arrival in _read_alerts(quiet, name, plan.start):
            signals.add(seen_alert(arrival.message, arrival.at).signal)
    baseline = MonitorBaseline(signals=tuple(sorted(signals)))
    return run_plan(plan, outside=outside, baseline=baseline)


def scored_monitor(plan: RunPlan) -> str:
    """Return the only monitor of the user's that a plan judges. Raises TapeError."""
    names = plan.own_monitors
    if len(names) != 1:
        raise TapeError(f"a tape is for one monitor, and the scenario judges {len(names)}")
    return names[0]


def _read_plan(directory: Path) -> RunPlan:
    try:
        contents = msgspec.json.decode((directory / CONTENTS).read_bytes(), type=Contents)
        plan = msgspec.json.decode((directory / PLAN).read_bytes(), type=PlanRecord).plan
    except FileNotFoundError as error:
        raise TapeError(f"{directory} is no tape: {error.filename} is missing") from error
    except msgspec.DecodeError as error:
        raise TapeError(f"{directory} is no tape: {error}") from error
    if contents.version != installed_version():
        raise TapeError(
            f"{directory} was written by version {contents.version}, and this is"
            f" {installed_version()}: write it again"
        )
    for name, digest in contents.sha256.items():
        if _digest(directory / name) != digest:
            raise TapeError(f"{directory / name} was changed: write the tape again")
    return plan


def _read_alerts(path: Path, name: str, start: int) -> Iterator[_Arrival]:
    """Yield the alerts of a file with the times at which they arrived.

    That is the time of the ``done`` after an alert, as a program writes it, or else the ``time`` of
    the alert itself.
    """
    firing = FiringAlerts()
    pending: list[tuple[int, Answer]] = []
    last = start
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                decoded = decode_line(line)
                if decoded.done is None and decoded.events is None:
                    pending.append((number, decoded.answer()))
                    continue
            except ValueError as error:
                raise TapeError(f"{path}:{number}: {error}") from error
            if decoded.done is not None:
                last = _later(path, number, last, decoded.done)
                for _, answer in pending:
                    yield from _arrival(path, number, name, answer, last, firing)
                pending.clear()
    for number, answer in pending:
        last = _later(path, number, last, getattr(answer, "time", 0))
        yield from _arrival(path, number, name, answer, last, firing)


def _later(path: Path, number: int, last: int, at: int) -> int:
    if at < last:
        raise TapeError(
            f"{path}:{number}: expected a time of {last} or later: the time of the step in 'done',"
            " or in each alert its 'time'"
        )
    return at


def _arrival(
    path: Path, number: int, name: str, answer: Answer, at: int, firing: FiringAlerts
) -> Iterator[_Arrival]:
    if wrong := problem(answer):
        raise TapeError(f"{path}:{number}: {wrong}")
    if not isinstance(answer, Kill) and firing.changed_by(name, answer):
        yield _Arrival(at, monitor_alert(name, answer, at))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
