"""The cache of price anchors in Redis, and the turns by which services share request limits.

A service that restarts, or several that share a Redis, thus send no more requests to an API than
one. Everything in the cache has a time to live, and losing it costs only additional requests.
"""

from collections.abc import Iterable, Sequence

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from trading.units import MINUTE, SCALE
from trading.upstream.anchors import HIGHEST, PriceAnchor

#: Time to live of a cached anchor in seconds: an older price is not used.
_ANCHOR_TTL = 3600
#: Timeout of one Redis operation, in seconds.
_TIMEOUT = 2.0
_ANCHOR = "trading:upstream:anchor:"
_TURN = "trading:upstream:turn:"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PriceAnchor).decode


class CacheUnavailable(Exception):
    """Redis cannot be used now. The text says why, and contains no address or password."""


class AnchorCache:
    """Keeps anchors and turns in the Redis at ``url`` (redis://, rediss:// or unix://).

    Methods raise CacheUnavailable if Redis cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(NoBackoff(), 1),
            max_connections=4,
        )

    async def load(self, assets: Sequence[str], now: int) -> list[PriceAnchor]:
        """Return the cached anchors of ``assets``; ``now`` is the wall time in microseconds.

        Entries that are invalid, or that this program cannot have written, are ignored.
        """
        try:
            bodies = await self._redis.mget([_ANCHOR + a for a in assets])
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        anchors = []
        for asset, body in zip(assets, bodies, strict=True):
            try:
                anchor = _decode(body) if body is not None else None
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if anchor is not None and anchor.asset == asset and _is_valid(anchor, now):
                anchors.append(anchor)
        return anchors

    async def save(self, anchors: Iterable[PriceAnchor]) -> None:
        """Store anchors in place of those of the same assets."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for anchor in anchors:
                    pipe.set(_ANCHOR + anchor.asset, _encode(anchor), ex=_ANCHOR_TTL)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def claim_turn(self, source: str, seconds: float) -> float:
        """Claim the turn to send a request to ``source``, for the next ``seconds``.

        Return 0 if it was free, otherwise the seconds until it will be.
        """
        key = _TURN + source
        try:
            if await self._redis.set(key, b"1", nx=True, px=_milliseconds(seconds)):
                return 0.0
            remaining: int = await self._redis.pttl(key)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return remaining / 1000 if remaining > 0 else 1.0

    async def block_source(self, source: str, seconds: float) -> None:
        """Keep every service from sending a request to ``source`` for ``seconds``."""
        try:
            await self._redis.set(_TURN + source, b"1", px=_milliseconds(seconds))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def _is_valid(anchor: PriceAnchor, now: int) -> bool:
    """Return whether price and age are in range; another host's clock may be a minute ahead."""
    age = now - anchor.observed_at
    return 0 < anchor.price <= HIGHEST * SCALE and -MINUTE <= age <= _ANCHOR_TTL * 1_000_000


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


def _unavailable(error: Exception) -> CacheUnavailable:
    if isinstance(error, AuthenticationError):
        return CacheUnavailable("it does not accept the password")
    if isinstance(error, ResponseError):
        return CacheUnavailable("it refuses the command")
    return CacheUnavailable(f"it cannot be reached: {type(error).__name__}")
