"""Who trades for which account: leases in Redis, split evenly between the trading engines.

A lease ends by itself when its owner does. Its fencing number grows with every new owner, so that
the exchange can refuse whoever has been replaced without having noticed.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from trading.hosting.lease_scripts import PREFIX, RELEASE, SYNC, keys

log = logging.getLogger(__name__)

#: Longest name of an instance.
INSTANCE_LIMIT = 100

_NOT_YET = "redis: not reached yet"
_UNREACHABLE = (RedisError, OSError, TimeoutError)


class StrategyLeases:
    """One instance's share of ``accounts``; all instances of an ecosystem name the same ones.

    ``instance``: its name in Redis, for people; two processes may have the same. ``on_change``
    gets all that is held, account -> fencing number, whenever that changes: before anything is
    given back, and after it was acquired. ``ttl``: seconds that a lease outlives its owner.
    ``problem``: why Redis cannot be used, empty when it can.

    While Redis cannot be reached everything is kept: nobody else can acquire it then, and where
    only this instance is cut off the fence protects the next owner. In a Redis that has just
    begun to keep leases nobody acquires what it did not hold before one ``ttl`` has passed: the
    owners from before come first. Raises ValueError for a ``redis_url`` that is none.
    """

    def __init__(
        self,
        redis_url: str,
        instance: str,
        accounts: Sequence[str],
        on_change: Callable[[Mapping[str, int]], None],
        *,
        ttl: float = 3.0,
    ) -> None:
        if not 0 < len(instance) <= INSTANCE_LIMIT:
            raise ValueError(f"an instance's name has 1 to {INSTANCE_LIMIT} characters")
        self.problem = _NOT_YET
        self._owner = f"{instance}/{secrets.token_hex(8)}"
        self._accounts = tuple(accounts)
        self._on_change = on_change
        self._ttl = ttl
        self._patience = ttl / 4
        self._held: dict[str, int] = {}
        self._largest = dict.fromkeys(self._accounts, 0)
        self._refused = dict.fromkeys(self._accounts, 0)
        self._valid_until = 0.0
        self._ended = False
        self._lock = asyncio.Lock()
        self._redis = Redis.from_url(
            redis_url,
            decode_responses=True,
            socket_timeout=self._patience,
            socket_connect_timeout=self._patience,
            retry=Retry(NoBackoff(), 0),
        )
        self._sync_script = self._redis.register_script(SYNC)
        self._release_script = self._redis.register_script(RELEASE)
        self._keys = keys(PREFIX, self._accounts)

    @property
    def held(self) -> Mapping[str, int]:
        """Account -> fencing number of what may be traded for at this very moment: nothing, once
        this process has stood still for so long that others may have taken over.
        """
        return dict(self._held) if time.monotonic() < self._valid_until else {}

    async def run(self) -> None:
        """Acquire and renew until cancelled; call :meth:`release` afterwards."""
        task = asyncio.current_task()
        while not self._ended:
            async with self._lock:
                settled = await self._sync()
            # The client's wait_for may have swallowed it (CPython before 3.12, gh-86296).
            if task is not None and task.cancelling():
                raise asyncio.CancelledError
            await asyncio.sleep(self._ttl / 6 if settled else 0)

    async def release(self) -> None:
        """Give everything back, for good. What Redis cannot be told ends by itself."""
        self._ended = True
        self._hold({})
        async with self._lock:
            try:
                async with asyncio.timeout(2 * self._patience):
                    await self._release_script(keys=self._keys, args=[self._owner])
            except _UNREACHABLE as error:
                self._unreachable(error)
            finally:
                await self._redis.aclose()

    def refuse(self, account: str, fence: int, newest: int = 0) -> None:
        """The exchange has refused ``fence`` for ``account`` (it knows of ``newest``): drop it,
        unless a later number is held already.
        """
        if account not in self._refused:
            return
        self._refused[account] = max(self._refused[account], fence)
        self._largest[account] = max(self._largest[account], fence, newest)
        if account in self._held and self._held[account] <= fence:
            log.warning("somebody newer than %d trades for %s", fence, account)
            self._hold({a: f for a, f in self._held.items() if a != account})

    async def _sync(self) -> bool:
        """Compare with Redis, and hold what it says. False: there is more to do at once."""
        sent = time.monotonic()
        self._notice_pause(sent)
        args: list[str | int] = [self._owner, max(1, int(self._ttl * 1000)), "", ""]
        for account in self._accounts:
            args += [self._held.get(account, 0), self._largest[account]]
        try:
            async with asyncio.timeout(2 * self._patience):
                surplus, *fences = await self._sync_script(keys=self._keys, args=args)
        except _UNREACHABLE as error:
            now = time.monotonic()
            if now - sent > 2.25 * self._patience:
                # Not Redis was silent for so long: this process stood still.
                return False
            self._notice_pause(now)
            self._unreachable(error)
            self._valid_until = now + self._ttl
            return True
        if self._ended:
            return True
        now = time.monotonic()
        self._notice_pause(now)
        if now >= sent + self._ttl:
            return False
        if self.problem:
            log.info("strategy leases: redis answers")
            self.problem = ""
        self._valid_until = sent + self._ttl
        found = dict(zip(self._accounts, fences, strict=True))
        if surplus:
            del found[self._accounts[surplus - 1]]
        self._hold({a: f for a, f in found.items() if f > self._refused[a]})
        # What is held no longer, but still ours in Redis, is given back by the next comparison.
        return not surplus

    def _notice_pause(self, now: float) -> None:
        if self._held and now >= self._valid_until:
            log.warning("this process stood still: its strategy leases are over")
            self._hold({})

    def _unreachable(self, error: Exception) -> None:
        why = str(error).strip().splitlines() or [type(error).__name__]
        if self.problem in ("", _NOT_YET):
            log.error("strategy leases: redis: %s", why[0])
        self.problem = f"redis: {why[0]}"

    def _hold(self, held: dict[str, int]) -> None:
        if held == self._held:
            return
        self._held = held
        for account, fence in held.items():
            self._largest[account] = max(self._largest[account], fence)
        self._on_change(dict(held))
