"""The handlers that kopf calls.

A daemon reconciles each resource until it has a verdict, and a delete handler ends its faults
before kopf removes the finalizer. What to do is decided in :mod:`trading_operator.step`; only when
to reconcile, and when a failing deletion may proceed, is decided here.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

import kopf

from trading.units import printable
from trading_operator.cluster import Cluster, ClusterError
from trading_operator.coordinator import Coordinator
from trading_operator.metrics import Metrics
from trading_operator.reaper import sweep
from trading_operator.reconcile import Reconciler
from trading_operator.resource import FINALIZER, GROUP, PLURAL, PREFIX, VERSION, Scenario, scenario
from trading_operator.status import read_status

log = logging.getLogger("trading.operator")

#: Seconds to the next reconciliation after one that failed.
_RETRY_DELAY = 2.0
#: After this many failed reconciliations in a row, a deletion only waits until no policy is left.
_MAX_FAILURES = 30
#: Seconds without a reconciliation of an unfinished scenario after which the liveness probe fails.
_STUCK_AFTER = 120.0


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log in with the pod's service account, or with the kubeconfig outside a pod."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


class Handlers:
    """Registers its methods with kopf's ``registry`` and keeps one Reconciler for each resource.

    The caller closes ``cluster`` and ``coordinator``. ``login`` returns the connection that kopf
    itself uses to watch resources.
    """

    def __init__(
        self,
        registry: kopf.OperatorRegistry,
        cluster: Cluster,
        coordinator: Coordinator,
        metrics: Metrics,
        login: Callable[..., kopf.ConnectionInfo | None] = login,
    ) -> None:
        self._cluster = cluster
        self._coordinator = coordinator
        self._metrics = metrics
        self._reconcilers: dict[str, Reconciler] = {}
        self._reconciled_at: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        options: Any = {"registry": registry}
        resource = (GROUP, VERSION, PLURAL)
        kopf.on.startup(**options)(self._configure)
        kopf.on.login(**options)(login)
        kopf.on.probe(id="looks", **options)(self._probe)
        kopf.daemon(*resource, id="run", when=_unfinished, **options)(self._run)
        kopf.on.delete(*resource, id="take-back", when=_unfinished, **options)(self._delete)

    async def _configure(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.persistence.finalizer = FINALIZER
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=PREFIX)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=PREFIX)
        # Scanning needs permissions that a Role, which holds for one namespace, cannot give.
        settings.scanning.disabled = True
        settings.execution.default_backoff = _RETRY_DELAY
        settings.watching.server_timeout = 300
        settings.watching.connect_timeout = 10
        settings.networking.request_timeout = 30
        with contextlib.suppress(ClusterError):
            for name in await sweep(self._cluster, time.time()):
                log.warning("%s: deleted an expired partition policy", name)

    async def _run(self, stopped: kopf.DaemonStopped, body: kopf.Body, uid: str, **_: Any) -> None:
        """Reconcile a resource until its verdict. A deleted one is left to the delete handler."""
        reconciler = self._reconciler(uid)
        while not stopped:
            resource = scenario(body)
            if resource.deleted:
                return
            reconciler.changed.clear()
            try:
                if await self._reconcile(reconciler, resource, body):
                    await self._forget(uid)
                    return
                delay = reconciler.pause
            except ClusterError as error:
                self._log_failure(resource, error)
                delay = _RETRY_DELAY
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reconciler.changed.wait(), delay)

    async def _delete(self, body: kopf.Body, uid: str, **_: Any) -> None:
        """End the faults of a deleted resource; kopf removes the finalizer once this returns.

        Normally this returns when the run has ended. If reconciliation keeps failing, for example
        because the status cannot be saved, it returns when no policy of the scenario is left.
        Raises TemporaryError, after which kopf calls it again.
        """
        resource = scenario(body)
        reconciler = self._reconciler(uid)
        try:
            finished = await self._reconcile(reconciler, resource, body)
            self._failures[uid] = 0
        except ClusterError as error:
            self._log_failure(resource, error)
            self._failures[uid] = self._failures.get(uid, 0) + 1
            if not await self._may_release(reconciler, resource):
                raise kopf.TemporaryError(str(error), delay=_RETRY_DELAY) from error
            finished = True
        if not finished and reconciler.stuck:
            finished = await self._may_release(reconciler, resource)
        if not finished:
            raise kopf.TemporaryError("its faults have not ended yet", delay=1)
        await self._forget(uid)

    async def _may_release(self, reconciler: Reconciler, resource: Scenario) -> bool:
        """Return whether the finalizer may go although reconciliation fails: only after repeated
        failures, and only if no policy of the scenario is left.
        """
        if self._failures[resource.uid] < _MAX_FAILURES and not reconciler.stuck:
            return False
        try:
            return await reconciler.abort_without_status(resource)
        except ClusterError as error:
            log.warning("%s: cannot list its remaining policies: %s", resource.name, error)
            return False

    async def _reconcile(self, reconciler: Reconciler, resource: Scenario, body: kopf.Body) -> bool:
        self._reconciled_at[resource.uid] = time.monotonic()
        return await reconciler.reconcile(resource, read_status(body.get("status")))

    def _reconciler(self, uid: str) -> Reconciler:
        if uid not in self._reconcilers:
            self._reconcilers[uid] = Reconciler(
                self._cluster, self._coordinator, _emit_event, self._metrics
            )
        return self._reconcilers[uid]

    async def _forget(self, uid: str) -> None:
        self._reconciled_at.pop(uid, None)
        self._failures.pop(uid, None)
        if (reconciler := self._reconcilers.pop(uid, None)) is not None:
            await reconciler.close()

    def _log_failure(self, resource: Scenario, error: ClusterError) -> None:
        self._metrics.failed(taking_back=bool(resource.stop_reason))
        log.warning("%s: reconciliation failed and is retried: %s", resource.name, error)

    async def _probe(self, **_: Any) -> dict[str, Any]:
        """Answer ``/healthz``. Raises PermanentError if a scenario waits for too long."""
        oldest = max((time.monotonic() - at for at in self._reconciled_at.values()), default=0.0)
        if oldest > _STUCK_AFTER:
            raise kopf.PermanentError(f"a scenario has not been looked at for {oldest:.0f} s")
        return {"scenarios": len(self._reconciled_at), "oldest_look_seconds": round(oldest, 1)}


def _unfinished(status: kopf.Status, **_: Any) -> bool:
    """Return whether there is no verdict yet. A scenario with one needs no handler or finalizer."""
    return not status.get("verdict")


def _emit_event(resource: Scenario, reason: str, message: str, warning: bool) -> None:
    reference: Any = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ChaosScenario",
        "metadata": {
            "name": resource.name,
            "namespace": resource.namespace,
            "uid": resource.uid,
        },
    }
    kind = "Warning" if warning else "Normal"
    kopf.event(reference, type=kind, reason=reason, message=printable(message)[:1024])
