"""Links in virtual time: numbered packets between services, with the control messages of the time
keeper.

Messages are stored in one stream for each receiving service until the receiver's journal is durable
beyond them, so a receiver that restarts gets again what it has lost.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from itertools import islice

import msgspec

from trading.hosting.host import Host
from trading.links.handler import LinkHandler
from trading.links.inbound import ProtocolViolation, check_message
from trading.lockstep.conductor import Conductor
from trading.lockstep.follower import Follower
from trading.lockstep.packets import (
    Control,
    Dismissed,
    Grant,
    Joined,
    Packet,
    Resume,
    SentFrame,
    Separate,
    Tried,
    Try,
    Wish,
    decode_packet,
    encode_packet,
)
from trading.lockstep.receipts import LostMessages
from trading.topology import TEST_COORDINATOR

log = logging.getLogger(__name__)

#: Messages in one packet, at most.
_MAX_FRAMES = 500
#: Wall seconds after which a packet acknowledges what is durable, if no other packet is sent.
_ACKNOWLEDGE_INTERVAL = 0.2


class VirtualOutboundLink:
    """Sends the messages of ``host`` to ``name``, an instance of the service ``peer``. ``received``
    is the number of the last message that the instance has. :attr:`cut` is set to close the link.
    """

    def __init__(self, host: Host, peer: str, name: str, received: int) -> None:
        self.peer = peer
        self.name = name
        self.cut = asyncio.Event()
        self._host = host
        self._live = host.live
        self._stream = self._live.streams[peer]
        self._sent = max(received, self._stream.first_kept - 1)
        self._resume: Resume | None = Resume(self._sent, self._stream.forgotten_until)
        self._controls: list[Control] = []
        self._acknowledged = 0
        self._filled = asyncio.Event()
        self._filled.set()

    def send_control(self, control: Control) -> None:
        """Queue a control message behind all messages so far."""
        self._controls.append(control)
        self._filled.set()

    def notify(self) -> None:
        """Wake the sending side up, because there are new messages."""
        self._filled.set()

    async def messages(self) -> AsyncIterator[bytes]:
        """Yield encoded packets while the session is the same and its time is virtual."""
        while not self._live.lockstep_over:
            try:
                async with asyncio.timeout(_ACKNOWLEDGE_INTERVAL):
                    await self._filled.wait()
            except TimeoutError:
                if self._host.durable_until == self._acknowledged:
                    continue
            self._filled.clear()
            while True:
                if self._sent < self._stream.first_kept - 1:
                    # The peer has received more than this link has sent: it has a newer link.
                    return
                yield self._packet()
                if self._sent >= self._stream.released and not self._controls:
                    break

    def _packet(self) -> bytes:
        first = self._sent + 1
        count = max(0, min(_MAX_FRAMES, self._stream.released - self._sent))
        frames = [SentFrame(*frame) for frame in islice(self._stream.after(self._sent), count)]
        self._sent += len(frames)
        controls: list[Control] = []
        if self._sent >= self._stream.released:
            controls, self._controls = self._controls, []
        self._acknowledged = self._host.durable_until
        resume, self._resume = self._resume, None
        return encode_packet(Packet(first, frames, controls, self._acknowledged, resume))


class VirtualInboundLink:
    """Receives packets from ``name``, an instance of the service ``peer``, and hands them to
    ``links``. Faults are refused unless ``chaos`` is true.
    """

    def __init__(self, links: "VirtualLinks", peer: str, name: str, *, chaos: bool) -> None:
        self._links = links
        self.peer = peer
        self.name = name
        self._chaos = chaos

    def receive(self, text: str | bytes) -> None:
        """Handle one packet. Raises ProtocolViolation."""
        try:
            packet = decode_packet(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ProtocolViolation(f"{self.peer}: {error}") from error
        for frame in packet.frames:
            check_message(self._links.service, self.peer, frame.to, frame.message, self._chaos)
        self._links.receive(self.peer, self.name, packet)


class VirtualLinks:
    """Keeps the links of ``name``, an instance of ``service``, in one session of virtual time.

    The follower drives the kernel of ``host``, and asks ``handler`` what an instant needs of the
    real world. ``on_connection_request`` is called with the sender's name and with what the
    coordinator wants of real connections, or with the response to that.
    In the coordinator's process a :attr:`conductor` keeps the time. :attr:`participants` has the
    instances that take part in the session, with their services, and :attr:`dismissed` the names of
    those that the run goes on without.
    """

    def __init__(
        self,
        service: str,
        name: str,
        host: Host,
        handler: LinkHandler,
        on_connection_request: Callable[[str, Separate | Try | Tried], None],
    ) -> None:
        self.service = service
        self.name = name
        self.participants = dict(host.session.instances)
        self.dismissed: set[str] = set()
        #: By name of an instance: the simulated time up to which its journal is durable.
        self._durable: dict[str, int] = {}
        self._host = host
        self._live = host.live
        self._outbound: dict[str, VirtualOutboundLink] = {}
        #: The latest Joined of each connected instance, for a conductor that starts later.
        self._joined: dict[str, Joined] = {}
        self.follower = Follower(
            host,
            self._send_to_time_keeper,
            self._notify_links,
            handler.prepare,
            handler.next_appointment,
        )
        self.conductor: Conductor | None = None
        self._on_connection_request = on_connection_request
        host.drive(self)

    @property
    def over(self) -> bool:
        """Whether the session is over or its time follows the wall clock by now."""
        return self.follower.over

    def set_conductor(self, conductor: Conductor) -> None:
        """Let ``conductor`` keep the time of this session, and hand it what was received so far."""
        self.conductor = conductor
        for name, joined in self._joined.items():
            conductor.receive(name, joined)

    def link_opened(self, outbound: VirtualOutboundLink) -> None:
        """Note that a link has been opened; with the coordinator's, join the run."""
        self._outbound[outbound.name] = outbound
        if outbound.peer == TEST_COORDINATOR:
            self.follower.join()

    def link_closed(self, outbound: VirtualOutboundLink) -> None:
        """Note that a link has ended, unless a newer one has replaced it."""
        if self._outbound.get(outbound.name) is outbound:
            del self._outbound[outbound.name]
            self._joined.pop(outbound.name, None)
            if self.conductor is not None:
                self.conductor.disconnected(outbound.name)

    def has_link_to(self, peer: str) -> bool:
        """Return whether a link to an instance of the service is open."""
        return any(outbound.peer == peer for outbound in self._outbound.values())

    def close_links_to(self, peers: Collection[str]) -> None:
        """Close the links to all instances of these services."""
        for outbound in self._outbound.values():
            if outbound.peer in peers:
                outbound.cut.set()

    def send_to(self, name: str, control: Control) -> None:
        """Send a control message to one instance. Without a link it is dropped: an instance that
        connects again starts with a Joined, which is answered with all that it needs.
        """
        outbound = self._outbound.get(name)
        if outbound is not None:
            outbound.send_control(control)

    def dismiss(self, name: str) -> None:
        """Go on without an instance: close its link, and drop the messages that only it needed."""
        service = self.participants.pop(name, None)
        if service is None or self.over:
            return
        self.dismissed.add(name)
        if name == self.name:
            log.warning("this run goes on without this process; the next session has it again")
            return
        log.warning("this run goes on without %s", name)
        outbound = self._outbound.get(name)
        if outbound is not None:
            outbound.cut.set()
        self._forget_durable(service)
        self.follower.dismiss(name, service)

    def _forget_durable(self, service: str) -> None:
        """Drop the messages that are durable at every participating instance of a service."""
        instances = [name for name, of in self.participants.items() if of == service]
        if instances:
            durable = min(self._durable.get(name, 0) for name in instances)
            self._live.streams[service].forget(durable)

    def receive(self, peer: str, name: str, packet: Packet) -> None:
        """Handle a packet from an instance; it is ignored if the instance does not take part.
        Raises ProtocolViolation.
        """
        if self.over or name not in self.participants:
            return
        if packet.durable_until > self._durable.get(name, 0):
            self._durable[name] = packet.durable_until
            self._forget_durable(peer)
        try:
            if packet.resume is not None:
                self.follower.resume(name, packet.resume)
            if packet.frames:
                self.follower.receive(name, peer, packet.first, packet.frames)
        except LostMessages as error:
            self.follower.fail(error)
        for control in packet.controls:
            self._on_control(peer, name, control)

    def _on_control(self, peer: str, name: str, control: Control) -> None:
        if isinstance(control, Separate | Try | Tried):
            if peer != TEST_COORDINATOR and not isinstance(control, Tried):
                raise ProtocolViolation(f"{peer} is not the time keeper")
            self._on_connection_request(name, control)
        elif isinstance(control, Grant | Dismissed):
            if peer != TEST_COORDINATOR:
                raise ProtocolViolation(f"{peer} is not the time keeper")
            if isinstance(control, Grant):
                self.follower.granted(control)
            else:
                self.dismiss(control.name)
        elif self.conductor is not None:
            self.conductor.receive(name, control)
        elif isinstance(control, Joined):
            self._joined[name] = control

    def _send_to_time_keeper(self, control: Control) -> None:
        if self.conductor is not None:
            self.conductor.receive(TEST_COORDINATOR, control)
        else:
            self.send_to(TEST_COORDINATOR, control)

    def _notify_links(self, peers: Sequence[str]) -> None:
        if self.conductor is not None and not self._live.run_over:
            # The receivers are granted time for these messages next, and both go in one packet.
            return
        for outbound in self._outbound.values():
            if outbound.peer in peers:
                outbound.notify()

    def on_input(self) -> None:
        """Ask the time keeper for time, because an input waits for its arrival."""
        self._send_to_time_keeper(Wish())

    def caught_up(self, before: int) -> bool:
        """Return whether this process has handled everything from before a simulated time."""
        return self.follower.caught_up(before)
