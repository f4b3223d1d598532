"""Run a plan in virtual time, from the first message to the verdict."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from trading.embedded.ecosystem import build
from trading.embedded.recorder import Progress, Recorder
from trading.messages.risk import AlertFired, BreakerChanged
from trading.report.record import RunRecord
from trading.runtime.component import Component
from trading.runtime.journal import Journal, MemoryJournal
from trading.scenario.plan import RunPlan
from trading.scenario.result import PASS, JournalHead, Verdict
from trading.scenario.verdict import Signal, judge
from trading.units import HOUR

#: No plan may run for longer than its faults and limits need, by more than this.
_SLACK = 2 * HOUR


class RunResult(msgspec.Struct, frozen=True):
    """``journals``: by service; ``record``: the curves of the run."""

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
) -> RunResult:
    """Run ``plan`` on a kernel of its own. No files, no global state, no wall clock.

    ``control``: before a Pass, run the same market once more without the faults, up to the last
    detection; what fires there too is no detection. ``journal`` and ``parts`` replace the
    journals and the components (tests plant their defects there).
    """
    recorder = Recorder(plan, progress)
    kernel, coordinator = build(plan, taps=recorder.taps, journal=journal, parts=parts)
    latest = plan.start + _longest(plan)
    while not coordinator.done and kernel.now < latest and kernel.step():
        pass
    seen = coordinator.observation
    seen.ended_at = seen.ended_at or kernel.now
    heads = {n: JournalHead(j.length, j.head.hex()) for n, j in kernel.journals.items()}
    verdict = judge(plan, seen, journals=heads)
    if control and verdict.outcome == PASS:
        until = max((e.detected_at for e in verdict.expectations), default=0)
        if until:
            signals = signals_without_faults(plan, until)
            verdict = judge(plan, seen, also_without=signals, journals=heads)
    record = recorder.record(kernel.delivered)
    return RunResult(verdict, record, kernel.journals)


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
