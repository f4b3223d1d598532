"""Who opens sessions and sets the pace of time: of this process, or of all services."""

from typing import Protocol

from trading.hosting.host import Host
from trading.hosting.session import Session


class CannotOpen(Exception):
    """A service did not take the session."""


class World(Protocol):
    async def open(self, session: Session) -> None:
        """Every component in this session. Raises CannotOpen."""
        ...

    async def pace(self, speed: float) -> None:
        """From now on simulated time goes on at ``speed``."""
        ...


class LocalWorld:
    """All components are in one process."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def open(self, session: Session) -> None:
        await self._host.open(session)

    async def pace(self, speed: float) -> None:
        self._host.pace(speed)
