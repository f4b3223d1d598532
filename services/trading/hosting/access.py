"""Who may look at what a service shows, and who may change it.

Whoever knows a token may, and so may a browser that has logged in (:mod:`trading.hosting.login`).
Where only this machine can connect, everybody may look.
"""

from typing import Any

from fastapi import Depends, Request

from trading.hosting.login import ACT, READ, Logins
from trading.hosting.tokens import Token, require_token


class Access:
    """``act`` opens everything; ``read`` opens what shows journals, balances and positions, which
    is open to everybody with ``public``. ``logins``: browsers that have shown one of them.
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
        """Raise HTTPException unless the request may see balances, positions and journals."""
        if not self.public and self.logins.right(request) not in (READ, ACT):
            require_token(request, *self.reading)


def _may_read(request: Request) -> None:
    access: Access = request.app.state.access
    access.may_read(request)


def _may_act(request: Request) -> None:
    access: Access = request.app.state.access
    access.may_act(request)


#: Dependencies of a route that only some may read, and of one that changes something.
READS: Any = Depends(_may_read)
ACTS: Any = Depends(_may_act)
#: What a route with READS answers otherwise, for its description.
NOT_READ: dict[int | str, dict[str, Any]] = {
    401: {"description": "Needs READ_TOKEN where others than this machine can connect."},
    429: {"description": "Too many wrong tokens; Retry-After says when the next is looked at."},
}
