"""The scenario engine: steady state, faults on their timeline, observation, recovery, audit."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from trading.messages import Message, Start, Wake
from trading.messages.audit import AuditQuery, AuditReport
from trading.messages.chaos import (
    AbortRun,
    FaultApplied,
    FaultEnded,
    FaultInjected,
    FaultRecovered,
    InjectFault,
    PhaseChanged,
    Probe,
    ProbeResult,
    RecoverFault,
    RenewFault,
    RunDescribed,
    RunSetup,
)
from trading.messages.custody import Settled, SettlementFailed, SettlementInstructed
from trading.messages.market import BookTop, Ping, Pong, PriceTick, SymbolStatusChanged
from trading.messages.orders import ExecutionReport, Trade
from trading.messages.risk import AlertFired, AlertResolved, BreakerChanged, PortfolioReported
from trading.runtime.component import answer_ping
from trading.scenario.observation import Observation, SeenAlert, SeenBreaker, SeenFault
from trading.scenario.plan import PlannedFault, RunPlan
from trading.scenario.verdict import first_detection
from trading.test_coordinator.evidence import watcher
from trading.test_coordinator.view import PATIENCE, View
from trading.test_coordinator.watcher import Watcher
from trading.topology import RISK_MONITOR, SERVICES, TEST_COORDINATOR
from trading.units import MINUTE, SECOND

BEAT = "beat"

#: A fault ends by itself when the coordinator has been silent for this long.
LEASE = MINUTE
#: How long the auditor may take for its answer.
AUDIT_PATIENCE = 10 * MINUTE


class _Run(msgspec.Struct, gc=False):
    """One fault of the plan, from the request to its verified end."""

    planned: PlannedFault
    seen: SeenFault
    watcher: Watcher | None = None
    recover_asked: bool = False
    renewed_at: int = 0
    right_since: int = 0


class TestCoordinator:
    """Runs one :class:`RunPlan`; afterwards :attr:`observation` is what it saw, with the audit's
    report in it, and :attr:`done` is true.
    """

    __test__ = False
    name = TEST_COORDINATOR

    def __init__(self, plan: RunPlan, setup: RunSetup) -> None:
        self.plan = plan
        self.phase = "Pending"
        self.observation = Observation(setup=setup)
        self._beat = max(SECOND, plan.tick)
        self._lease = max(LEASE, 10 * self._beat)
        services = tuple(n for n in SERVICES if n != TEST_COORDINATOR)
        self.view = View(plan.universe, services, self._beat)
        self._runs = [_Run(f, SeenFault(f.name, f.kind)) for f in plan.faults]
        self.observation.faults = [r.seen for r in self._runs]
        self._alerts: dict[str, SeenAlert] = {}
        self._steady_since = 0
        self._monitor_heard = 0
        self._asked_audit = 0
        self._reminded_audit = 0
        self._right_since = 0
        self._run_id = ""
        self._probe_nonce = 0
        view = self.view
        self._handlers: dict[type, Callable[[Any, int], Sequence[Message]]] = {
            Start: self._on_start,
            Wake: self._on_wake,
            Ping: self._on_ping,
            Pong: self._on_pong,
            PriceTick: self._watched(view.on_tick),
            BookTop: self._watched(view.on_book),
            SymbolStatusChanged: self._watched(view.on_status),
            ExecutionReport: self._watched(view.on_report),
            Trade: self._watched(_unseen),
            ProbeResult: self._watched(_unseen),
            SettlementInstructed: self._watched(view.on_settlement),
            Settled: self._watched(view.on_settlement),
            SettlementFailed: self._watched(view.on_settlement),
            AlertFired: self._on_alert,
            AlertResolved: self._on_resolved,
            BreakerChanged: self._on_breaker,
            PortfolioReported: self._on_portfolio,
            FaultApplied: self._on_applied,
            FaultEnded: self._on_ended,
            AuditReport: self._on_audit,
            AbortRun: self._on_abort,
        }

    @property
    def done(self) -> bool:
        return self.phase in ("Completed", "Aborted", "Error")

    def on(self, message: Message, now: int) -> Sequence[Message]:
        handler = self._handlers.get(type(message))
        return handler(message, now) if handler is not None else ()

    def state(self) -> dict[str, Any]:
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
                "faults": [
                    [r.recover_asked, r.renewed_at, r.right_since, r.watcher is not None]
                    for r in self._runs
                ],
            }
        )
        return built

    def _watched(self, see: Callable[[Any, int], None]) -> Callable[[Any, int], Sequence[Message]]:
        """The view sees a message first, then the watchers of the faults that run."""
        return partial(self._watch, see)

    def _watch(
        self, see: Callable[[Any, int], None], message: Message, now: int
    ) -> Sequence[Message]:
        see(message, now)
        answers: list[Message] = []
        for run in self._runs:
            if run.watcher is not None and not run.seen.recovered_at:
                run.watcher.on(message, now)
                if run.watcher.injected_at and not run.seen.injected_at:
                    answers += self._verified(run, now)
        return answers

    def _on_ping(self, message: Ping, now: int) -> Sequence[Message]:
        return [answer_ping(self.name, message, now)]

    def _on_start(self, message: Start, now: int) -> Sequence[Message]:
        self._run_id = message.run_id
        self.observation.started_at = now
        self._monitor_heard = now
        first = now - now % self._beat + self._beat
        described = RunDescribed(self.observation.setup)
        return [described, *self._enter("SteadyState", now), Wake(first + self._beat // 2, BEAT)]

    def _on_wake(self, message: Wake, now: int) -> Sequence[Message]:
        if self.done:
            return ()
        out: list[Message] = [Wake(now + self._beat, BEAT)]
        # While the coordinator itself was away it could hear nobody.
        self._monitor_heard += now - message.at
        silence = now - self._monitor_heard
        self.observation.monitor_silence = max(self.observation.monitor_silence, silence)
        if self.phase == "SteadyState":
            out += self._await_steady(now)
        if self.phase in ("SteadyState", "Injecting", "Active"):
            out += self._play(now)
        elif self.phase == "Recovering":
            out += self._recover(now)
        elif self.phase == "Evaluating" and now - self._asked_audit > AUDIT_PATIENCE:
            out += self._finish(now)
        elif self.phase == "Evaluating" and now - self._reminded_audit >= MINUTE:
            self._reminded_audit = now
            out.append(AuditQuery(self.name, self._run_id, {}))
        out += self.view.pings(now)
        return out

    def _await_steady(self, now: int) -> Sequence[Message]:
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
        """Ask for the faults whose time has come, keep their leases, end them."""
        steady_at = self.observation.steady_at
        if not steady_at:
            return []
        out: list[Message] = []
        for run in self._runs:
            planned, seen = run.planned, run.seen
            if run.watcher is None:
                if now >= steady_at + planned.at:
                    out += self._request(run, now)
                continue
            if seen.ended_at:
                out += self._verify_recovery(run, now)
                continue
            run.watcher.beat(now)
            if run.watcher.injected_at and not seen.injected_at:
                out += self._verified(run, now)
            out += self._probes(run, now)
            if now >= (seen.injected_at or seen.requested_at) + planned.duration:
                run.recover_asked = True
                out.append(RecoverFault(planned.target, planned.name))
            elif now - run.renewed_at >= self._lease // 3:
                run.renewed_at = now
                out.append(RenewFault(planned.target, planned.name, now + self._lease))
        if all(r.seen.ended_at for r in self._runs) and self._windows_over(now):
            self.observation.faults_ended_at = max((r.seen.ended_at for r in self._runs), default=0)
            out += self._enter("Recovering", now)
        return out

    def _windows_over(self, now: int) -> bool:
        """Nothing that is expected can still come in time."""
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

    def _request(self, run: _Run, now: int) -> list[Message]:
        planned = run.planned
        run.watcher = watcher(planned, self.view, now)
        run.seen.requested_at = run.renewed_at = now
        inject = InjectFault(planned.target, planned.name, planned.fault, now + self._lease)
        if self.phase == "SteadyState":
            return [*self._enter("Injecting", now), inject]
        return [inject]

    def _verified(self, run: _Run, now: int) -> list[Message]:
        found, seen = run.watcher, run.seen
        if found is None:
            return []
        seen.injected_at, seen.evidence = found.injected_at, found.evidence
        out: list[Message] = [FaultInjected(seen.name, seen.evidence, seen.injected_at)]
        if self.phase == "Injecting":
            out += self._enter("Active", now)
        return out

    def _probes(self, run: _Run, now: int) -> list[Message]:
        out: list[Message] = []
        for source, target in run.watcher.probes if run.watcher is not None else ():
            self._probe_nonce += 1
            out.append(Probe(source, target, self._probe_nonce))
        return out

    def _recover(self, now: int) -> list[Message]:
        """Wait until the data plane has been right again for a few beats."""
        observation = self.observation
        out: list[Message] = []
        for run in self._runs:
            if observation.aborted and run.watcher is not None and not run.seen.ended_at:
                out.append(RecoverFault(run.planned.target, run.planned.name))
            out += self._verify_recovery(run, now)
        problem = self.view.data_problem(now) or self._unrecovered(now)
        observation.unrecovered = problem
        self._right_since = 0 if problem else (self._right_since or now)
        if self._right_since and now - self._right_since >= PATIENCE * self._beat:
            observation.recovered_at = self._right_since
            return out + self._evaluate(now)
        if now - observation.faults_ended_at > self.plan.recovery_within:
            return out + self._evaluate(now)
        return out

    def _verify_recovery(self, run: _Run, now: int) -> list[Message]:
        """A fault is over when what it broke has been right again for a few beats."""
        if run.watcher is None or run.seen.recovered_at:
            return []
        out = self._probes(run, now)
        run.seen.cut_until = run.watcher.cut_until
        if run.watcher.problem(now):
            run.right_since = 0
        elif not run.right_since:
            run.right_since = now
        elif now - run.right_since >= PATIENCE * self._beat:
            run.seen.recovered_at = run.right_since
            out.append(FaultRecovered(run.seen.name, run.right_since))
        return out

    def _unrecovered(self, now: int) -> str:
        for run in self._runs:
            if run.watcher is not None and not run.seen.recovered_at:
                problem = run.watcher.problem(now)
                return f"{run.seen.name}: {problem or 'recovery not verified yet'}"
        return ""

    def _evaluate(self, now: int) -> list[Message]:
        self._asked_audit = self._reminded_audit = now
        return [
            *self._enter("Evaluating", now),
            AuditQuery(self.name, self._run_id, {}),
        ]

    def _finish(self, now: int) -> list[Message]:
        self.observation.ended_at = now
        return self._enter("Aborted" if self.observation.aborted else "Completed", now)

    def _enter(self, phase: str, now: int) -> list[Message]:
        self.phase = phase
        self.observation.phases.append((phase, now))
        return [PhaseChanged(phase, now)]

    def _on_pong(self, message: Pong, now: int) -> Sequence[Message]:
        self.view.on_pong(message, now)
        if message.source == RISK_MONITOR:
            self._hear_monitor(now)
        return ()

    def _on_portfolio(self, message: PortfolioReported, now: int) -> Sequence[Message]:
        self._hear_monitor(now)
        return ()

    def _hear_monitor(self, now: int) -> None:
        silence = now - self._monitor_heard
        self.observation.monitor_silence = max(self.observation.monitor_silence, silence)
        self._monitor_heard = now

    def _on_alert(self, message: AlertFired, now: int) -> Sequence[Message]:
        seen = SeenAlert(
            message.alert_id,
            message.rule,
            message.subject,
            message.severity,
            message.observed,
            message.limit,
            message.event_time,
            message.detected_time,
        )
        self._alerts[message.alert_id] = seen
        self.observation.alerts.append(seen)
        self.view.firing[message.alert_id] = f"{message.rule} on {message.subject}"
        return ()

    def _on_resolved(self, message: AlertResolved, now: int) -> Sequence[Message]:
        seen = self._alerts.get(message.alert_id)
        if seen is not None:
            seen.resolved_at = message.event_time
        self.view.firing.pop(message.alert_id, None)
        return ()

    def _on_breaker(self, message: BreakerChanged, now: int) -> Sequence[Message]:
        self.view.breaker = message.state
        self.observation.breaker.append(
            SeenBreaker(message.state, message.reason, message.event_time)
        )
        return ()

    def _on_applied(self, message: FaultApplied, now: int) -> Sequence[Message]:
        seen = self.observation.fault(message.fault_id)
        if seen is not None and not seen.applied_at:
            seen.applied_at = message.event_time
        return ()

    def _on_ended(self, message: FaultEnded, now: int) -> Sequence[Message]:
        seen = self.observation.fault(message.fault_id)
        if seen is not None and not seen.ended_at:
            seen.ended_at = message.event_time
            seen.end_reason = message.reason
        return ()

    def _on_abort(self, message: AbortRun, now: int) -> Sequence[Message]:
        """Every fault is taken back; the end of the run is their verified recovery."""
        if self.phase not in ("SteadyState", "Injecting", "Active", "Recovering"):
            return ()
        self.observation.aborted = message.reason or "no reason given"
        if self.phase == "Recovering":
            return ()
        live = [r for r in self._runs if r.watcher is not None and not r.seen.ended_at]
        for run in live:
            run.recover_asked = True
        self.observation.faults_ended_at = now
        asked = [RecoverFault(r.planned.target, r.planned.name) for r in live]
        if not any(r.watcher is not None for r in self._runs):
            return self._finish(now)
        return [*asked, *self._enter("Recovering", now)]

    def _on_audit(self, message: AuditReport, now: int) -> Sequence[Message]:
        if self.phase != "Evaluating":
            return ()
        self.observation.audit = message
        return self._finish(now)


def _unseen(message: Message, now: int) -> None:
    """The view does not need it; the watchers do."""
