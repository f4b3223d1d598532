"""The incoming half of a link: checks what a peer sends, drops duplicates, and hands each message
to its component.
"""

import msgspec

from trading.hosting.host import Host
from trading.hosting.inputs import InboundMessage
from trading.links.fences import Fences
from trading.links.frames import FROM_NOW, Frame, decode_frames
from trading.messages import Message
from trading.messages.audit import AuditQuery
from trading.messages.chaos import InjectFault, ProbeAsked
from trading.runtime.network import Network
from trading.runtime.routes import permitted
from trading.topology import TEST_COORDINATOR


class ProtocolViolation(Exception):
    """Raised when a peer sends what it may not send; its link is closed then."""


class InboundLink:
    """Receives the messages of ``peer``, the service at the other end, for ``service`` on ``host``.

    ``name`` is the name under which the peer's sequence numbers are counted here; each instance of
    a service has its own. Faults are refused unless ``chaos`` is true. Where the peer is a trading
    engine, ``fences`` decide which orders of its ``instance`` are delivered.
    """

    def __init__(
        self,
        host: Host,
        service: str,
        peer: str,
        name: str,
        *,
        chaos: bool,
        fences: Fences | None = None,
        instance: str = "",
    ) -> None:
        self._host = host
        self._service = service
        self.peer = peer
        self._name = name
        self._chaos = chaos
        self._fences = fences
        self.instance = instance
        self._number = host.session_number
        #: Received requests that the process answers, not its component.
        self.probes: list[ProbeAsked] = []
        self.queries: list[AuditQuery] = []

    def receive(self, text: str | bytes) -> None:
        """Deliver a list of frames to the host, without those that it has received before. Frames
        of a session that is over are dropped. Raises ProtocolViolation, and StoreUnavailable while
        too much is waiting to be written.
        """
        try:
            frames = decode_frames(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProtocolViolation(f"{self.peer}: {error}") from error
        if self._host.session_number != self._number:
            return
        arrived: dict[str, list[InboundMessage]] = {}
        for frame in frames:
            self._check(frame)
            if frame.seq and frame.seq <= self._host.received_up_to(self._journal(frame.source)):
                continue
            message: Message | None = frame.message
            if isinstance(message, ProbeAsked):
                self.probes.append(message)
                message = None
            elif isinstance(message, AuditQuery):
                self.queries.append(message)
                message = None
            elif self._fences is not None and not self._fences.allows(self.instance, message):
                message = None
            arrived.setdefault(frame.source, []).append(
                InboundMessage(frame.to, message, frame.arrival, frame.seq)
            )
        for source, items in arrived.items():
            self._host.deliver(self._journal(source), items)

    def after(self) -> dict[str, int]:
        """Return the last sequence number received from each of the peer's journals; ``FROM_NOW``
        where all messages of virtual time have arrived, and none since.
        """
        initial = FROM_NOW if self._host.left_lockstep else 0
        return {
            source: self._host.received_up_to(self._journal(source)) or initial
            for source in (self.peer, Network.name)
        }

    def _journal(self, source: str) -> str:
        return self._name if source == self.peer else f"{self._name}/{source}"

    def _check(self, frame: Frame) -> None:
        if frame.source not in (self.peer, Network.name):
            raise ProtocolViolation(f"{self.peer} sent a message of {frame.source}")
        check_message(self._service, self.peer, frame.to, frame.message, self._chaos)


def check_message(service: str, peer: str, to: str, message: Message, chaos: bool) -> None:
    """Check that ``peer`` may send this message to the component ``to`` of ``service``. Faults are
    refused unless ``chaos`` is true. Raises ProtocolViolation.
    """
    to_network = to == Network.name and peer == TEST_COORDINATOR
    if to != service and not to_network:
        raise ProtocolViolation(f"{peer} may not send to {to}")
    if not permitted(peer, service, message):
        raise ProtocolViolation(f"{peer} may not send {type(message).__name__}")
    if isinstance(message, InjectFault) and not chaos:
        raise ProtocolViolation("faults are refused: ENABLE_CHAOS_SCENARIOS is not true")
