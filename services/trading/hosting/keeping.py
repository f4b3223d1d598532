"""Keeps a live store small, beside the writing: seals what has grown, drops what is too much."""

import asyncio
import contextlib
import logging

from trading.hosting.records import EntriesLost, Needed
from trading.hosting.retention import Addressed, keep_needed, retain
from trading.hosting.segments import SEGMENT_ENTRIES
from trading.hosting.store import JournalStore, Snapshot, StoreUnavailable

__all__ = ["Addressed", "Keeper"]

log = logging.getLogger(__name__)

#: Segments that are sealed at once, and wall seconds until the next ones are: under load orders
#: come first, and what has gathered is sealed when there is time.
AT_ONCE = 2
PAUSE = 1.0


class Keeper:
    """``retention``: bytes of sealed entries from between runs that ``store`` keeps, None for all.
    ``addressed``: where services are processes of their own, whom entries go to. ``problem``: why
    journals cannot be sealed, empty where they can.
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
        self._needed: Needed | None = None
        self._not_before = 0.0
        self._working: asyncio.Future[bool] | None = None

    def wrote(self, session: int, entries: int, snapshot: Snapshot | None) -> None:
        """So many entries of the newest session have been written, with ``snapshot``. Returns at
        once; what there is to do is done in a thread.
        """
        self._newest = session
        self._unsealed += entries
        if snapshot is not None:
            self._needed = snapshot.needed
        loop = asyncio.get_running_loop()
        due = self._unsealed >= SEGMENT_ENTRIES or self._needed is not None
        if not due or self._working is not None or loop.time() < self._not_before:
            return
        self._unsealed = 0
        needed, self._needed = self._needed, None
        self._working = loop.run_in_executor(None, self.work, session, needed)
        self._working.add_done_callback(self._done)

    def work(self, newest: int, needed: Needed | None) -> bool:
        """Do once what there is to do; ``needed``: of a snapshot that has become durable. Is there
        more? Raises StoreUnavailable, EntriesLost.
        """
        if needed is not None:
            keep_needed(self._store, newest, needed)
        sealed = self._store.seal(newest, AT_ONCE)
        if sealed or needed is not None:
            retain(self._store, newest, self._retention, self._addressed)
        return sealed == AT_ONCE

    async def stop(self) -> None:
        """End what is being done, and note what the newest snapshot needs."""
        while (working := self._working) is not None:
            await asyncio.wait([working])
            await asyncio.sleep(0)
        needed, self._needed = self._needed, None
        if needed is not None:
            with contextlib.suppress(StoreUnavailable):
                await asyncio.to_thread(keep_needed, self._store, self._newest, needed)

    def _done(self, working: asyncio.Future[bool]) -> None:
        self._working = None
        if working.cancelled():
            return
        self._not_before = working.get_loop().time() + PAUSE
        error = working.exception()
        if error is None:
            self.problem = ""
            self._unsealed += SEGMENT_ENTRIES if working.result() else 0
        else:
            problem = str(error) or type(error).__name__
            if problem != self.problem:
                log.error("journals cannot be sealed: %s", error, exc_info=_unexpected(error))
            self.problem = problem
            self._unsealed += SEGMENT_ENTRIES


def _unexpected(error: BaseException) -> BaseException | None:
    return None if isinstance(error, EntriesLost | StoreUnavailable) else error
