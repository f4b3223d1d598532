"""Decides who may read what a service shows, and who may change it.

Clients need a token, and browsers a login (:mod:`trading.hosting.login`). Where only this machine
can connect, no token is needed to read.
"""

from typing import Any

from fastapi import Depends, Request

from trading.hosting.login import ACT, READ, Logins
from trading.hosting.tokens import Token, WrongTokens, require_token


class Access:
    """The rights that tokens and logins give in one service.

    The token ``act`` gives all rights; ``read`` allows reading journals, balances and positions.
    With ``public`` no token is needed to read. ``logins`` holds the logins of browsers, and
    ``wrong_tokens`` counts the attempts with wrong tokens.

    ``reads`` and ``acts`` are the dependencies of routes that need the right to read or to act.
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
        self.wrong_tokens = WrongTokens()
        self.reads: Any = Depends(self.may_read)
        self.acts: Any = Depends(self.may_act)

    def require_token(self, request: Request, *accepted: Token) -> None:
        """Raise HTTPException unless the request has one of the tokens."""
        require_token(request, self.wrong_tokens, accepted)

    def may_act(self, request: Request) -> None:
        """Raise HTTPException unless the request may change something."""
        if self.logins.right(request) != ACT:
            self.require_token(request, *self.acting)

    def may_read(self, request: Request) -> None:
        """Raise HTTPException unless the request may read journals, balances and positions."""
        if not self.public and self.logins.right(request) not in (READ, ACT):
            self.require_token(request, *self.reading)


#: Responses that a route with ``reads`` may give instead, for its OpenAPI description.
NOT_READ: dict[int | str, dict[str, Any]] = {
    401: {"description": "Needs READ_TOKEN where others than this machine can connect."},
    429: {"description": "Too many wrong tokens; Retry-After says when the next is looked at."},
}
