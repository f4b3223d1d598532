"""What can be read of the session that a host runs."""

from collections.abc import Mapping
from typing import TypeVar

from trading.hosting.inputs import Unavailable
from trading.hosting.live_session import LiveSession
from trading.hosting.parts import JournalAuditor
from trading.hosting.session import Session
from trading.runtime.journal import Journal
from trading.runtime.kernel import Kernel
from trading.runtime.network import Network

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
    def session_number(self) -> int:
        """The running session's number in the store."""
        return self.live.number

    @property
    def kernel(self) -> Kernel:
        """The kernel of the running session."""
        return self.live.kernel

    @property
    def journals(self) -> Mapping[str, Journal]:
        """The journals of the hosted components, by name."""
        return self.live.kernel.journals

    @property
    def network(self) -> Network:
        """The component that simulates partitions."""
        return self.live.kernel.network

    @property
    def processed_until(self) -> int:
        """The simulated time, in microseconds, up to which messages were processed."""
        return self.live.processed_until

    @property
    def unwritten(self) -> int:
        """The number of journal entries that are decided and not being written yet."""
        return self.live.unwritten

    @property
    def in_lockstep(self) -> bool:
        """Whether a coordinator decides how far the time of the session advances."""
        return self.live.in_lockstep

    @property
    def left_lockstep(self) -> bool:
        """Whether the session was in lockstep before, and follows the wall clock by now."""
        return self.live.left_lockstep

    @property
    def run_over(self) -> bool:
        """Whether the run of the session has ended; False where no coordinator is hosted."""
        return self.live.run_over

    @property
    def auditor(self) -> JournalAuditor:
        """The hosted component that reads the journals. Raises NotInSession if there is none."""
        return self.live.auditor

    def received_up_to(self, peer: str) -> int:
        """Return the sequence number up to which a peer's journal has arrived; 0 for nothing."""
        return self.live.received_up_to(peer)

    def component(self, kind: type[_Part]) -> _Part:
        """Return the hosted component of this class. Raises NotInSession if there is none."""
        return self.live.component(kind)

    def projection(self, kind: type[_Part]) -> _Part:
        """Return the session's projection of this class. Raises NotInSession if there is none."""
        return self.live.projection(kind)
