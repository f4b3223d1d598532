"""API keys and signatures: finds out which account sent a request, and whether it may. A signature
is an HMAC-SHA256 over the raw bytes of the request; a timing window limits how long it can be
replayed.
"""

import hashlib
import hmac
import time
from collections.abc import Iterable
from typing import NamedTuple

from trading.api.exchange import errors
from trading.api.exchange.params import Params

#: Longest `recvWindow` of a request, and the one that holds without it; microseconds.
MAX_WINDOW = 60_000_000
DEFAULT_WINDOW = 5_000_000
#: How far a client's clock may be ahead, microseconds.
_MAX_AHEAD = 1_000_000

#: Security types of endpoints: the credential may read, or it may also trade.
READ, TRADE = "read", "trade"


class Credential(NamedTuple):
    """An API key of `account`. The key itself is stored as a SHA-256 hash; the secret is stored in
    clear, since HMAC needs it. With `trade` False it may only read.
    """

    key_hash: bytes
    secret: bytes
    account: str
    trade: bool = True


def credential(key: str, secret: str, account: str, *, trade: bool = True) -> Credential:
    """Return the credential for a key and its secret."""
    return Credential(_hash(key), secret.encode(), account, trade)


class Keys:
    """The credentials that may sign requests, found by their API key."""

    def __init__(self, credentials: Iterable[Credential]) -> None:
        self._by_hash = {c.key_hash: c for c in credentials}

    def find(self, key: str) -> Credential:
        """Return the credential of an API key. Raises BinanceError if the key is missing, malformed
        or unknown.
        """
        if not key or len(key) > 128 or not (key.isascii() and key.isalnum()):
            raise errors.BAD_KEY_FORMAT
        matching = self._by_hash.get(_hash(key))
        if matching is None:
            raise errors.BAD_KEY
        return matching

    def verify(
        self, credential: Credential, payload: bytes, signature: str, params: Params, security: str
    ) -> None:
        """Check that `credential` signed `payload` within the timing window and its permissions
        suffice for an endpoint of type `security`. Raises BinanceError otherwise.
        """
        timestamp = params.time("timestamp", -1)
        if timestamp < 0:
            raise errors.missing("timestamp")
        check_time(timestamp, params.window("recvWindow", DEFAULT_WINDOW), wall_us())
        expected = hmac.digest(credential.secret, payload, hashlib.sha256).hex()
        if not hmac.compare_digest(expected.encode(), signature.lower().encode("utf-8", "replace")):
            raise errors.BAD_SIGNATURE
        if security == TRADE and not credential.trade:
            raise errors.BAD_KEY


def wall_us() -> int:
    """Return the wall clock's time, microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def check_time(timestamp: int, window: int, now: int) -> None:
    """Check that `timestamp` is less than 1 s ahead of `now` and at most `window` behind it; all in
    microseconds. Raises BinanceError otherwise, or if `window` is longer than MAX_WINDOW.
    """
    if window > MAX_WINDOW:
        raise errors.BAD_WINDOW
    if timestamp >= now + _MAX_AHEAD:
        raise errors.AHEAD
    if now - timestamp > window:
        raise errors.OUTSIDE_WINDOW


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
