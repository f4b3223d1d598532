"""The incoming half of a link: what a peer may say, to the component that it is for."""

import msgspec

from trading.hosting.host import Host
from trading.hosting.inputs import Arrived
from trading.links.fences import Fences
from trading.links.frames import FROM_NOW, Frame, decode_frames
from trading.messages import Message
from trading.messages.audit import AuditQuery
from trading.messages.chaos import InjectFault, ProbeAsked
from trading.runtime.network import Network
from trading.runtime.routes import permitted
from trading.topology import TEST_COORDINATOR


class Misbehaved(Exception):
    """The peer said something that it may not say."""


class Intake:
    """``peer``: the service at the other end, ``name``: what its journals count under here (with
    several instances of a service each counts alone). ``chaos`` False: no faults are taken.
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
        self._number = host.live.number
        #: What the process does, rather than its component.
        self.probes: list[ProbeAsked] = []
        self.queries: list[AuditQuery] = []

    def take(self, text: str | bytes) -> None:
        """Raises Misbehaved. What belongs to a session that is over is dropped."""
        try:
            found = decode_frames(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Misbehaved(f"{self.peer}: {error}") from error
        if self._host.live.number != self._number:
            return
        arrived: dict[str, list[Arrived]] = {}
        for frame in found:
            self._check(frame)
            if frame.seq and frame.seq <= self._host.live.heard.get(self._journal(frame.source), 0):
                continue
            message: Message | None = frame.message
            if isinstance(message, ProbeAsked):
                self.probes.append(message)
                message = None
            elif isinstance(message, AuditQuery):
                self.queries.append(message)
                message = None
            elif self._fences is not None and not self._fences.passes(self.instance, message):
                message = None
            arrived.setdefault(frame.source, []).append(
                Arrived(frame.to, message, frame.arrival, frame.seq)
            )
        for source, items in arrived.items():
            self._host.deliver(self._journal(source), items)

    def after(self) -> dict[str, int]:
        """Up to where the peer's journals have been heard; ``FROM_NOW``: what it has sent in
        virtual time has arrived, and nothing since.
        """
        live = self._host.live
        first = FROM_NOW if live.left_lockstep else 0
        return {s: live.heard.get(self._journal(s), first) for s in (self.peer, Network.name)}

    def _journal(self, source: str) -> str:
        return self._name if source == self.peer else f"{self._name}/{source}"

    def _check(self, frame: Frame) -> None:
        if frame.source not in (self.peer, Network.name):
            raise Misbehaved(f"{self.peer} speaks for {frame.source}")
        check_message(self._service, self.peer, frame.to, frame.message, self._chaos)


def check_message(service: str, peer: str, to: str, message: Message, chaos: bool) -> None:
    """May ``peer`` send this to the component ``to`` of ``service``? ``chaos`` False: no faults are
    taken. Raises Misbehaved.
    """
    network = to == Network.name and peer == TEST_COORDINATOR
    if to != service and not network:
        raise Misbehaved(f"{peer} sends to {to}")
    if not permitted(peer, service, message):
        raise Misbehaved(f"{peer} may not send {type(message).__name__}")
    if isinstance(message, InjectFault) and not chaos:
        raise Misbehaved("no chaos here: ENABLE_CHAOS_SCENARIOS is not true")
