"""Logging in with a browser: a token, or a link that works once, against a cookie.

The cookie is HttpOnly (no script reads it) and SameSite=Strict (no other site's page sends it),
and says with a signature what its holder may do until when; nothing is kept of it here.
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

from trading.hosting.tokens import client_of, is_right

#: What whoever has logged in may do.
ACT, READ = "act", "read"
#: Wall seconds that a login holds, and that a link works.
LOGIN_TIME = 12 * 3600
LINK_TIME = 24 * 3600
#: Links that are good at the same time; a newer one takes the place of the oldest.
_LINKS = 16
_PAGE = string.Template(
    (Path(__file__).parent / "static" / "login.html").read_text(encoding="utf-8")
)
_WRONG_LINK = (
    "That link has been used, or is not good any more. Each works once, and none outlives the"
    " service."
)


class Logins:
    """Cookies and links of one service. ``key``: signs cookies; one that stays the same lets them
    outlive a restart. ``clock``: wall seconds since 1970.
    """

    def __init__(self, key: bytes = b"", clock: Callable[[], float] = time.time) -> None:
        self._key = key or secrets.token_bytes(32)
        self._clock = clock
        self._links: OrderedDict[str, float] = OrderedDict()

    def link(self) -> str:
        """Return path and query of a link that logs in once, with the right to act."""
        code = secrets.token_urlsafe(32)
        self._links[code] = self._clock() + LINK_TIME
        while len(self._links) > _LINKS:
            self._links.popitem(last=False)
        return f"/login?code={code}"

    def redeem(self, code: str) -> bool:
        """Is it of a link that nobody has used? From now on it is used."""
        return self._links.pop(code, 0.0) > self._clock()

    def right(self, request: Request) -> str:
        """Return what the request's cookie allows: ACT, READ, or nothing."""
        until, _, rest = request.cookies.get(_cookie(request), "").partition(".")
        right, _, signature = rest.partition(".")
        good = hmac.compare_digest(signature.encode(), self._signature(until, right).encode())
        if not good or not until.isdigit() or int(until) <= self._clock():
            return ""
        return right

    def admit(self, request: Request, right: str) -> Response:
        """Return the way to the page, with the cookie."""
        until = str(int(self._clock()) + LOGIN_TIME)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            _cookie(request),
            f"{until}.{right}.{self._signature(until, right)}",
            max_age=LOGIN_TIME,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    def _signature(self, until: str, right: str) -> str:
        return hmac.new(self._key, f"{until}.{right}".encode(), "sha256").hexdigest()


def _cookie(request: Request) -> str:
    """Browsers send a host's cookies to all of its ports, so that each has a name of its own."""
    server = request.scope.get("server") or ("", 0)
    return f"trading-login-{server[1]}"


def page(request: Request, file: Path) -> Response:
    """Return the service's page, or the way to log in where it could show nothing otherwise."""
    access = request.app.state.access
    if access.public or access.logins.right(request):
        return FileResponse(file)
    return RedirectResponse("/login", 303)


def add_login(app: FastAPI) -> None:
    """Routes of an app that has a page; ``state.access`` says which tokens are good."""

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
        given = fields.get("token", [""])[0].strip()
        try:
            if not is_right(request, given, access.reading):
                return _form("That token is not accepted." if given else "A token is needed.")
        except HTTPException as error:
            return _form(f"{error.detail}.", error.status_code, dict(error.headers or {}))
        acts = any([token.matches(given) for token in access.acting])
        admitted: Response = access.logins.admit(request, ACT if acts else READ)
        return admitted


def add_links(app: FastAPI) -> None:
    """The route that makes links, of an app whose page has something to do."""

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
    shown = _PAGE.substitute(problem=html.escape(problem))
    return HTMLResponse(shown, status or (401 if problem else 200), headers)
