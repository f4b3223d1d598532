"""Tokens: what a service knows of them, and what happens to whoever tries wrong ones."""

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network
from typing import NamedTuple

from fastapi import HTTPException, Request

from trading.hosting.addresses import address

#: Characters of a secret that people choose. Those that are made here have 64.
MIN_LENGTH = 16
_VISIBLE = re.compile(r"[!-~]+")

#: Wrong tokens that an address may show in so many wall seconds; then it has to wait.
WRONG, WINDOW = 10, 60.0
#: Addresses that are remembered; the one that was wrong the longest time ago is forgotten first.
_REMEMBERED = 10_000
_IPV6_NETWORK = 64


def digest(token: str) -> str:
    """Return what a service that only checks a token has of it: its SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_strength(secret: str) -> None:
    """Raise ValueError where a secret is too short, or could not be sent in a header."""
    if len(secret) < MIN_LENGTH:
        raise ValueError(
            f"must have at least {MIN_LENGTH} characters, and has {len(secret)}; make one with:"
            " openssl rand -hex 32"
        )
    if not _VISIBLE.fullmatch(secret):
        raise ValueError("must be of visible ASCII characters, without spaces")


class Token(NamedTuple):
    """``setting``: what names it; ``digest``: as of :func:`digest`, empty where it is not set."""

    setting: str
    digest: str = ""

    def matches(self, given: str) -> bool:
        """Is ``given`` the token? Compared in constant time."""
        return bool(self.digest) and hmac.compare_digest(digest(given), self.digest)


class WrongTokens:
    """Counts the wrong tokens of each client address, so that guessing takes years. Addresses of
    one IPv6 network of 64 bits are one client's. ``clock``: wall seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong)

    def wait(self, client: str) -> int:
        """Return for how many seconds no token of ``client`` is looked at; 0: it is."""
        count, until = self._wrong.get(client_key(client), (0, 0.0))
        left = until - self._clock()
        return int(left) + 1 if count >= WRONG and left > 0 else 0

    def add(self, client: str) -> None:
        """Count a wrong token."""
        key, now = client_key(client), self._clock()
        count, until = self._wrong.pop(key, (0, 0.0))
        if until <= now:
            count, until = 0, now + WINDOW
        self._wrong[key] = count + 1, until
        while len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)


def client_key(client: str) -> str:
    """Return what the limits of a client's address go by: of IPv6 its network of 64 bits."""
    known = address(client)
    if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
        return str(ip_network((int(known), _IPV6_NETWORK), strict=False))
    return client


def client_of(request: Request) -> str:
    """Return the address of the client; of a proxy before the service, the proxy's."""
    return request.client.host if request.client is not None else ""


def require_token(request: Request, *accepted: Token) -> None:
    """Raise HTTPException unless the request carries ``Authorization: Bearer`` with one of the
    accepted tokens: 401, or 429 where its address has shown too many wrong ones, or 403 where none
    of the accepted is set.
    """
    wanted = " or ".join(token.setting for token in accepted)
    if not any(token.digest for token in accepted):
        raise HTTPException(403, f"not enabled here: {wanted} is not set")
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not given.strip():
        given = ""
    if not is_right(request, given.strip(), accepted):
        raise HTTPException(
            401, f"needs 'Authorization: Bearer' with {wanted}", {"WWW-Authenticate": "Bearer"}
        )


def is_right(request: Request, given: str, accepted: tuple[Token, ...]) -> bool:
    """Is ``given`` one of the tokens? A wrong one is counted; an empty one is none. Raise
    HTTPException 429 where the client has to wait.
    """
    if not given:
        return False
    wrong: WrongTokens = request.app.state.wrong_tokens
    client = client_of(request)
    if seconds := wrong.wait(client):
        raise HTTPException(
            429,
            f"too many wrong tokens from {client}; try again in {seconds} s",
            {"Retry-After": str(seconds)},
        )
    if any([token.matches(given) for token in accepted]):
        return True
    wrong.add(client)
    return False
