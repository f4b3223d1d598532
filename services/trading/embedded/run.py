"""Run a plan in virtual time, from the first message to the verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from trading.embedded.ecosystem import build, components
from trading.embedded.recorder import Progress, Recorder
from trading.messages import Message
from trading.messages.risk import AlertFired, BreakerChanged
from trading.report.record import RunRecord
from trading.runtime.component import Component
from trading.runtime.journal import DiscardingJournal, Journal, MemoryJournal
from trading.runtime.kernel import Kernel
from trading.scenario.plan import ClockMode, RunPlan
from trading.scenario.result import JournalHead, Outcome, Verdict
from trading.scenario.verdict import Signal, judge
from trading.test_coordinator import TestCoordinator
from trading.topology import AUDIT_CORRELATOR
from trading.units import HOUR

#: A run is stopped when it takes longer than the limits of its plan allow, plus this margin.
_SLACK = 2 * HOUR


class ExternalMessages(NamedTuple):
    """External messages that the component ``to`` receives at the simulated time ``at``,
    microseconds.
    """

    at: int
    to: str
    messages: Sequence[Message]


class RunResult(msgspec.Struct, frozen=True):
    """The result of a run.

    ``plan`` is the plan that was run, with a virtual clock and without a limit of speed.
    ``control`` is whether a control run was requested. ``journals`` has the journals by service,
    and ``record`` the curves of the run.
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
    outside: Iterable[ExternalMessages] = (),
) -> RunResult:
    """Run ``plan`` on a kernel of its own. It uses no files, no global state, and no wall clock.

    If ``control`` is true, the same market runs once more without the faults before a Pass, up to
    the last detection: an alert that fires there, too, does not count as a detection. ``progress``
    is notified while the run lasts. ``journal`` creates the journal of a component, and ``parts``
    replaces the components; tests plant defects that way. ``outside`` are messages that no
    component sends, such as the orders of clients.
    """
    plan = msgspec.structs.replace(plan, clock_mode=ClockMode.VIRTUAL, speed=None)
    recorder = Recorder(plan, progress)
    kernel, coordinator = build(plan, taps=recorder.taps, journal=journal, parts=parts)
    for arrival in outside:
        for message in arrival.messages:
            kernel.send(arrival.to, message, arrival.at)
    while not has_ended(plan, kernel, coordinator) and kernel.step():
        pass
    verdict = judge_run(plan, kernel, coordinator, control=control)
    record = recorder.record(kernel.delivered)
    return RunResult(plan, control, verdict, record, kernel.journals)


def has_ended(plan: RunPlan, kernel: Kernel, coordinator: TestCoordinator) -> bool:
    """Return whether the run has ended, or has taken longer than its plan allows."""
    return coordinator.done or kernel.now >= plan.start + _maximum_duration(plan)


def judge_run(
    plan: RunPlan, kernel: Kernel, coordinator: TestCoordinator, *, control: bool
) -> Verdict:
    """Return the verdict of a run that has ended. For ``control`` see :func:`run_plan`."""
    observation = coordinator.observation
    observation.ended_at = observation.ended_at or kernel.now
    heads = {n: JournalHead(j.length, j.head.hex()) for n, j in kernel.journals.items()}
    verdict = judge(plan, observation, journals=heads, control=control)
    until = detected_until(verdict)
    if control and verdict.outcome is Outcome.PASS and until:
        signals = signals_without_faults(plan, until)
        verdict = judge(plan, observation, also_without=signals, until=until, journals=heads)
    return verdict


def detected_until(verdict: Verdict) -> int:
    """Return the simulated time of the last detection in microseconds; 0 if there was none."""
    return max((e.detected_at for e in verdict.expectations), default=0)


def signals_without_faults(plan: RunPlan, until: int) -> set[Signal]:
    """Return the alerts and breaker states that occur up to ``until`` without any fault."""
    alerts, changes = run_without_faults(plan, until)
    return {(a.rule, a.subject) for a in alerts} | {("breaker", c.state) for c in changes}


def run_without_faults(
    plan: RunPlan, until: int
) -> tuple[Sequence[AlertFired], Sequence[BreakerChanged]]:
    """Run the same market without faults; return every alert and every change of the breaker.

    Nothing of this run is kept as evidence, so that it has no journals and no auditor, which would
    take a third of its time.
    """
    alerts: list[AlertFired] = []
    changes: list[BreakerChanged] = []
    plan = msgspec.structs.replace(plan, faults=())
    kernel, _ = build(
        plan,
        taps={
            AlertFired: lambda m, now: alerts.append(m),
            BreakerChanged: lambda m, now: changes.append(m),
        },
        journal=DiscardingJournal,
        parts=[c for c in components(plan) if c.name != AUDIT_CORRELATOR],
    )
    kernel.run(until)
    return alerts, changes


def _maximum_duration(plan: RunPlan) -> int:
    faults = max((f.at + 2 * f.duration for f in plan.faults), default=0)
    windows = max((e.within for e in plan.expectations), default=0)
    return plan.steady_within + faults + windows + plan.recovery_within + _SLACK
