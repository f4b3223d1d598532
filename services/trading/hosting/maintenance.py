"""Keeps a live store small, in the background: seals old entries and drops what exceeds a limit."""

import asyncio
import contextlib
import logging

from trading.hosting.records import EntriesLost, RecoveryNeeds
from trading.hosting.retention import Addressed, record_needed, retain
from trading.hosting.segments import SEGMENT_ENTRIES
from trading.hosting.store import JournalStore, Snapshot, StoreUnavailable

__all__ = ["Addressed", "Keeper"]

log = logging.getLogger(__name__)

#: Segments that are sealed in one step, and wall seconds between two steps, so that sealing does
#: not delay orders under load.
AT_ONCE = 2
PAUSE = 1.0


class Keeper:
    """Seals and drops entries of ``store`` after writes, in a thread.

    ``retention`` is the number of bytes of sealed entries from between runs that the store keeps;
    None keeps all. ``addressed`` returns the services that entries were addressed to, where
    services are processes of their own. ``problem`` says why journals cannot be sealed; it is
    empty if they can.
    """

    def __init__(
        self, store: JournalStore, retention: int | None, addressed: Addressed | None = None
    ) -> None:
        self.problem = ""
        self._store = store
        self._retention = retention
        self._addressed = addressed
        self._unsealed = SEGMENT_ENTRIES
        self._newest = 0
        self._needed: RecoveryNeeds | None = None
        self._not_before = 0.0
        self._task: asyncio.Future[bool] | None = None

    def wrote(self, session: int, entries: int, snapshot: Snapshot | None) -> None:
        """Count ``entries`` written to the newest session, with ``snapshot`` if there was one.

        Returns at once; the work that may be due is done in a thread.
        """
        self._newest = session
        self._unsealed += entries
        if snapshot is not None:
            self._needed = snapshot.needed
        loop = asyncio.get_running_loop()
        due = self._unsealed >= SEGMENT_ENTRIES or self._needed is not None
        if not due or self._task is not None or loop.time() < self._not_before:
            return
        self._unsealed = 0
        needed, self._needed = self._needed, None
        self._task = loop.run_in_executor(None, self.work, session, needed)
        self._task.add_done_callback(self._on_finished)

    def work(self, newest: int, needed: RecoveryNeeds | None) -> bool:
        """Seal and drop entries once, and return whether there is more to seal.

        ``needed`` is that of a snapshot that has become durable. Raises StoreUnavailable,
        EntriesLost.
        """
        if needed is not None:
            record_needed(self._store, newest, needed)
        sealed = self._store.seal(newest, AT_ONCE)
        if sealed or needed is not None:
            retain(self._store, newest, self._retention, self._addressed)
        return sealed == AT_ONCE

    async def stop(self) -> None:
        """Wait for the running step, and record what the newest snapshot needs."""
        while (task := self._task) is not None:
            await asyncio.wait([task])
            await asyncio.sleep(0)
        needed, self._needed = self._needed, None
        if needed is not None:
            with contextlib.suppress(StoreUnavailable):
                await asyncio.to_thread(record_needed, self._store, self._newest, needed)

    def _on_finished(self, task: asyncio.Future[bool]) -> None:
        self._task = None
        if task.cancelled():
            return
        self._not_before = task.get_loop().time() + PAUSE
        error = task.exception()
        if error is None:
            self.problem = ""
            self._unsealed += SEGMENT_ENTRIES if task.result() else 0
        else:
            problem = str(error) or type(error).__name__
            if problem != self.problem:
                log.error("journals cannot be sealed: %s", error, exc_info=_unexpected(error))
            self.problem = problem
            self._unsealed += SEGMENT_ENTRIES


def _unexpected(error: BaseException) -> BaseException | None:
    return None if isinstance(error, EntriesLost | StoreUnavailable) else error
