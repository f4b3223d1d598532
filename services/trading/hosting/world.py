"""Who opens sessions and sets the pace of time: of this process, or of all services."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.store import StoreUnavailable
from trading.scenario.result import JournalHead

#: Kind of the documents that keep, by run, what the platform's network did in it, and when.
CHANGES = "real-changes"
#: Kind of the documents that keep, by run, which instances it went on without, and since when.
DISMISSED = "dismissed"

#: Kind of the documents that keep, by session, when its run was over, where all is one process.
OVER = "run-over"


class CannotOpen(Exception):
    """A service did not take the session."""


class Halted(CannotOpen):
    """A halt stands that a new session would end; says who has to reset it."""


class World(Protocol):
    """``failed``: hears why a run cannot go on."""

    failed: Callable[[str], None]

    async def open(self, session: Session) -> None:
        """Every component in this session. Raises CannotOpen, or Halted where it must not be."""
        ...

    async def pace(self, speed: float) -> None:
        """From now on simulated time goes on with the wall clock, at ``speed``."""
        ...

    async def heads(self) -> dict[str, JournalHead]:
        """Every journal's length and last hash, by component."""
        ...

    def waiting_for(self) -> list[str]:
        """Those for whom simulated time waits now."""
        ...

    def waited(self) -> dict[str, float]:
        """By service, for how many wall seconds this process's newest run waited for it."""
        ...


def run_over_at(host: Host) -> int | None:
    """Return since when, in simulated microseconds, the run of the host's session is over and time
    goes on by the wall clock; None where it is not over.
    """
    if host.anchor is not None and host.anchor != host.session.anchor:
        return host.anchor.sim
    kept = host.store.document(OVER, str(host.live.number))
    return int(kept) if kept is not None else None


class LocalWorld:
    """All components are in one process."""

    def __init__(self, host: Host, standing: Callable[[], str] = lambda: "") -> None:
        """``standing``: why no session may be opened; empty: one may."""
        self._host = host
        self._standing = standing
        self.failed: Callable[[str], None] = lambda why: None

    async def open(self, session: Session) -> None:
        if why := self._standing():
            raise Halted(why)
        await self._host.open(session)

    async def pace(self, speed: float) -> None:
        host = self._host
        if host.session.run_id and run_over_at(host) is None:
            now = str(host.now).encode()
            # Without its end a later halt counts as the run's, no worse than that.
            with contextlib.suppress(StoreUnavailable):
                await asyncio.to_thread(host.store.put, OVER, str(host.live.number), now)
        host.pace(speed)

    async def heads(self) -> dict[str, JournalHead]:
        journals = self._host.kernel.journals
        return {name: JournalHead(j.length, j.head.hex()) for name, j in journals.items()}

    def waiting_for(self) -> list[str]:
        return []

    def waited(self) -> dict[str, float]:
        return {}
