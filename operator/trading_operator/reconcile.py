"""The reconciliation of one scenario: observe, compute the step, save the status, execute actions.

All I/O of a scenario, and everything that can fail or has to be retried, is here;
:mod:`trading_operator.step` decides without any I/O.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from trading.scenario.result import Phase
from trading_operator import actions as act
from trading_operator.cluster import Cluster, ClusterError, policies_of
from trading_operator.coordinator import Busy, Coordinator, Refused, RunEventStream, Unreachable
from trading_operator.metrics import Metrics
from trading_operator.observed import Observed, ObservedFault
from trading_operator.policies import cuts
from trading_operator.preflight import conflicts
from trading_operator.resource import Scenario
from trading_operator.status import Status, merge_patch
from trading_operator.step import step

log = logging.getLogger("trading.operator")

#: Seconds between two reconciliations without an event, and the limit of the exponential backoff.
_POLL_INTERVAL, _MAX_INTERVAL = 2.0, 30.0
#: After this many unexpected errors in a row the resource ends in Error.
_MAX_ERRORS = 3
#: The coordinator's limit for the length of a reason, in characters.
_REASON_LENGTH = 200

#: Creates a Kubernetes event: ``(scenario, reason, message, warning)``.
EventEmitter = Callable[[Scenario, str, str, bool], None]


class Reconciler:
    """Reconciles one resource. It lives until the resource has a verdict or is gone.

    ``changed`` is set when a reconciliation is due at once, for example after an event of the run.
    ``emit_event`` creates a Kubernetes event.
    """

    def __init__(
        self,
        cluster: Cluster,
        coordinator: Coordinator,
        emit_event: EventEmitter,
        metrics: Metrics,
    ) -> None:
        self.changed = asyncio.Event()
        self._cluster = cluster
        self._coordinator = coordinator
        self._emit_event = emit_event
        self._metrics = metrics
        self._stream: RunEventStream | None = None
        self._busy = self._refused = ""
        self._last_contact = time.time()
        self._saved: Status | None = None
        self._has_policies = False
        #: In a row: requests that the coordinator did not answer, and unexpected errors.
        self._failed_requests = self._errors = 0
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Stop the background task that follows the run."""
        if self._stream is not None:
            await self._stream.stop()

    @property
    def pause(self) -> float:
        """Seconds until the next reconciliation, unless ``changed`` is set before. There is no
        backoff while policies exist, because they have to be renewed.
        """
        if self._has_policies:
            return _POLL_INTERVAL
        failures = min(self._failed_requests + self._errors, 10)
        return float(min(_POLL_INTERVAL * 2**failures, _MAX_INTERVAL))

    async def reconcile(self, scenario: Scenario, status: Status) -> bool:
        """Reconcile once. Return whether nothing is left to do.

        ``status`` is used until this process has saved one itself: the one in the cluster may be
        older. Raises ClusterError, after which the caller tries again. Any other error is logged;
        after a few in a row the resource ends in Error.
        """
        async with self._lock:
            with self._metrics.reconciling():
                try:
                    finished = await self._reconcile(scenario, self._saved or status)
                except ClusterError:
                    raise
                except Exception as error:
                    await self._on_unexpected_error(scenario, error)
                    return False
                self._errors = 0
                return finished

    @property
    def stuck(self) -> bool:
        """Whether even ending the resource in Error fails."""
        return self._errors > 2 * _MAX_ERRORS

    async def abort_without_status(self, scenario: Scenario) -> bool:
        """Abort the run and return whether no policy of the scenario is left in the cluster. For a
        deleted resource whose reconciliation keeps failing. Raises ClusterError.
        """
        await self._abort(scenario, scenario.stop_reason)
        return not policies_of(await self._cluster.policies(), scenario)

    async def _on_unexpected_error(self, scenario: Scenario, error: Exception) -> None:
        log.exception("%s: the operator cannot handle it", scenario.name)
        self._metrics.failed(taking_back=bool(scenario.stop_reason))
        self._errors += 1
        if self._errors == _MAX_ERRORS:
            why = f"the operator cannot handle it: {type(error).__name__}: {error}"
            self._refused = self._refused or why
            await self._abort(scenario, why)
            self.changed.set()

    async def _reconcile(self, scenario: Scenario, status: Status) -> bool:
        observed = await self._observe(scenario, status)
        after, actions, finished = step(scenario, status, observed, time.time())
        self._has_policies = bool(observed.policies)
        self._metrics.policies(scenario.name, len(observed.policies))
        if after != status or self._saved is None:
            await self._cluster.save_status(scenario.name, merge_patch(after))
            self._saved = after
            if after.verdict and not status.verdict:
                self._metrics.ended(after.verdict)
        for action in actions:
            await self._execute(scenario, action)
        if any(isinstance(action, act.ApplyPolicy | act.DeletePolicy) for action in actions):
            self.changed.set()
        return finished

    async def _observe(self, scenario: Scenario, status: Status) -> Observed:
        policies = await self._cluster.policies()
        own = policies_of(policies, scenario)
        if status.verdict or self._refused:
            return Observed(policies=own, refused=self._refused)
        pending = status.phase in (None, Phase.PENDING)
        conflicting: list[str] = []
        if pending and scenario.partitions:
            release, namespace = self._cluster.release, self._cluster.namespace
            conflicting = conflicts(cuts(scenario.partitions), policies, release, namespace)
        run_exists, problem = await self._find_run(scenario)
        stream = self._stream
        events = stream.events if stream is not None else []
        if stream is not None and stream.problem:
            problem = problem or stream.problem
        if not problem:
            self._last_contact = time.time()
        return Observed(
            run_exists=run_exists,
            phase=next((e["text"] for e in reversed(events) if e["kind"] == "phase"), None),
            faults=_fault_steps(events),
            started_at=events[0]["at"] if events else 0,
            verdict=stream.verdict if stream is not None else None,
            busy=self._busy,
            problem=problem,
            last_contact=self._last_contact,
            policies=own,
            conflicts=tuple(conflicting),
        )

    async def _find_run(self, scenario: Scenario) -> tuple[bool, str]:
        """Return whether the run exists, and why that is not known or "". Follow the run if it
        exists.

        While its event stream works, the coordinator is not queried.
        """
        if self._stream is not None and not self._stream.problem:
            return True, ""
        try:
            run_exists = await self._coordinator.has_run(scenario.run_id)
        except Unreachable as error:
            self._failed_requests += 1
            return self._stream is not None, str(error)
        if run_exists:
            self._failed_requests = 0
        if run_exists and self._stream is None:
            self._stream = RunEventStream(self._coordinator, scenario.run_id, self.changed.set)
            self._stream.start()
        elif run_exists and self._stream is not None:
            self._stream.problem = ""
        return run_exists, ""

    async def _execute(self, scenario: Scenario, action: act.Action) -> None:
        match action:
            case act.StartRun():
                await self._start_run(scenario)
            case act.AbortRun(reason):
                await self._abort(scenario, reason)
            case act.ApplyPolicy(cut, until):
                await self._cluster.apply_policy(scenario, cut, until)
            case act.DeletePolicy(name):
                await self._cluster.delete_policy(name)
            case act.EmitEvent(reason, message, warning):
                log.info("%s: %s: %s", scenario.name, reason, message)
                self._emit_event(scenario, reason, message, warning)

    async def _start_run(self, scenario: Scenario) -> None:
        self._busy = ""
        try:
            await self._coordinator.start(scenario)
        except Busy as error:
            self._busy = str(error)
        except Refused as error:
            self._refused = str(error)
        except Unreachable as error:
            # The run may have started nevertheless: the next reconciliation finds out.
            self._failed_requests += 1
            self._busy = str(error)
            log.warning("%s: %s", scenario.name, error)
            return
        else:
            self.changed.set()
        self._failed_requests = 0

    async def _abort(self, scenario: Scenario, reason: str) -> None:
        try:
            await self._coordinator.abort(scenario.run_id, reason[:_REASON_LENGTH])
        except Unreachable as error:
            log.warning("%s: cannot be aborted yet: %s", scenario.name, error)


def _fault_steps(events: list[dict[str, Any]]) -> dict[str, ObservedFault]:
    """Return the newest step of each fault."""
    return {
        e["fault"]: ObservedFault(e["step"], e["text"], e["at"])
        for e in events
        if e["kind"] == "fault" and e.get("fault")
    }
