"""Decides who may read what a service shows, and who may change it.

Clients need a token, and browsers a login (:mod:`trading.hosting.login`). Where only this machine
can connect, no token is needed to read.
"""

from typing import Any

from fastapi import Depends, Request

from trading.hosting.login import ACT, READ, Logins
from trading.hosting.tokens import Token, require_token


class Access:
    """The rights that tokens and logins give in one service.

    The token ``act`` gives all rights; ``read`` allows reading journals, balances and positions.
    With ``public`` no token is needed to read. ``logins`` holds the logins of browsers.
    """

    def __init__(
        self,
        *,
        act: Token | None = None,
        read: Token | None = None,
        public: bool = True,
        logins: Logins | None = None,
    ) -> None:
        self.acting = (act,) if act is not None else ()
        self.reading = tuple(token for token in (read, act) if token is not None)
        self.public = public
        self.logins = logins or Logins()

    def may_act(self, request: Request) -> None:
        """Raise HTTPException unless the request may change something."""
        if self.logins.right(request) != ACT:
            require_token(request, *self.acting)

    def may_read(self, request: Request) -> None:
        """Raise HTTPException unless the request may read journals, balances and positions."""
        if not self.public and self.logins.right(request) not in (READ, ACT):
            require_token(request, *self.reading)


def _may_read(request: Request) -> None:
    access: Access = request.app.state.access
    access.may_read(request)


def _may_act(request: Request) -> None:
    access: Access = request.app.state.access
    access.may_act(request)


#: Dependencies of routes: READS where the right to read is needed, ACTS where that to act is.
READS: Any = Depends(_may_read)
ACTS: Any = Depends(_may_act)
#: Responses that a route with READS may give instead, for its OpenAPI description.
NOT_READ: dict[int | str, dict[str, Any]] = {
    401: {"description": "Needs READ_TOKEN where others than this machine can connect."},
    429: {"description": "Too many wrong tokens; Retry-After says when the next is looked at."},
}
