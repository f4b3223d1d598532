"""Browsers log in with a token, or with a link that works once, and get a cookie.

The cookie is HttpOnly (scripts cannot read it) and SameSite=Strict (pages of other sites cannot
send it). It contains its holder's right and its end, with a signature, so that the service does
not have to store it.
"""

import hmac
import html
import secrets
import string
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from trading.hosting.tokens import client_of, is_accepted_token

#: The rights of a login: ACT includes READ.
ACT, READ = "act", "read"
#: Wall seconds that a login is valid, and a link.
LOGIN_TIME = 12 * 3600
LINK_TIME = 24 * 3600
#: Links that are valid at the same time; a new one replaces the oldest.
_MAX_LINKS = 16
_PAGE = string.Template(
    (Path(__file__).parent / "static" / "login.html").read_text(encoding="utf-8")
)
_WRONG_LINK = (
    "That link has been used, or is not good any more. Each works once, and none outlives the"
    " service."
)


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


def page(request: Request, file: Path) -> Response:
    """Return the service's page, or a redirect to the login where the page needs one."""
    access = request.app.state.access
    if access.public or access.logins.right(request):
        return FileResponse(file)
    return RedirectResponse("/login", 303)


def add_login(app: FastAPI) -> None:
    """Add the login routes to an app with a page; ``state.access`` has the accepted tokens."""

    @app.get("/login", include_in_schema=False)
    async def by_link(request: Request, code: str = "") -> Response:
        logins: Logins = request.app.state.access.logins
        if not code:
            return _form("")
        wrong = request.app.state.wrong_tokens
        if seconds := wrong.wait(client_of(request)):
            return _form(f"Too many were wrong; try again in {seconds} s.", 429)
        if logins.redeem(code):
            return logins.admit(request, ACT)
        wrong.add(client_of(request))
        return _form(_WRONG_LINK)

    @app.post("/login", include_in_schema=False)
    async def by_token(request: Request) -> Response:
        access = request.app.state.access
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        candidate = fields.get("token", [""])[0].strip()
        try:
            if not is_accepted_token(request, candidate, access.reading):
                return _form("That token is not accepted." if candidate else "A token is needed.")
        except HTTPException as error:
            return _form(f"{error.detail}.", error.status_code, dict(error.headers or {}))
        acts = any([token.matches(candidate) for token in access.acting])
        response: Response = access.logins.admit(request, ACT if acts else READ)
        return response


def add_links(app: FastAPI) -> None:
    """Add the route that creates login links, to an app whose page has controls."""

    @app.post(
        "/login/links",
        status_code=201,
        tags=["service"],
        summary="A link that logs a browser in, once",
        responses={
            201: {"content": {"application/json": {"example": {"path": "/login?code=q1Zb..."}}}},
            401: {"description": "No token"},
            429: {"description": "Too many wrong ones"},
        },
    )
    async def make_link(request: Request) -> dict[str, str]:
        access = request.app.state.access
        access.may_act(request)
        return {"path": access.logins.link()}


def _form(problem: str, status: int = 0, headers: dict[str, str] | None = None) -> HTMLResponse:
    page = _PAGE.substitute(problem=html.escape(problem))
    return HTMLResponse(page, status or (401 if problem else 200), headers)
