"""Leases in Redis that split the accounts evenly between the trading engines.

A lease expires by itself when its owner fails. Its fencing number grows with every new owner, so
that the exchange can refuse an engine that has been replaced without having noticed.
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

#: Greatest length of the name of an instance.
INSTANCE_LIMIT = 100

_NOT_CONNECTED = "redis: not reached yet"
_UNREACHABLE = (RedisError, OSError, TimeoutError)


class StrategyLeases:
    """Holds one instance's share of ``accounts``, which are the same for all instances.

    ``instance`` is a name for display; several processes may have the same. ``on_change`` is called
    whenever the held leases change, with fencing numbers by account: before a lease is given back,
    and after one was acquired. ``ttl`` is the number of wall seconds that a lease is valid after
    its last renewal. ``problem`` says why Redis cannot be used; empty if it can.

    While Redis cannot be reached all leases are kept: no other instance can acquire them then, and
    where only this instance is cut off, the fencing number protects the next owner. In a Redis
    that has only just begun to keep leases, no instance acquires a lease that it did not hold
    before one ``ttl`` has passed, so that previous owners come first. Raises ValueError where
    ``redis_url`` is not a URL of Redis, or the length of ``instance`` is out of range.
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
        self.problem = _NOT_CONNECTED
        self._owner = f"{instance}/{secrets.token_hex(8)}"
        self._accounts = tuple(accounts)
        self._on_change = on_change
        self._ttl = ttl
        self._timeout = ttl / 4
        self._held: dict[str, int] = {}
        self._largest = dict.fromkeys(self._accounts, 0)
        self._refused = dict.fromkeys(self._accounts, 0)
        self._valid_until = 0.0
        self._released = False
        self._lock = asyncio.Lock()
        self._redis = Redis.from_url(
            redis_url,
            decode_responses=True,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0),
        )
        self._sync_script = self._redis.register_script(SYNC)
        self._release_script = self._redis.register_script(RELEASE)
        self._keys = keys(PREFIX, self._accounts)

    @property
    def held(self) -> Mapping[str, int]:
        """The fencing numbers, by account, of the leases that are valid at this moment.

        It is empty after this process has paused for so long that others may have taken over.
        """
        return dict(self._held) if time.monotonic() < self._valid_until else {}

    async def run(self) -> None:
        """Acquire and renew leases until cancelled; call :meth:`release` afterwards."""
        task = asyncio.current_task()
        while not self._released:
            async with self._lock:
                complete = await self._sync()
            # The client's wait_for may swallow a cancellation (CPython before 3.12, gh-86296).
            if task is not None and task.cancelling():
                raise asyncio.CancelledError
            await asyncio.sleep(self._ttl / 6 if complete else 0)

    async def release(self) -> None:
        """Give all leases back for good. If Redis cannot be reached, they expire by themselves."""
        self._released = True
        self._set_held({})
        async with self._lock:
            try:
                async with asyncio.timeout(2 * self._timeout):
                    await self._release_script(keys=self._keys, args=[self._owner])
            except _UNREACHABLE as error:
                self._report_unreachable(error)
            finally:
                await self._redis.aclose()

    def refuse(self, account: str, fence: int, newest: int = 0) -> None:
        """Drop the lease on ``account`` after the exchange has refused ``fence``.

        A lease with a later number is kept. ``newest`` is the number that the exchange has seen.
        """
        if account not in self._refused:
            return
        self._refused[account] = max(self._refused[account], fence)
        self._largest[account] = max(self._largest[account], fence, newest)
        if account in self._held and self._held[account] <= fence:
            log.warning("a newer owner than %d trades for %s", fence, account)
            self._set_held({a: f for a, f in self._held.items() if a != account})

    async def _sync(self) -> bool:
        """Synchronise with Redis. Returns False if another synchronisation is needed at once."""
        sent = time.monotonic()
        self._drop_expired(sent)
        args: list[str | int] = [self._owner, max(1, int(self._ttl * 1000)), "", ""]
        for account in self._accounts:
            args += [self._held.get(account, 0), self._largest[account]]
        try:
            async with asyncio.timeout(2 * self._timeout):
                surplus, *fences = await self._sync_script(keys=self._keys, args=args)
        except _UNREACHABLE as error:
            now = time.monotonic()
            if now - sent > 2.25 * self._timeout:
                # This took longer than any timeout allows: the process had paused, not Redis.
                return False
            self._drop_expired(now)
            self._report_unreachable(error)
            self._valid_until = now + self._ttl
            return True
        if self._released:
            return True
        now = time.monotonic()
        self._drop_expired(now)
        if now >= sent + self._ttl:
            return False
        if self.problem:
            log.info("strategy leases: redis is reachable")
            self.problem = ""
        self._valid_until = sent + self._ttl
        leases = dict(zip(self._accounts, fences, strict=True))
        if surplus:
            del leases[self._accounts[surplus - 1]]
        self._set_held({a: f for a, f in leases.items() if f > self._refused[a]})
        # A lease that was dropped, but is still ours in Redis, is given back by the next call.
        return not surplus

    def _drop_expired(self, now: float) -> None:
        if self._held and now >= self._valid_until:
            log.warning("this process had paused: its strategy leases have expired")
            self._set_held({})

    def _report_unreachable(self, error: Exception) -> None:
        why = str(error).strip().splitlines() or [type(error).__name__]
        if self.problem in ("", _NOT_CONNECTED):
            log.error("strategy leases: redis: %s", why[0])
        self.problem = f"redis: {why[0]}"

    def _set_held(self, held: dict[str, int]) -> None:
        if held == self._held:
            return
        self._held = held
        for account, fence in held.items():
            self._largest[account] = max(self._largest[account], fence)
        self._on_change(dict(held))
