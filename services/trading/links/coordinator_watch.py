"""Ends virtual time when the coordinator stays away for too long.

Faults are leases in simulated time. Without the coordinator, which grants time, they would last for
ever; so a service then lets its time follow the wall clock until every lease has expired.
"""

import asyncio
import logging
from collections.abc import Callable

from trading.links.virtual import VirtualLinks
from trading.topology import TEST_COORDINATOR

log = logging.getLogger(__name__)

#: Wall seconds between two checks of the link to the coordinator.
_CHECK_INTERVAL = 0.5


class CoordinatorWatch:
    """Checks whether the coordinator is connected while ``virtual`` returns the links of a session
    in virtual time. Calls ``on_timeout`` when it has been away for ``timeout`` wall seconds.
    """

    def __init__(
        self,
        virtual: Callable[[], VirtualLinks | None],
        timeout: float,
        on_timeout: Callable[[], None],
    ) -> None:
        self._virtual = virtual
        self._timeout = timeout
        self._on_timeout = on_timeout

    async def run(self) -> None:
        """Check until cancelled."""
        clock = asyncio.get_running_loop().time
        last_connected = clock()
        while True:
            await asyncio.sleep(_CHECK_INTERVAL)
            virtual = self._virtual()
            if virtual is None or virtual.over or virtual.has_link_to(TEST_COORDINATOR):
                last_connected = clock()
            elif clock() - last_connected > self._timeout:
                log.error("no coordinator for %g s: time goes on without it", self._timeout)
                self._on_timeout()
