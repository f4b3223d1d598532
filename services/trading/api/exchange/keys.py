"""Who sends a signed request: API keys, signatures over the raw bytes, the timing window."""

import hashlib
import hmac
import time
from collections.abc import Iterable
from typing import NamedTuple

from trading.api.exchange import errors
from trading.api.exchange.params import Params

#: Microseconds, as all times here.
MAX_WINDOW = 60_000_000
DEFAULT_WINDOW = 5_000_000
_AHEAD = 1_000_000

READ, TRADE = "read", "trade"


class Credential(NamedTuple):
    """``trade`` False: may read only. The key is kept hashed; HMAC needs the secret itself."""

    key_hash: bytes
    secret: bytes
    account: str
    trade: bool = True


def credential(key: str, secret: str, account: str, *, trade: bool = True) -> Credential:
    return Credential(_hash(key), secret.encode(), account, trade)


class Keys:
    def __init__(self, credentials: Iterable[Credential]) -> None:
        self._by_hash = {c.key_hash: c for c in credentials}

    def find(self, key: str) -> Credential:
        """Raises BinanceError for a missing, malformed or unknown key."""
        if not key or len(key) > 128 or not (key.isascii() and key.isalnum()):
            raise errors.BAD_KEY_FORMAT
        known = self._by_hash.get(_hash(key))
        if known is None:
            raise errors.BAD_KEY
        return known

    def check(
        self, known: Credential, payload: bytes, signature: str, params: Params, security: str
    ) -> None:
        """Raises BinanceError unless ``known`` signed these bytes just now, and may do this."""
        timestamp = params.time("timestamp", -1)
        if timestamp < 0:
            raise errors.missing("timestamp")
        check_time(timestamp, params.window("recvWindow", DEFAULT_WINDOW), wall_us())
        wanted = hmac.digest(known.secret, payload, hashlib.sha256).hex()
        if not hmac.compare_digest(wanted.encode(), signature.lower().encode("utf-8", "replace")):
            raise errors.BAD_SIGNATURE
        if security == TRADE and not known.trade:
            raise errors.BAD_KEY


def wall_us() -> int:
    return time.time_ns() // 1000


def check_time(timestamp: int, window: int, now: int) -> None:
    """Accepted iff ``timestamp < now + 1 s`` and ``now - timestamp <= window``."""
    if window > MAX_WINDOW:
        raise errors.BAD_WINDOW
    if timestamp >= now + _AHEAD:
        raise errors.AHEAD
    if now - timestamp > window:
        raise errors.OUTSIDE_WINDOW


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
