"""The strategy leases of one virtual session: in its own time, and apart from those between runs.

Here a process cannot have stood still without having noticed: simulated time waits for it, or goes
on without it, and then nobody listens to it any more. So there is no clock, and nothing to refuse.
What an engine holds is what its journal says; Redis has the last word on who may have what is free.
"""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from trading.hosting.lease_scripts import PREFIX, SYNC, keys

#: Simulated milliseconds that a lease outlives its owner's last word.
TTL = 3000
#: Wall milliseconds after which Redis forgets a session.
_KEEP = 24 * 3600 * 1000
#: Wall seconds for an answer.
_PATIENCE = 2.0


class LeasesUnavailable(Exception):
    """Redis cannot be reached, or does not do what it is asked."""


class SessionLeases:
    """The leases on ``accounts`` as one participant of the session ``key`` sees them. ``owner``:
    its name, which no other participant has, and which it has again when it comes back. Raises
    ValueError for a ``redis_url`` that is none.
    """

    def __init__(self, redis_url: str, key: str, owner: str, accounts: Sequence[str]) -> None:
        self._owner = owner
        self._accounts = tuple(accounts)
        self._keys = keys(f"{PREFIX}{key}:", self._accounts)
        self._redis = Redis.from_url(
            redis_url,
            decode_responses=True,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._redis.register_script(SYNC)

    async def synchronise(self, now: int, held: Mapping[str, int]) -> dict[str, int]:
        """Renew what is ``held`` (account -> fencing number) at the simulated time ``now``, in
        milliseconds, and acquire this owner's share of what is free. Returns what it holds from
        now on; the same again when it is asked again for the same moment. Raises
        LeasesUnavailable.
        """
        args: list[str | int] = [self._owner, TTL, now, _KEEP]
        for account in self._accounts:
            args += [held.get(account, 0), held.get(account, 0)]
        try:
            surplus, *fences = await self._script(keys=self._keys, args=args)
        except (RedisError, OSError, TimeoutError) as error:
            why = str(error).strip().splitlines() or [type(error).__name__]
            raise LeasesUnavailable(why[0]) from error
        found = dict(zip(self._accounts, fences, strict=True))
        if surplus:
            # The next synchronisation gives it back, when nothing is traded for it any more.
            del found[self._accounts[surplus - 1]]
        return {account: fence for account, fence in found.items() if fence}

    async def close(self) -> None:
        """End the connection. What is held ends by itself, a while of simulated time later."""
        await self._redis.aclose()
