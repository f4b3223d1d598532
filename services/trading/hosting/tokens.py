"""Checks access tokens, and slows down clients that try wrong ones."""

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, ip_network
from typing import NamedTuple

from fastapi import HTTPException, Request

from trading.hosting.addresses import address

#: Least number of characters of a secret. Secrets that this project generates have 64.
MIN_LENGTH = 16
_VISIBLE = re.compile(r"[!-~]+")

#: Wrong tokens that a client may present within so many wall seconds; after that it has to wait.
MAX_WRONG_TOKENS, WINDOW = 10, 60.0
#: Client addresses that are remembered; the one with the oldest wrong token is forgotten first.
_MAX_ADDRESSES = 10_000
_IPV6_NETWORK = 64


def digest(token: str) -> str:
    """Return the SHA-256 of a token in hex, which is enough for a service to check the token."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_strength(secret: str) -> None:
    """Raise ValueError where a secret is too short or cannot be sent in a header."""
    if len(secret) < MIN_LENGTH:
        raise ValueError(
            f"must have at least {MIN_LENGTH} characters, and has {len(secret)}; make one with:"
            " openssl rand -hex 32"
        )
    if not _VISIBLE.fullmatch(secret):
        raise ValueError("must be of visible ASCII characters, without spaces")


class Token(NamedTuple):
    """A token that a service accepts.

    ``setting`` is the name of its setting, ``digest`` its hash as of :func:`digest`; empty where
    the setting is not set.
    """

    setting: str
    digest: str = ""

    def matches(self, candidate: str) -> bool:
        """Return whether ``candidate`` is the token. The comparison takes constant time."""
        return bool(self.digest) and hmac.compare_digest(digest(candidate), self.digest)


class WrongTokens:
    """Counts the wrong tokens of each client address, so that guessing takes years.

    The addresses of an IPv6 network of 64 bits count as one client. ``clock`` returns wall seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong)

    def wait(self, client: str) -> int:
        """Return for how many wall seconds tokens of ``client`` are rejected unread; 0: none."""
        count, until = self._wrong.get(client_key(client), (0, 0.0))
        remaining = until - self._clock()
        return int(remaining) + 1 if count >= MAX_WRONG_TOKENS and remaining > 0 else 0

    def add(self, client: str) -> None:
        """Count a wrong token of ``client``."""
        key, now = client_key(client), self._clock()
        count, until = self._wrong.pop(key, (0, 0.0))
        if until <= now:
            count, until = 0, now + WINDOW
        self._wrong[key] = count + 1, until
        while len(self._wrong) > _MAX_ADDRESSES:
            self._wrong.popitem(last=False)


def client_key(client: str) -> str:
    """Return the key by which limits count a client: its address, or its IPv6 network."""
    parsed = address(client)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((int(parsed), _IPV6_NETWORK), strict=False))
    return client


def client_of(request: Request) -> str:
    """Return the address of the client, or of the proxy in front of the service."""
    return request.client.host if request.client is not None else ""


def require_token(request: Request, wrong: WrongTokens, accepted: Sequence[Token]) -> None:
    """Raise HTTPException unless the request has ``Authorization: Bearer`` with an accepted token.

    ``wrong`` counts wrong ones. The status is 401, or 429 where the client's address has presented
    too many of them, or 403 where none of the accepted tokens is set.
    """
    settings = " or ".join(token.setting for token in accepted)
    if not any(token.digest for token in accepted):
        raise HTTPException(403, f"not enabled here: {settings} is not set")
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        token = ""
    if not is_accepted_token(request, wrong, token.strip(), accepted):
        raise HTTPException(
            401, f"needs 'Authorization: Bearer' with {settings}", {"WWW-Authenticate": "Bearer"}
        )


def is_accepted_token(
    request: Request, wrong: WrongTokens, candidate: str, accepted: Sequence[Token]
) -> bool:
    """Return whether ``candidate`` is one of the tokens, and count it in ``wrong`` if it is not.

    An empty one is not counted. Raises HTTPException 429 where the client has to wait.
    """
    if not candidate:
        return False
    client = client_of(request)
    if seconds := wrong.wait(client):
        raise HTTPException(
            429,
            f"too many wrong tokens from {client}; try again in {seconds} s",
            {"Retry-After": str(seconds)},
        )
    if any([token.matches(candidate) for token in accepted]):
        return True
    wrong.add(client)
    return False
