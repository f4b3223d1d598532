"""What kopf calls. Nothing is decided here."""

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
from trading_operator.status import read

log = logging.getLogger("trading.operator")

#: Seconds to the next look after one that failed.
_AGAIN = 2.0
#: Looks in a row that fail before a deletion asks only whether anything is left in the cluster.
_PATIENCE = 30
#: Without a look for so long while one is owed, the operator is not well.
_STUCK = 120.0


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """By the pod's service account, else as kubectl would."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


class Handlers:
    """Registered with ``registry``; ``cluster`` and ``coordinator`` are closed by who made them."""

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
        self._known: dict[str, Reconciler] = {}
        self._looked: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        what: Any = {"registry": registry}
        resource = (GROUP, VERSION, PLURAL)
        kopf.on.startup(**what)(self._configure)
        kopf.on.login(**what)(login)
        kopf.on.probe(id="looks", **what)(self._probe)
        kopf.daemon(*resource, id="run", when=_unfinished, **what)(self._run)
        kopf.on.delete(*resource, id="take-back", when=_unfinished, **what)(self._delete)

    async def _configure(self, settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.persistence.finalizer = FINALIZER
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=PREFIX)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=PREFIX)
        # Otherwise it asks for what a role in one namespace does not allow.
        settings.scanning.disabled = True
        settings.execution.default_backoff = _AGAIN
        settings.watching.server_timeout = 300
        settings.watching.connect_timeout = 10
        settings.networking.request_timeout = 30
        with contextlib.suppress(ClusterError):
            for name in await sweep(self._cluster, time.time()):
                log.warning("%s: a partition that nobody renewed, deleted", name)

    async def _run(self, stopped: kopf.DaemonStopped, body: kopf.Body, uid: str, **_: Any) -> None:
        """Until the verdict, or until the resource is deleted: that is the other's."""
        reconciler = self._reconciler(uid)
        while not stopped:
            found = scenario(body)
            if found.deleted:
                return
            reconciler.changed.clear()
            try:
                if await self._look(reconciler, found, body):
                    await self._forget(uid)
                    return
                wait = reconciler.pause
            except ClusterError as error:
                self._failed(found, error)
                wait = _AGAIN
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reconciler.changed.wait(), wait)

    async def _delete(self, body: kopf.Body, uid: str, **_: Any) -> None:
        """The finalizer goes once nothing of the run is left; where that cannot be told, such as
        by a status that cannot be saved, once nothing is left in the cluster.
        """
        found = scenario(body)
        reconciler = self._reconciler(uid)
        try:
            done = await self._look(reconciler, found, body)
            self._failures[uid] = 0
        except ClusterError as error:
            self._failed(found, error)
            self._failures[uid] = self._failures.get(uid, 0) + 1
            if not await self._may_go(reconciler, found):
                raise kopf.TemporaryError(str(error), delay=_AGAIN) from error
            done = True
        if not done and reconciler.stuck:
            done = await self._may_go(reconciler, found)
        if not done:
            raise kopf.TemporaryError("its faults have not ended yet", delay=1)
        await self._forget(uid)

    async def _may_go(self, reconciler: Reconciler, found: Scenario) -> bool:
        if self._failures[found.uid] < _PATIENCE and not reconciler.stuck:
            return False
        try:
            return await reconciler.let_go(found)
        except ClusterError as error:
            log.warning("%s: what is left of it cannot be told: %s", found.name, error)
            return False

    async def _look(self, reconciler: Reconciler, found: Scenario, body: kopf.Body) -> bool:
        self._looked[found.uid] = time.monotonic()
        return await reconciler.tick(found, read(body.get("status")))

    def _reconciler(self, uid: str) -> Reconciler:
        if uid not in self._known:
            self._known[uid] = Reconciler(
                self._cluster, self._coordinator, _announce, self._metrics
            )
        return self._known[uid]

    async def _forget(self, uid: str) -> None:
        self._looked.pop(uid, None)
        self._failures.pop(uid, None)
        if (reconciler := self._known.pop(uid, None)) is not None:
            await reconciler.close()

    def _failed(self, found: Scenario, error: ClusterError) -> None:
        self._metrics.failed(taking_back=bool(found.unwanted))
        log.warning("%s: tried again: %s", found.name, error)

    async def _probe(self, **_: Any) -> dict[str, Any]:
        """``/healthz``: an error where a scenario has not been looked at for too long."""
        oldest = max((time.monotonic() - at for at in self._looked.values()), default=0.0)
        if oldest > _STUCK:
            raise kopf.PermanentError(f"a scenario has not been looked at for {oldest:.0f} s")
        return {"scenarios": len(self._looked), "oldest_look_seconds": round(oldest, 1)}


def _unfinished(status: kopf.Status, **_: Any) -> bool:
    """What has its verdict needs nobody, and no finalizer."""
    return not status.get("verdict")


def _announce(found: Scenario, reason: str, message: str, warning: bool) -> None:
    reference: Any = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ChaosScenario",
        "metadata": {"name": found.name, "namespace": found.namespace, "uid": found.uid},
    }
    kind = "Warning" if warning else "Normal"
    kopf.event(reference, type=kind, reason=reason, message=printable(message)[:1024])
