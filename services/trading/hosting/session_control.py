"""Opens sessions and sets the speed of simulated time, for the conductor of scenario runs.

The interface has two implementations: one for a process that hosts all components, here, and one
for services that are processes of their own, in :mod:`trading.links.session_control`.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.hosting.store import StoreUnavailable
from trading.scenario.result import JournalHead

#: Kind of the documents, by run, that record what the platform's network did during the run.
NETWORK_CHANGES = "real-changes"
#: Kind of the documents, by run, that record the instances which the run continued without.
DISMISSED_INSTANCES = "dismissed"

#: Kind of the documents, by session, that record when the session's run was over; only used where
#: one process hosts all components.
RUN_OVER = "run-over"


class CannotOpen(Exception):
    """A service could not open the session."""


class TradingHalted(CannotOpen):
    """A halt is in force that a new session would end; the text says who has to reset it."""


class SessionControl(Protocol):
    """Controls the session and the clock of all services."""

    def on_failure(self, hook: Callable[[str], None]) -> None:
        """Call ``hook`` with the reason whenever a run cannot continue."""
        ...

    async def open(self, session: Session) -> None:
        """Open ``session`` on all components. Raises CannotOpen, TradingHalted."""
        ...

    async def set_speed(self, speed: float) -> None:
        """Let simulated time follow the wall clock from now on, at ``speed``."""
        ...

    async def heads(self) -> dict[str, JournalHead]:
        """Return the length and last hash of every journal, by component."""
        ...

    def waiting_for(self) -> list[str]:
        """Return the services that simulated time waits for now."""
        ...

    def waited(self) -> dict[str, float]:
        """Return the wall seconds that this process's newest run waited for each service."""
        ...


def run_ended_at(host: Host) -> int | None:
    """Return since when the run of the host's session is over and time follows the wall clock.

    The time is in simulated microseconds; None if the run is not over.
    """
    if host.anchor is not None and host.anchor != host.session.anchor:
        return host.anchor.sim
    document = host.store.document(RUN_OVER, str(host.session_number))
    return int(document) if document is not None else None


class LocalSessionControl:
    """Controls the session and the clock where one process hosts all components.

    ``standing`` returns why no session may be opened; empty if one may.
    """

    def __init__(self, host: Host, standing: Callable[[], str] = lambda: "") -> None:
        self._host = host
        self._halted_by = standing

    def on_failure(self, hook: Callable[[str], None]) -> None:
        """Do nothing: no run ends because one process waits for another."""

    async def open(self, session: Session) -> None:
        """Open ``session`` on the host. Raises TradingHalted while a halt is in force."""
        if why := self._halted_by():
            raise TradingHalted(why)
        await self._host.open(session)

    async def set_speed(self, speed: float) -> None:
        """Follow the wall clock at ``speed``, and store when the session's run ended, if it did."""
        host = self._host
        if host.session.run_id and run_ended_at(host) is None:
            now = str(host.now).encode()
            # If this cannot be stored, a later halt counts as one of the run, nothing worse.
            with contextlib.suppress(StoreUnavailable):
                await asyncio.to_thread(host.store.put, RUN_OVER, str(host.session_number), now)
        host.set_speed(speed)

    async def heads(self) -> dict[str, JournalHead]:
        """Return the length and last hash of every journal of the process, by component."""
        journals = self._host.journals
        return {name: JournalHead(j.length, j.head.hex()) for name, j in journals.items()}

    def waiting_for(self) -> list[str]:
        """Return an empty list: one process does not wait for others."""
        return []

    def waited(self) -> dict[str, float]:
        """Return an empty mapping: one process does not wait for others."""
        return {}
