"""The state machine of a scenario run: one phase after the other, from steady state to verdict.

The phases are SteadyState (wait until the system is healthy), Injecting and Active (play the faults
of the plan at their times), Recovering (wait until everything is healthy again), Evaluating (ask
the auditor), and Completed or Aborted. The coordinator evaluates its phase once per *beat*, a
second of simulated time or a tick of the market, whichever is longer. What becomes of a single
fault is decided in :mod:`trading.test_coordinator.fault_run`; what is observed is written down in
:mod:`trading.test_coordinator.recorder`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trading.messages import Message, Start, Wake
from trading.messages.audit import AuditQuery, AuditReport
from trading.messages.chaos import (
    AbortRun,
    FaultApplied,
    FaultEnded,
    Phase,
    PhaseChanged,
    ProbeResult,
    RunDescribed,
    RunSetup,
)
from trading.messages.custody import Settled, SettlementFailed, SettlementInstructed
from trading.messages.market import BookTop, Ping, Pong, PriceTick, SymbolStatusChanged
from trading.messages.monitors import MonitorAlert, MonitorFailed
from trading.messages.orders import ExecutionReport, Trade
from trading.messages.risk import AlertFired, AlertResolved, BreakerChanged, PortfolioReported
from trading.runtime.component import answer_ping
from trading.scenario.observation import Observation
from trading.scenario.plan import RunPlan
from trading.scenario.verdict import first_detection
from trading.test_coordinator.fault_run import FaultRun, Prober
from trading.test_coordinator.recorder import ObservationRecorder
from trading.test_coordinator.view import TOLERATED_BEATS, DataPlaneView
from trading.topology import SERVICES, TEST_COORDINATOR
from trading.units import MINUTE, SECOND

#: Topic of the timer that triggers each evaluation.
BEAT = "beat"

#: A fault ends by itself when the coordinator has not renewed its lease for this long; at least
#: ten beats.
LEASE = MINUTE
#: The run is completed without an audit report when the auditor does not answer within this time.
AUDIT_TIMEOUT = 10 * MINUTE
#: The audit query is repeated at this interval.
AUDIT_RETRY_INTERVAL = MINUTE

#: Messages of the data plane in which the effect of a fault can show.
_EVIDENCE: tuple[type[Message], ...] = (
    PriceTick,
    BookTop,
    SymbolStatusChanged,
    ExecutionReport,
    Trade,
    ProbeResult,
    SettlementInstructed,
    Settled,
    SettlementFailed,
)


class TestCoordinator:
    """Runs one :class:`~trading.scenario.plan.RunPlan` and observes how the system reacts.

    ``plan`` says which faults to inject and when, and ``setup`` describes the run for its evidence.
    When :attr:`done` is true, :attr:`observation` has everything that the verdict is based on,
    including the audit report. :attr:`phase` is the current phase of the run.
    """

    __test__ = False
    name = TEST_COORDINATOR

    def __init__(self, plan: RunPlan, setup: RunSetup) -> None:
        self.plan = plan
        self.phase = Phase.PENDING
        self.observation = Observation(setup=setup)
        self._beat = max(SECOND, plan.tick)
        services = tuple(n for n in SERVICES if n != TEST_COORDINATOR)
        self.view = DataPlaneView(plan.universe, services, self._beat)
        self._recorder = ObservationRecorder(self.observation)
        lease, prober = max(LEASE, 10 * self._beat), Prober()
        self._faults = [FaultRun(fault, self.view, lease, prober) for fault in plan.faults]
        self.observation.faults = [fault.outcome for fault in self._faults]
        self._steady_since = 0
        self._healthy_since = 0
        self._audit_requested_at = 0
        self._audit_repeated_at = 0
        self._run_id = ""
        view, recorder = self.view, self._recorder
        self._observers: dict[type, tuple[Callable[[Any, int], None], ...]] = {
            Pong: (view.on_pong, recorder.on_pong),
            PriceTick: (view.on_tick,),
            BookTop: (view.on_book,),
            SymbolStatusChanged: (view.on_status,),
            ExecutionReport: (view.on_report,),
            SettlementInstructed: (view.on_settlement,),
            Settled: (view.on_settlement,),
            SettlementFailed: (view.on_settlement,),
            AlertFired: (view.on_alert, recorder.on_alert),
            AlertResolved: (view.on_resolved, recorder.on_resolved),
            BreakerChanged: (view.on_breaker, recorder.on_breaker),
            PortfolioReported: (recorder.on_portfolio,),
            MonitorAlert: (recorder.on_monitor_alert,),
            MonitorFailed: (recorder.on_monitor_failed,),
            FaultApplied: (recorder.on_applied,),
            FaultEnded: (recorder.on_ended,),
        }
        self._handlers: dict[type, Callable[[Any, int], Sequence[Message]]] = {
            Start: self._on_start,
            Wake: self._on_wake,
            Ping: self._on_ping,
            AuditReport: self._on_audit,
            AbortRun: self._on_abort,
            **dict.fromkeys(_EVIDENCE, self._on_evidence),
        }

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self.phase.terminal

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Update the observation with a message, and return the messages that follow from it."""
        kind = type(message)
        for observe in self._observers.get(kind, ()):
            observe(message, now)
        handler = self._handlers.get(kind)
        return handler(message, now) if handler is not None else ()

    def state(self) -> dict[str, Any]:
        """Return everything that decides later messages, as plain values."""
        view = self.view
        built: dict[str, Any] = msgspec.to_builtins(
            {
                "phase": self.phase,
                "observation": self.observation,
                "links": view.links,
                "feeds": view.feeds,
                "books": view.books,
                "due": view.due,
                "firing": view.firing,
                "breaker": view.breaker,
                "steady_since": self._steady_since,
                "faults": [fault.state() for fault in self._faults],
            }
        )
        return built

    def _on_start(self, message: Start, now: int) -> Sequence[Message]:
        self._run_id = message.run_id
        self._recorder.start(now)
        first = now - now % self._beat + self._beat
        described = RunDescribed(self.observation.setup)
        return [
            described,
            *self._enter(Phase.STEADY_STATE, now),
            Wake(first + self._beat // 2, BEAT),
        ]

    def _on_ping(self, message: Ping, now: int) -> Sequence[Message]:
        return [answer_ping(self.name, message, now)]

    def _on_evidence(self, message: Message, now: int) -> Sequence[Message]:
        out: list[Message] = []
        for fault in self._faults:
            if injected := fault.observe(message, now):
                out += self._note_injection(injected, now)
        return out

    def _on_wake(self, message: Wake, now: int) -> Sequence[Message]:
        if self.done:
            return ()
        out: list[Message] = [Wake(now + self._beat, BEAT)]
        self._recorder.on_beat(now, now - message.at)
        if self.phase is Phase.STEADY_STATE:
            out += self._await_steady(now)
        if self.phase in (Phase.STEADY_STATE, Phase.INJECTING, Phase.ACTIVE):
            out += self._play(now)
        elif self.phase is Phase.RECOVERING:
            out += self._await_recovery(now)
        elif self.phase is Phase.EVALUATING and now - self._audit_requested_at > AUDIT_TIMEOUT:
            out += self._finish(now)
        elif (
            self.phase is Phase.EVALUATING and now - self._audit_repeated_at >= AUDIT_RETRY_INTERVAL
        ):
            self._audit_repeated_at = now
            out.append(AuditQuery(self.name, self._run_id, {}))
        out += self.view.pings(now)
        return out

    def _await_steady(self, now: int) -> Sequence[Message]:
        """Wait until the steady state has held long enough, or evaluate when its time is over."""
        observation = self.observation
        if observation.steady_at:
            return ()
        problem = self.view.steady_problem(now)
        observation.unsteady = problem
        if problem:
            self._steady_since = 0
        elif not self._steady_since:
            self._steady_since = now
        if self._steady_since and now - self._steady_since >= self.plan.steady_for:
            observation.steady_at = now
            observation.unsteady = ""
        elif now - observation.started_at > self.plan.steady_within:
            return self._evaluate(now)
        return ()

    def _play(self, now: int) -> list[Message]:
        """Request the faults that are due, maintain the active ones, and verify recoveries."""
        steady_at = self.observation.steady_at
        if not steady_at:
            return []
        out: list[Message] = []
        for fault in self._faults:
            if not fault.requested:
                if now >= steady_at + fault.planned.at:
                    if self.phase is Phase.STEADY_STATE:
                        out += self._enter(Phase.INJECTING, now)
                    out.append(fault.request(now))
            elif fault.active:
                if injected := fault.check_evidence(now):
                    out += self._note_injection(injected, now)
                out += fault.maintain(now)
            else:
                out += fault.verify_recovery(now)
        outcomes = [fault.outcome for fault in self._faults]
        if all(outcome.ended_at for outcome in outcomes) and self._windows_over(now):
            self.observation.faults_ended_at = max((o.ended_at for o in outcomes), default=0)
            out += self._enter(Phase.RECOVERING, now)
        return out

    def _note_injection(self, injected: list[Message], now: int) -> list[Message]:
        """Return the messages about a verified injection; the first one makes the run Active."""
        return (
            [*injected, *self._enter(Phase.ACTIVE, now)]
            if self.phase is Phase.INJECTING
            else injected
        )

    def _windows_over(self, now: int) -> bool:
        """Return whether no expected detection can still arrive within its time limit."""
        for expectation in self.plan.expectations:
            fault = self.observation.fault(expectation.of)
            if (
                fault is not None
                and fault.injected_at
                and now <= fault.injected_at + expectation.within
                and first_detection(self.observation, expectation) is None
            ):
                return False
        return True

    def _await_recovery(self, now: int) -> list[Message]:
        """Wait until everything has been healthy for several beats; evaluate then, or when the
        time limit for the recovery is over.
        """
        observation = self.observation
        out: list[Message] = []
        for fault in self._faults:
            if observation.aborted and fault.active:
                out.append(fault.recover())
            out += fault.verify_recovery(now)
        problem = self.view.data_problem(now) or self._fault_problem(now)
        observation.unrecovered = problem
        self._healthy_since = 0 if problem else (self._healthy_since or now)
        if self._healthy_since and now - self._healthy_since >= TOLERATED_BEATS * self._beat:
            observation.recovered_at = self._healthy_since
            return out + self._evaluate(now)
        if now - observation.faults_ended_at > self.plan.recovery_within:
            return out + self._evaluate(now)
        return out

    def _fault_problem(self, now: int) -> str:
        """Describe the first fault that has not recovered; empty if all have."""
        return next((problem for f in self._faults if (problem := f.problem(now))), "")

    def _evaluate(self, now: int) -> list[Message]:
        self._audit_requested_at = self._audit_repeated_at = now
        return [
            *self._enter(Phase.EVALUATING, now),
            AuditQuery(self.name, self._run_id, {}),
        ]

    def _finish(self, now: int) -> list[Message]:
        self.observation.ended_at = now
        return self._enter(Phase.ABORTED if self.observation.aborted else Phase.COMPLETED, now)

    def _enter(self, phase: Phase, now: int) -> list[Message]:
        self.phase = phase
        self.observation.phases.append((phase, now))
        return [PhaseChanged(phase, now)]

    def _on_abort(self, message: AbortRun, now: int) -> Sequence[Message]:
        """Recover every active fault; the run ends when their recovery has been verified."""
        if self.phase is Phase.PENDING or not self.phase.abortable:
            return ()
        self.observation.aborted = message.reason or "no reason given"
        if self.phase is Phase.RECOVERING:
            return ()
        self.observation.faults_ended_at = now
        if not any(fault.requested for fault in self._faults):
            return self._finish(now)
        recoveries = [fault.recover() for fault in self._faults if fault.active]
        return [*recoveries, *self._enter(Phase.RECOVERING, now)]

    def _on_audit(self, message: AuditReport, now: int) -> Sequence[Message]:
        if self.phase != Phase.EVALUATING:
            return ()
        self.observation.audit = message
        return self._finish(now)
