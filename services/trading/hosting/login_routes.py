"""The pages and routes by which a browser logs in; :mod:`trading.hosting.login` has the cookies."""

import html
import string
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from trading.hosting.access import Access
from trading.hosting.login import ACT, READ
from trading.hosting.service_app import ServiceApp
from trading.hosting.tokens import client_of, is_accepted_token

_PAGE = string.Template(
    (Path(__file__).parent / "static" / "login.html").read_text(encoding="utf-8")
)
_WRONG_LINK = (
    "That link has been used, or is not good any more. Each works once, and none outlives the"
    " service."
)


def page(request: Request, access: Access, file: Path) -> Response:
    """Return the service's page, or a redirect to the login where the page needs one."""
    if access.public or access.logins.right(request):
        return FileResponse(file)
    return RedirectResponse("/login", 303)


def add_login(app: ServiceApp) -> None:
    """Add the login routes to an app with a page; its access has the accepted tokens."""
    access = app.context.access

    @app.get("/login", include_in_schema=False)
    async def by_link(request: Request, code: str = "") -> Response:
        if not code:
            return _form("")
        if seconds := access.wrong_tokens.wait(client_of(request)):
            return _form(f"Too many were wrong; try again in {seconds} s.", 429)
        if access.logins.redeem(code):
            return access.logins.admit(request, ACT)
        access.wrong_tokens.add(client_of(request))
        return _form(_WRONG_LINK)

    @app.post("/login", include_in_schema=False)
    async def by_token(request: Request) -> Response:
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        candidate = fields.get("token", [""])[0].strip()
        try:
            if not is_accepted_token(request, access.wrong_tokens, candidate, access.reading):
                return _form("That token is not accepted." if candidate else "A token is needed.")
        except HTTPException as error:
            return _form(f"{error.detail}.", error.status_code, dict(error.headers or {}))
        acts = any([token.matches(candidate) for token in access.acting])
        return access.logins.admit(request, ACT if acts else READ)


def add_links(app: ServiceApp) -> None:
    """Add the route that creates login links, to an app whose page has controls."""
    access = app.context.access

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
        access.may_act(request)
        return {"path": access.logins.link()}


def _form(problem: str, status: int = 0, headers: dict[str, str] | None = None) -> HTMLResponse:
    page = _PAGE.substitute(problem=html.escape(problem))
    return HTMLResponse(page, status or (401 if problem else 200), headers)
