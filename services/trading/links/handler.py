"""What the process of a service does about the events of its links."""

from collections.abc import Awaitable, Mapping, Sequence

from trading.hosting.live_session import OutboundMessage
from trading.lockstep.packets import Tried
from trading.messages import Message
from trading.messages.audit import AuditQuery


class LinkHandler:
    """Handles what concerns the process and not its component.

    Every method does nothing here; a service with something to do overrides it. A handler uses the
    links, and the links call the handler, so :class:`~trading.links.service_links.ServiceLinks`
    is built first, and gets its handler when it starts.
    """

    def prepare(self, due: int) -> Awaitable[Sequence[Message] | None] | None:
        """Return what must be awaited in the real world before the instant ``due`` of virtual time.

        It gives the messages from outside that arrive then. None if nothing must be awaited.
        """
        return None

    def next_appointment(self) -> int | None:
        """Return the next instant that needs :meth:`prepare` although no message is due then."""
        return None

    def on_session_started(self) -> None:
        """Handle that a session has begun, or that its time follows another clock."""

    def on_connected(self, peer: str) -> None:
        """Handle that a link to a peer has been opened."""

    def on_undelivered(self, peer: str, items: Sequence[OutboundMessage]) -> None:
        """Handle messages for a peer that no open link can carry."""

    def on_fenced(self, fences: Mapping[str, int]) -> None:
        """Handle that another instance owns accounts now; ``fences`` has their fencing tokens."""

    def on_connection_tried(self, name: str, response: Tried) -> None:
        """Handle how an attempt to connect ended that the coordinator wanted of an instance."""

    async def on_audit_query(self, query: AuditQuery) -> None:
        """Handle a query for the auditor, which the process answers and not the component."""
