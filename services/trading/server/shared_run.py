"""Divides the strategies among several trading engines in a run in virtual time.

The engines use leases, as between runs, but in simulated time: each engine compares its leases with
Redis at a fixed moment of every simulated second, no two engines at the same moment, and simulated
time waits until Redis has answered. So the assignment of strategies depends on the run alone, and
not on the speed of the machine.

A run with one engine uses no leases, and its journals are those of the embedded run.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence

from trading.hosting.host import Host
from trading.hosting.session_leases import LeasesUnavailable, SessionLeases
from trading.messages import Message
from trading.messages.strategy import StrategiesAssigned
from trading.topology import TRADING_ENGINE
from trading.trading_engine import TradingEngine
from trading.units import MILLISECOND, SECOND
from trading.universe import MANUAL

log = logging.getLogger(__name__)

#: Simulated microseconds between two comparisons of an engine with Redis.
_INTERVAL = SECOND
#: Wall-clock seconds between two attempts to reach Redis.
_RETRY_DELAY = 0.2


class SharedRun:
    """One engine's leases in a virtual run.

    ``name`` is the name of this engine among the participants of the host's session. ``problem``
    says why simulated time waits for Redis; it is empty while it does not. Raises ValueError for an
    invalid ``redis_url``.
    """

    def __init__(self, host: Host, name: str, redis_url: str) -> None:
        self._host = host
        self._live = host.live
        plan = host.session.plan
        engines = [n for n, s in host.session.instances.items() if s == TRADING_ENGINE]
        self._start = plan.start
        # The engines are a millisecond apart, so that each sees the changes of those before it.
        self._first_comparison = plan.start + _INTERVAL + engines.index(name) * MILLISECOND
        accounts = [a.name for a in plan.universe.accounts if a.strategy != MANUAL]
        self._leases = SessionLeases(redis_url, host.session.key, name, accounts)
        self.problem = ""

    async def close(self) -> None:
        """Close the connection to Redis."""
        await self._leases.close()

    def next_comparison(self) -> int | None:
        """Return the simulated time, in microseconds, at which this engine has to act next.

        At the start of the run this is to assign no strategies to the engine, which would trade for
        all accounts otherwise; after that, it is the next comparison with Redis.
        """
        if not self._has_assignment:
            return self._start
        now = self._live.processed_until
        return (
            self._first_comparison
            + max(0, (now - self._first_comparison) // _INTERVAL + 1) * _INTERVAL
        )

    def prepare(self, due: int) -> Awaitable[Sequence[Message]] | None:
        """Return the messages that change the engine's strategies at the instant ``due``.

        None if the engine has nothing to do at it.
        """
        return self._compare_leases(due) if due == self.next_comparison() else None

    @property
    def _has_assignment(self) -> bool:
        """Whether the engine has received an assignment.

        Without one it trades for every account, with the fencing number 0.
        """
        return 0 not in self._engine.fences.values()

    @property
    def _engine(self) -> TradingEngine:
        return self._host.component(TradingEngine)

    async def _compare_leases(self, due: int) -> Sequence[Message]:
        if not self._has_assignment:
            return [StrategiesAssigned({})]
        held = dict(self._engine.fences)
        while not self._live.lockstep_over:
            try:
                leased = await self._leases.synchronise(due // MILLISECOND, held)
            except LeasesUnavailable as error:
                if not self.problem:
                    log.error("time waits for the strategy leases: redis: %s", error)
                self.problem = f"redis: {error}"
                await asyncio.sleep(_RETRY_DELAY)
                continue
            self.problem = ""
            return [StrategiesAssigned(leased)] if leased != held else ()
        return ()
