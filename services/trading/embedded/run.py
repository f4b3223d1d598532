"""Run a plan in virtual time, from the first message to the verdict."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from trading.embedded.ecosystem import build, components
from trading.embedded.monitor_host import MonitorFactory, hosted
from trading.embedded.recorder import Progress, Recorder
from trading.messages import Message
from trading.messages.risk import AlertFired, BreakerChanged
from trading.report.record import RunRecord
from trading.runtime.component import Component
from trading.runtime.delivery import InboxObserver, Tap
from trading.runtime.journal import DiscardingJournal, Journal, MemoryJournal
from trading.runtime.kernel import Kernel
from trading.runtime.routes import MessageType
from trading.scenario.observation import Observation
from trading.scenario.plan import ClockMode, RunPlan
from trading.scenario.result import JournalHead, MonitorBaseline, Outcome, Verdict
from trading.scenario.verdict import Signal, judge
from trading.test_coordinator import TestCoordinator
from trading.topology import AUDIT_CORRELATOR
from trading.units import HOUR

#: A run is stopped when it takes longer than the limits of its plan allow, plus this margin.
_SLACK = 2 * HOUR

_NO_MONITORS: Mapping[str, MonitorFactory] = {}


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
    ``control`` is whether a control run was requested, and ``baseline`` is what the monitors of the
    user's did in it. ``journals`` has the journals by service, and ``record`` the curves of the
    run.
    """

    plan: RunPlan
    control: bool
    verdict: Verdict
    record: RunRecord
    journals: Mapping[str, Journal]
    baseline: MonitorBaseline = MonitorBaseline()


def run_plan(
    plan: RunPlan,
    *,
    control: bool = True,
    progress: Progress | None = None,
    journal: Callable[[str], Journal] = MemoryJournal,
    parts: list[Component] | None = None,
    outside: Iterable[ExternalMessages] = (),
    monitors: Mapping[str, MonitorFactory] = _NO_MONITORS,
    baseline: MonitorBaseline | None = None,
) -> RunResult:
    """Run ``plan`` on a kernel of its own. It uses no files, no global state, and no wall clock.

    If ``control`` is true, the same market runs once more without the faults before a Pass, up to
    the last detection: an alert that fires there, too, does not count as a detection. ``progress``
    is notified while the run lasts. ``journal`` creates the journal of a component, and ``parts``
    replaces the components; tests plant defects that way. ``outside`` are messages that no
    component sends, such as the orders of clients. ``monitors`` creates the monitors of the user's
    that the plan names, and ``baseline`` is what they do without the faults, if that is known.
    Raises MonitorError if one cannot be started.
    """
    plan = msgspec.structs.replace(plan, clock_mode=ClockMode.VIRTUAL, speed=None)
    recorder = Recorder(plan, progress)
    with hosted(plan, monitors) as host:
        taps, observers = host.attach(recorder.taps)
        kernel, coordinator = build(
            plan, taps=taps, observers=observers, journal=journal, parts=parts
        )
        for arrival in outside:
            for message in arrival.messages:
                kernel.send(arrival.to, message, arrival.at)
        while not has_ended(plan, kernel, coordinator) and kernel.step():
            host.step(kernel)
    verdict, used = judge_run(
        plan,
        kernel,
        coordinator,
        control=control,
        baseline=lambda until: baseline or monitor_baseline(plan, until, monitors),
    )
    record = recorder.record(kernel.delivered)
    return RunResult(plan, control, verdict, record, kernel.journals, used)


def has_ended(plan: RunPlan, kernel: Kernel, coordinator: TestCoordinator) -> bool:
    """Return whether the run has ended, or has taken longer than its plan allows."""
    return coordinator.done or kernel.now >= plan.start + _maximum_duration(plan)


def judge_run(
    plan: RunPlan,
    kernel: Kernel,
    coordinator: TestCoordinator,
    *,
    control: bool,
    baseline: Callable[[int], MonitorBaseline],
) -> tuple[Verdict, MonitorBaseline]:
    """Return the verdict of a run that has ended, and what the monitors of the user's did in the
    control run.

    For ``control`` see :func:`run_plan`. ``baseline`` returns what these monitors do without the
    faults up to a simulated time.
    """
    observation = coordinator.observation
    observation.ended_at = observation.ended_at or kernel.now
    heads = {n: JournalHead(j.length, j.head.hex()) for n, j in kernel.journals.items()}
    verdict = judge(plan, observation, journals=heads, control=control)
    until = detected_until(verdict)
    if not control or not until or (verdict.outcome is not Outcome.PASS and not plan.monitors):
        return verdict, MonitorBaseline()
    signals = signals_without_faults(plan, until)
    of_monitors = baseline(until)
    for name, why in of_monitors.failures.items():
        observation.monitor_failures.setdefault(name, f"{why} (in the control run)")
    signals |= set(of_monitors.signals)
    verdict = judge(plan, observation, also_without=signals, until=until, journals=heads)
    return verdict, of_monitors


def detected_until(verdict: Verdict) -> int:
    """Return the simulated time of the last detection in microseconds; 0 if there was none."""
    times = [e.detected_at for e in verdict.expectations]
    times += [d.detected_at for m in verdict.monitors for d in m.detections]
    return max(times, default=0)


def monitor_baseline(
    plan: RunPlan, until: int, monitors: Mapping[str, MonitorFactory]
) -> MonitorBaseline:
    """Run the same market without faults up to ``until``, and return what the monitors of the
    user's do in it. Raises MonitorError if one cannot be started.
    """
    if not monitors:
        return MonitorBaseline()
    observation = run_with_monitors(msgspec.structs.replace(plan, faults=()), until, monitors)
    signals = {alert.signal for alert in observation.alerts if alert.monitor}
    return MonitorBaseline(
        signals=tuple(sorted(signals)), failures=dict(observation.monitor_failures)
    )


def run_with_monitors(
    plan: RunPlan, until: int, monitors: Mapping[str, MonitorFactory]
) -> Observation:
    """Run ``plan`` up to ``until`` without evidence, and return what the coordinator observed.
    Raises MonitorError if a monitor cannot be started.
    """
    with hosted(plan, monitors) as host:
        taps, observers = host.attach({})
        kernel, coordinator = _without_evidence(plan, taps, observers)
        while (due := kernel.next_at) is not None and due <= until and kernel.step():
            host.step(kernel)
    return coordinator.observation


def signals_without_faults(plan: RunPlan, until: int) -> set[Signal]:
    """Return the alerts and breaker states that occur up to ``until`` without any fault."""
    alerts, changes = run_without_faults(plan, until)
    return {(a.rule, a.subject) for a in alerts} | {("breaker", c.state) for c in changes}


def run_without_faults(
    plan: RunPlan, until: int
) -> tuple[Sequence[AlertFired], Sequence[BreakerChanged]]:
    """Run the same market without faults; return every alert and every change of the breaker."""
    alerts: list[AlertFired] = []
    changes: list[BreakerChanged] = []
    taps: dict[MessageType, Tap] = {
        AlertFired: lambda m, now: alerts.append(m),
        BreakerChanged: lambda m, now: changes.append(m),
    }
    kernel, _ = _without_evidence(msgspec.structs.replace(plan, faults=()), taps, {})
    kernel.run(until)
    return alerts, changes


def _without_evidence(
    plan: RunPlan, taps: Mapping[MessageType, Tap], observers: Mapping[str, InboxObserver]
) -> tuple[Kernel, TestCoordinator]:
    """Return a kernel without journals and without the auditor, which would take half of the time
    of a run that is no evidence.
    """
    parts = [c for c in components(plan) if c.name != AUDIT_CORRELATOR]
    return build(plan, taps=taps, observers=observers, journal=DiscardingJournal, parts=parts)


def _maximum_duration(plan: RunPlan) -> int:
    faults = max((f.at + 2 * f.duration for f in plan.faults), default=0)
    windows = max((e.within for e in plan.expectations), default=0)
    return plan.steady_within + faults + windows + plan.recovery_within + _SLACK
