"""A trading engine's part in a virtual run that several engines take part in.

They share the strategies by leases, as between runs, but in simulated time: each engine compares
with Redis at a fixed moment of every simulated second, no two at the same one, and time waits until
Redis has answered. So who trades what depends on the run alone, and not on the machine.

With one engine there is nothing to share: no leases, and the journals are the embedded run's.
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

#: Simulated microseconds between two comparisons.
EVERY = SECOND
#: Wall seconds between two attempts to reach Redis.
_AGAIN = 0.2


class SharedRun:
    """``name``: this engine's, one of several participants of the host's session. ``problem``: why
    time waits for Redis; empty: it does not. Raises ValueError for a ``redis_url`` that is none.
    """

    def __init__(self, host: Host, name: str, redis_url: str) -> None:
        self._host = host
        self._live = host.live
        plan = host.session.plan
        engines = [n for n, s in host.session.instances.items() if s == TRADING_ENGINE]
        self._start = plan.start
        # One after the other: what the first has done in Redis, the next finds there.
        self._first = plan.start + EVERY + engines.index(name) * MILLISECOND
        accounts = [a.name for a in plan.universe.accounts if a.strategy != MANUAL]
        self._leases = SessionLeases(redis_url, host.session.key, name, accounts)
        self.problem = ""

    async def close(self) -> None:
        """Let go of Redis."""
        await self._leases.close()

    def appointment(self) -> int | None:
        """When this engine compares with Redis next. At the first moment of all it is told that it
        holds nothing; it would trade for all accounts otherwise.
        """
        if not self._told:
            return self._start
        now = self._live.kernel.now
        return self._first + max(0, (now - self._first) // EVERY + 1) * EVERY

    def prepare(self, due: int) -> Awaitable[Sequence[Message]] | None:
        """Before an instant: what changes at it."""
        return self._changes(due) if due == self.appointment() else None

    @property
    def _told(self) -> bool:
        """An engine that has been told nothing holds everything, without a lease."""
        return 0 not in self._engine.fences.values()

    @property
    def _engine(self) -> TradingEngine:
        engine: TradingEngine = self._host.component(TRADING_ENGINE)
        return engine

    async def _changes(self, due: int) -> Sequence[Message]:
        if not self._told:
            return [StrategiesAssigned({})]
        held = dict(self._engine.fences)
        while self._host.live is self._live and self._live.in_lockstep:
            try:
                found = await self._leases.synchronise(due // MILLISECOND, held)
            except LeasesUnavailable as error:
                if not self.problem:
                    log.error("time waits for the strategy leases: redis: %s", error)
                self.problem = f"redis: {error}"
                await asyncio.sleep(_AGAIN)
                continue
            self.problem = ""
            return [StrategiesAssigned(found)] if found != held else ()
        return ()
