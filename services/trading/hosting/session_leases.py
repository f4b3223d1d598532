"""The strategy leases of one virtual session, in simulated time and apart from those between runs.

In a virtual session a process cannot have paused unnoticed: simulated time waits for it, or goes on
without it, and then its messages are no longer accepted. So no wall clock is needed, and the
exchange need not refuse anything. What an engine holds is recorded in its journal; Redis decides
who gets what is free.
"""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from trading.hosting.lease_scripts import PREFIX, SYNC, keys

#: Simulated milliseconds that a lease is valid after its last renewal.
TTL = 3000
#: Wall milliseconds after which Redis deletes the keys of a session.
_KEY_LIFETIME = 24 * 3600 * 1000
#: Wall seconds to wait for an answer from Redis.
_TIMEOUT = 2.0


class LeasesUnavailable(Exception):
    """Redis cannot be reached, or cannot do what it was asked for."""


class SessionLeases:
    """The leases on ``accounts`` from the point of view of one participant of a session.

    ``key`` identifies the session. ``owner`` is the participant's name, which is unique, and the
    same after a restart. Raises ValueError where ``redis_url`` is not a URL of Redis.
    """

    def __init__(self, redis_url: str, key: str, owner: str, accounts: Sequence[str]) -> None:
        self._owner = owner
        self._accounts = tuple(accounts)
        self._keys = keys(f"{PREFIX}{key}:", self._accounts)
        self._redis = Redis.from_url(
            redis_url,
            decode_responses=True,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._redis.register_script(SYNC)

    async def synchronise(self, now: int, held: Mapping[str, int]) -> dict[str, int]:
        """Renew ``held`` leases, and acquire this owner's share of the free ones.

        ``held`` maps accounts to fencing numbers; ``now`` is the simulated time in milliseconds.
        Returns the leases held from now on. A repeated call for the same instant returns the same.
        Raises LeasesUnavailable.
        """
        args: list[str | int] = [self._owner, TTL, now, _KEY_LIFETIME]
        for account in self._accounts:
            args += [held.get(account, 0), held.get(account, 0)]
        try:
            surplus, *fences = await self._script(keys=self._keys, args=args)
        except (RedisError, OSError, TimeoutError) as error:
            why = str(error).strip().splitlines() or [type(error).__name__]
            raise LeasesUnavailable(why[0]) from error
        leases = dict(zip(self._accounts, fences, strict=True))
        if surplus:
            # The next call gives it back, when the engine no longer trades for the account.
            del leases[self._accounts[surplus - 1]]
        return {account: fence for account, fence in leases.items() if fence}

    async def close(self) -> None:
        """Close the connection. Leases that are still held expire in simulated time."""
        await self._redis.aclose()
