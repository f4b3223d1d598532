"""Run a plan in virtual time, from the first message to the verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from trading.embedded.ecosystem import build
from trading.embedded.recorder import Progress, Recorder
from trading.messages import Message
from trading.messages.risk import AlertFired, BreakerChanged
from trading.report.record import RunRecord
from trading.runtime.component import Component
from trading.runtime.journal import Journal, MemoryJournal
from trading.runtime.kernel import Kernel
from trading.scenario.plan import ClockMode, RunPlan
from trading.scenario.result import PASS, JournalHead, Verdict
from trading.scenario.verdict import Signal, judge
from trading.test_coordinator import TestCoordinator
from trading.units import HOUR

#: No plan may run for longer than its faults and limits need, by more than this.
_SLACK = 2 * HOUR


class Arrival(NamedTuple):
    """What component ``to`` gets at the simulated time ``at``, microseconds."""

    at: int
    to: str
    messages: Sequence[Message]


class RunResult(msgspec.Struct, frozen=True):
    """``plan``: as it was run, by a virtual clock without a ceiling; ``control``: was a run without
    the faults wanted? ``journals``: by service; ``record``: the curves of the run.
    """

    plan: RunPlan
    control: bool
    verdict: Verdict
    record: RunRecord
    journals: Mapping[str, Journal]


def run_plan(
    plan: RunPlan,
    *,
    control: bool = True,
    progress: Progress | None = None,
    journal: Callable[[str], Journal] = MemoryJournal,
    parts: list[Component] | None = None,
    outside: Iterable[Arrival] = (),
) -> RunResult:
    """Run ``plan`` on a kernel of its own. No files, no global state, no wall clock.

    ``control``: before a Pass, run the same market once more without the faults, up to the last
    detection; what fires there too is no detection. ``journal`` and ``parts`` replace the
    journals and the components (tests plant their defects there). ``outside``: what nobody in the
    ecosystem sends, as a client's orders.
    """
    plan = msgspec.structs.replace(plan, clock_mode=ClockMode.VIRTUAL, speed=None)
    recorder = Recorder(plan, progress)
    kernel, coordinator = build(plan, taps=recorder.taps, journal=journal, parts=parts)
    for arrival in outside:
        for message in arrival.messages:
            kernel.send(arrival.to, message, arrival.at)
    while not over(plan, kernel, coordinator) and kernel.step():
        pass
    verdict = judged(plan, kernel, coordinator, control=control)
    record = recorder.record(kernel.delivered)
    return RunResult(plan, control, verdict, record, kernel.journals)


def over(plan: RunPlan, kernel: Kernel, coordinator: TestCoordinator) -> bool:
    """Has the run come to its end, or gone on for longer than its plan can need?"""
    return coordinator.done or kernel.now >= plan.start + _longest(plan)


def judged(
    plan: RunPlan, kernel: Kernel, coordinator: TestCoordinator, *, control: bool
) -> Verdict:
    """Judge a run that is over. ``control``: see :func:`run_plan`."""
    seen = coordinator.observation
    seen.ended_at = seen.ended_at or kernel.now
    heads = {n: JournalHead(j.length, j.head.hex()) for n, j in kernel.journals.items()}
    verdict = judge(plan, seen, journals=heads, control=control)
    until = detected_until(verdict)
    if control and verdict.outcome == PASS and until:
        signals = signals_without_faults(plan, until)
        verdict = judge(plan, seen, also_without=signals, until=until, journals=heads)
    return verdict


def detected_until(verdict: Verdict) -> int:
    """Return the simulated time of the last detection, microseconds; 0: there was none."""
    return max((e.detected_at for e in verdict.expectations), default=0)


def signals_without_faults(plan: RunPlan, until: int) -> set[Signal]:
    """What the risk monitor says up to the time ``until`` when nothing is broken on purpose."""
    alerts, changes = quiet_run(plan, until)
    return {(a.rule, a.subject) for a in alerts} | {("breaker", c.state) for c in changes}


def quiet_run(plan: RunPlan, until: int) -> tuple[Sequence[AlertFired], Sequence[BreakerChanged]]:
    """The same market, seed and controls without the faults: every alert and breaker change."""
    alerts: list[AlertFired] = []
    changes: list[BreakerChanged] = []
    kernel, _ = build(
        msgspec.structs.replace(plan, faults=()),
        taps={
            AlertFired: lambda m, now: alerts.append(m),
            BreakerChanged: lambda m, now: changes.append(m),
        },
    )
    kernel.run(until)
    return alerts, changes


def _longest(plan: RunPlan) -> int:
    faults = max((f.at + 2 * f.duration for f in plan.faults), default=0)
    windows = max((e.within for e in plan.expectations), default=0)
    return plan.steady_within + faults + windows + plan.recovery_within + _SLACK
