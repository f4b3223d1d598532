"""What can be read of the session that a host runs."""

from typing import TypeVar

from trading.hosting.inputs import Unavailable
from trading.hosting.live_session import LiveSession
from trading.hosting.session import Session
from trading.runtime.kernel import Kernel

_Part = TypeVar("_Part")


class SessionView:
    """Reads the running session; the base class of :class:`~trading.hosting.host.Host`.

    Everything here raises Unavailable before the host has a session.
    """

    def __init__(self) -> None:
        self._live: LiveSession | None = None

    @property
    def live(self) -> LiveSession:
        """The running session."""
        if self._live is None:
            raise Unavailable("not started yet")
        return self._live

    @property
    def session(self) -> Session:
        """The specification of the running session."""
        return self.live.session

    @property
    def kernel(self) -> Kernel:
        """The kernel of the running session."""
        return self.live.kernel

    def component(self, kind: type[_Part]) -> _Part:
        """Return the hosted component of this class. Raises NotInSession if there is none."""
        return self.live.component(kind)

    def projection(self, kind: type[_Part]) -> _Part:
        """Return the session's projection of this class. Raises NotInSession if there is none."""
        return self.live.projection(kind)
