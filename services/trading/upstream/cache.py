"""Anchors and turns in Redis: services that start again, or that are several, ask once.

Everything here may be lost, and has a time to live.
"""

from collections.abc import Iterable, Sequence

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from trading.units import MINUTE, SCALE
from trading.upstream.anchors import HIGHEST, PriceAnchor

#: How long an anchor is kept, seconds: an older one is no price to begin with.
KEPT = 3600
PATIENCE = 2.0
_ANCHOR = "trading:upstream:anchor:"
_TURN = "trading:upstream:turn:"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PriceAnchor).decode


class CacheUnavailable(Exception):
    """Redis cannot be used now; the text says why, without address or password."""


class AnchorCache:
    """``url``: redis://, rediss:// or unix://. Every method raises CacheUnavailable."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 1),
            max_connections=4,
        )

    async def load(self, assets: Sequence[str], now: int) -> list[PriceAnchor]:
        """What is kept and could have been kept by us; ``now``: wall time, microseconds."""
        try:
            kept = await self._redis.mget([_ANCHOR + a for a in assets])
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        found = []
        for asset, body in zip(assets, kept, strict=True):
            try:
                anchor = _decode(body) if body is not None else None
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if anchor is not None and anchor.asset == asset and _possible(anchor, now):
                found.append(anchor)
        return found

    async def save(self, anchors: Iterable[PriceAnchor]) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for anchor in anchors:
                    pipe.set(_ANCHOR + anchor.asset, _encode(anchor), ex=KEPT)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def claim(self, source: str, seconds: float) -> float:
        """Is it our turn to ask ``source``? 0: yes, and nobody else's for ``seconds``; otherwise
        seconds until it is somebody's.
        """
        key = _TURN + source
        try:
            if await self._redis.set(key, b"1", nx=True, px=_milliseconds(seconds)):
                return 0.0
            left: int = await self._redis.pttl(key)
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error
        return left / 1000 if left > 0 else 1.0

    async def hold(self, source: str, seconds: float) -> None:
        """Nobody asks ``source`` for ``seconds``."""
        try:
            await self._redis.set(_TURN + source, b"1", px=_milliseconds(seconds))
        except (RedisError, OSError) as error:
            raise _unavailable(error) from error

    async def close(self) -> None:
        await self._redis.aclose()


def _possible(anchor: PriceAnchor, now: int) -> bool:
    age = now - anchor.observed_at
    return 0 < anchor.price <= HIGHEST * SCALE and -MINUTE <= age <= KEPT * 1_000_000


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


def _unavailable(error: Exception) -> CacheUnavailable:
    if isinstance(error, AuthenticationError):
        return CacheUnavailable("it does not accept the password")
    if isinstance(error, ResponseError):
        return CacheUnavailable("it refuses the command")
    return CacheUnavailable(f"it cannot be reached: {type(error).__name__}")
