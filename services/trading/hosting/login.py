"""Browsers log in with a token, or with a link that works once, and get a cookie.

The cookie is HttpOnly (scripts cannot read it) and SameSite=Strict (pages of other sites cannot
send it). It contains its holder's right and its end, with a signature, so that the service does
not have to store it.
"""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

#: The rights of a login: ACT includes READ.
ACT, READ = "act", "read"
#: Wall seconds that a login is valid, and a link.
LOGIN_TIME = 12 * 3600
LINK_TIME = 24 * 3600
#: Links that are valid at the same time; a new one replaces the oldest.
_MAX_LINKS = 16


class Logins:
    """Issues and checks the cookies and links of one service.

    ``key`` signs cookies; if it is the same after a restart, cookies stay valid. Without it the
    service uses a random key. ``clock`` returns wall seconds since the Unix epoch.
    """

    def __init__(self, key: bytes = b"", clock: Callable[[], float] = time.time) -> None:
        self._key = key or secrets.token_bytes(32)
        self._clock = clock
        self._links: OrderedDict[str, float] = OrderedDict()

    def link(self) -> str:
        """Return path and query of a link that works once and gives the right to act."""
        code = secrets.token_urlsafe(32)
        self._links[code] = self._clock() + LINK_TIME
        while len(self._links) > _MAX_LINKS:
            self._links.popitem(last=False)
        return f"/login?code={code}"

    def redeem(self, code: str) -> bool:
        """Return whether ``code`` belongs to a valid link; the link is used up then."""
        return self._links.pop(code, 0.0) > self._clock()

    def right(self, request: Request) -> str:
        """Return the right that the request's cookie gives: ACT, READ, or an empty text."""
        until, _, rest = request.cookies.get(_cookie_name(request), "").partition(".")
        right, _, signature = rest.partition(".")
        authentic = hmac.compare_digest(signature.encode(), self._signature(until, right).encode())
        if not authentic or not until.isdigit() or int(until) <= self._clock():
            return ""
        return right

    def admit(self, request: Request, right: str) -> Response:
        """Return a redirect to the page that sets a cookie with ``right``."""
        until = str(int(self._clock()) + LOGIN_TIME)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            _cookie_name(request),
            f"{until}.{right}.{self._signature(until, right)}",
            max_age=LOGIN_TIME,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    def _signature(self, until: str, right: str) -> str:
        return hmac.new(self._key, f"{until}.{right}".encode(), "sha256").hexdigest()


def _cookie_name(request: Request) -> str:
    """Return a name with the port, since browsers send a host's cookies to all of its ports."""
    server = request.scope.get("server") or ("", 0)
    return f"trading-login-{server[1]}"
