"""Links in virtual time: numbered packets between services, and the time keeper's words."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from itertools import islice

import msgspec

from trading.hosting.host import Host
from trading.links.intake import Misbehaved, check_message
from trading.lockstep.conductor import Conductor
from trading.lockstep.follower import Appointment, Follower, Prepare
from trading.lockstep.packets import (
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
    Word,
    decode_packet,
    encode_packet,
)
from trading.lockstep.receipts import LostMessages
from trading.topology import TEST_COORDINATOR

log = logging.getLogger(__name__)

#: Messages in one packet, at most.
_FRAMES = 500
#: Wall seconds between two words about what is durable, where nothing else is to be said.
_ACKNOWLEDGE_EVERY = 0.2


class VirtualOutlet:
    """The outgoing half of a link to ``name``, an instance of the service ``peer``. ``received``:
    number of the last message that it has.
    """

    def __init__(self, host: Host, peer: str, name: str, received: int) -> None:
        self.peer = peer
        self.name = name
        self.cut = asyncio.Event()
        self._host = host
        self._live = host.live
        self._stream = host.live.streams[peer]
        self._sent = max(received, self._stream.first_kept - 1)
        self._resume: Resume | None = Resume(self._sent, self._stream.forgotten_until)
        self._words: list[Word] = []
        self._acknowledged = 0
        self._filled = asyncio.Event()
        self._filled.set()

    def say(self, word: Word) -> None:
        """Send a word behind all messages so far."""
        self._words.append(word)
        self._filled.set()

    def fill(self) -> None:
        """There are new messages."""
        self._filled.set()

    async def texts(self) -> AsyncIterator[bytes]:
        """Packets, as long as this is the session."""
        while self._host.live is self._live and self._live.in_lockstep:
            try:
                async with asyncio.timeout(_ACKNOWLEDGE_EVERY):
                    await self._filled.wait()
            except TimeoutError:
                if self._host.durable_until == self._acknowledged:
                    continue
            self._filled.clear()
            while True:
                if self._sent < self._stream.first_kept - 1:
                    # The peer has had more than this link has sent: it is another link's by now.
                    return
                yield self._packet()
                if self._sent >= self._stream.released and not self._words:
                    break

    def _packet(self) -> bytes:
        first = self._sent + 1
        most = max(0, min(_FRAMES, self._stream.released - self._sent))
        frames = [SentFrame(*frame) for frame in islice(self._stream.after(self._sent), most)]
        self._sent += len(frames)
        words: list[Word] = []
        if self._sent >= self._stream.released:
            words, self._words = self._words, []
        self._acknowledged = self._host.durable_until
        resume, self._resume = self._resume, None
        return encode_packet(Packet(first, frames, words, self._acknowledged, resume))


class VirtualIntake:
    """The incoming half of a link from ``name``, an instance of the service ``peer``."""

    def __init__(self, links: "VirtualLinks", peer: str, name: str, *, chaos: bool) -> None:
        self._links = links
        self.peer = peer
        self.name = name
        self._chaos = chaos

    def take(self, text: str | bytes) -> None:
        """Raises Misbehaved."""
        try:
            packet = decode_packet(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Misbehaved(f"{self.peer}: {error}") from error
        for frame in packet.frames:
            check_message(self._links.service, self.peer, frame.to, frame.message, self._chaos)
        self._links.take(self.peer, self.name, packet)


class VirtualLinks:
    """The links of ``name``, an instance of ``service``, in one session of virtual time. The
    coordinator has a ``conductor``. ``participants``: by name of the instances that take part, the
    service of each; ``dismissed``: those that did.
    """

    def __init__(
        self,
        service: str,
        name: str,
        host: Host,
        prepare: Prepare | None = None,
        appointment: Appointment = lambda: None,
    ) -> None:
        self.service = service
        self.name = name
        self.participants = dict(host.session.instances)
        self.dismissed: set[str] = set()
        #: By name of an instance: up to which time its journal is durable.
        self._durable: dict[str, int] = {}
        self._host = host
        self._live = host.live
        self._outlets: dict[str, VirtualOutlet] = {}
        #: Where those stand that are connected, for a conductor that comes later.
        self._joined: dict[str, Joined] = {}
        self.follower = Follower(host, self._say, self._fill, prepare, appointment)
        self.conductor: Conductor | None = None
        #: Hears of what the time keeper asks to do in the real world, and of the answers.
        self.on_real: Callable[[str, Separate | Try | Tried], None] = lambda name, word: None
        host.on_input = self._wish
        host.caught_up = self.follower.caught_up

    @property
    def over(self) -> bool:
        return self.follower.over

    def conduct(self, conductor: Conductor) -> None:
        """Keep the time of this session, from now on."""
        self.conductor = conductor
        for name, word in self._joined.items():
            conductor.heard(name, word)

    def opened(self, outlet: VirtualOutlet) -> None:
        """A link is up."""
        self._outlets[outlet.name] = outlet
        if outlet.peer == TEST_COORDINATOR:
            self.follower.join()

    def closed(self, outlet: VirtualOutlet) -> None:
        """A link has ended."""
        if self._outlets.get(outlet.name) is outlet:
            del self._outlets[outlet.name]
            self._joined.pop(outlet.name, None)
            if self.conductor is not None:
                self.conductor.lost(outlet.name)

    def holds(self, peer: str) -> bool:
        """Is there a link to the service?"""
        return any(outlet.peer == peer for outlet in self._outlets.values())

    def separate(self, peers: Collection[str]) -> None:
        """End the links to these services."""
        for outlet in self._outlets.values():
            if outlet.peer in peers:
                outlet.cut.set()

    def say_to(self, name: str, word: Word) -> None:
        """Say something to one instance; one that is away asks when it comes back."""
        outlet = self._outlets.get(name)
        if outlet is not None:
            outlet.say(word)

    def dismiss(self, name: str) -> None:
        """An instance takes part no more: end its link, and forget what is kept for it alone."""
        service = self.participants.pop(name, None)
        if service is None or self.over:
            return
        self.dismissed.add(name)
        if name == self.name:
            log.warning("this run goes on without this process; the next session has it again")
            return
        log.warning("this run goes on without %s", name)
        outlet = self._outlets.get(name)
        if outlet is not None:
            outlet.cut.set()
        self._forget(service)
        self.follower.dismiss(name, service)

    def _forget(self, service: str) -> None:
        """Drop what every instance of a service that takes part cannot lose any more."""
        instances = [name for name, found in self.participants.items() if found == service]
        if instances:
            durable = min(self._durable.get(name, 0) for name in instances)
            self._live.streams[service].forget(durable)

    def take(self, peer: str, name: str, packet: Packet) -> None:
        """Take what has come over a link; nothing from somebody who takes no part."""
        if self.over or name not in self.participants:
            return
        if packet.durable_until > self._durable.get(name, 0):
            self._durable[name] = packet.durable_until
            self._forget(peer)
        try:
            if packet.resume is not None:
                self.follower.resume(name, packet.resume)
            if packet.frames:
                self.follower.take(name, peer, packet.first, packet.frames)
        except LostMessages as error:
            self.follower.fail(error)
        for word in packet.words:
            self._hear(peer, name, word)

    def _hear(self, peer: str, name: str, word: Word) -> None:
        if isinstance(word, Separate | Try | Tried):
            if peer != TEST_COORDINATOR and not isinstance(word, Tried):
                raise Misbehaved(f"{peer} keeps no time")
            self.on_real(name, word)
        elif isinstance(word, Grant | Dismissed):
            if peer != TEST_COORDINATOR:
                raise Misbehaved(f"{peer} keeps no time")
            if isinstance(word, Grant):
                self.follower.granted(word)
            else:
                self.dismiss(word.name)
        elif self.conductor is not None:
            self.conductor.heard(name, word)
        elif isinstance(word, Joined):
            self._joined[name] = word

    def _say(self, word: Word) -> None:
        if self.conductor is not None:
            self.conductor.heard(TEST_COORDINATOR, word)
        else:
            self.say_to(TEST_COORDINATOR, word)

    def _fill(self, peers: Sequence[str]) -> None:
        if self.conductor is not None and not self._live.run_over:
            # Whoever gets something is granted time for it next: both go in one packet.
            return
        for outlet in self._outlets.values():
            if outlet.peer in peers:
                outlet.fill()

    def _wish(self) -> None:
        self._say(Wish())
