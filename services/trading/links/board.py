"""All links of one service: opens those that it calls, takes those of its callers."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from trading.hosting.host import Host
from trading.hosting.live import Outward, Published
from trading.links import frames
from trading.links.calls import PATH, Calls, Link
from trading.links.clocks import Clocks
from trading.links.conversation import GONE, carries, first_of, stay, take_packets
from trading.links.fences import Fences
from trading.links.instances import name_of
from trading.links.intake import Intake, Misbehaved
from trading.links.losses import Losses
from trading.links.outlet import Outlet
from trading.links.peers import Peers
from trading.links.probes import Prober, try_connection
from trading.links.sockets import Accepted, Socket, accept
from trading.links.virtual import VirtualIntake, VirtualLinks, VirtualOutlet
from trading.lockstep.follower import Appointment, Prepare
from trading.lockstep.packets import Dismissed, Packet, Separate, Tried, Try, encode_packet
from trading.messages.audit import AuditQuery
from trading.topology import EXCHANGE, SERVICES, TEST_COORDINATOR, TRADING_ENGINE, may_connect

log = logging.getLogger(__name__)

#: Seconds for the greeting.
_PATIENCE = 5.0
#: Wall seconds between two looks for the coordinator.
_LOOK_EVERY = 0.5


class Links:
    """``chaos``: does the coordinator's link take faults? ``instance``: tells several processes of
    one service apart. ``patience``: wall seconds that virtual time stands still without a
    coordinator; then it goes on by the wall clock, at ``speed``, so that every fault ends.
    """

    def __init__(
        self,
        service: str,
        peers: Peers,
        *,
        chaos: bool,
        instance: str = "",
        patience: float = math.inf,
        speed: float = 1.0,
    ) -> None:
        self.service = service
        self.instance = instance
        self._peers = peers
        self._chaos = chaos
        self._patience = patience
        self._speed = speed
        self._outlets: dict[str, list[Outlet]] = {name: [] for name in SERVICES}
        #: In a session of virtual time.
        self.virtual: VirtualLinks | None = None
        #: Peers to which the time keeper wants no connection.
        self.held_off: frozenset[str] = frozenset()
        #: What a service does in the real world before an instant of virtual time.
        self.prepare: Prepare | None = None
        #: When it has something to do there next, though no message is due.
        self.appointment: Appointment = lambda: None
        self._open: set[asyncio.Task[Any]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._host: Host | None = None
        self._fences: Fences | None = None
        self._claims: dict[str, int] = {}
        self._prober = Prober(
            service,
            lambda peer: bool(self._outlets[peer]),
            self.is_cut,
            lambda peer: peers.urls[peer][0],
        )
        self._losses = Losses()
        self.clocks = Clocks()
        self._calls = [
            Calls(service, peer, peers, self.is_cut, self._opened, self.clocks)
            for peer in SERVICES[service].calls
        ]
        #: Called when a session, or another clock, has begun.
        self.began: Callable[[], None] = _nothing
        self.undelivered: Callable[[str, Sequence[Outward]], None] = _nothing
        self.connected: Callable[[str], None] = _nothing
        self.fenced: Callable[[Mapping[str, int]], None] = _nothing
        self.queried: Callable[[AuditQuery], Coroutine[Any, Any, None]] = _unasked

    @property
    def name(self) -> str:
        """What this process is called among the instances of its service."""
        return name_of(self.service, self.instance)

    @property
    def host(self) -> Host:
        if self._host is None:
            raise RuntimeError("no host yet")
        return self._host

    def problems(self) -> dict[str, str]:
        """By instance that this service calls: what is wrong with the link, empty: nothing; and
        the clocks that are far from this machine's.
        """
        links = {name: why for calls in self._calls for name, why in calls.problems().items()}
        return links | self._losses.problems() | self.clocks.problems()

    async def start(self, host: Host) -> None:
        self._host = host
        if self.service == EXCHANGE:
            self._fences = await asyncio.to_thread(Fences, host.store)
        host.on_session(self._reset)
        host.on_wall_clock(self._reset)
        host.listen(self._look)
        self._reset()
        for calls in self._calls:
            calls.start(host.tasks)
        if self.service != TEST_COORDINATOR:
            work = self._watch_coordinator()
            self._watch = host.tasks.start("the watch for a coordinator", work, vital=True)

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        for task in self._open:
            task.cancel()
        for calls in self._calls:
            await calls.stop()
        await asyncio.gather(*self._open, return_exceptions=True)

    def send(self, items: Sequence[Outward]) -> None:
        """Everything to whom it is for; what nobody takes now is told to ``undelivered``."""
        by_peer: dict[str, list[Outward]] = {}
        for item in items:
            by_peer.setdefault(frames.peer_of(item.to), []).append(item)
        for peer, found in by_peer.items():
            outlets = self._outlets.get(peer, [])
            for outlet in outlets:
                outlet.put(found)
            if not outlets and may_connect(self.service, peer):
                self.undelivered(peer, found)

    def claim(self, fences: Mapping[str, int]) -> None:
        """From now on these accounts are this instance's, for the exchange to know."""
        self._claims = dict(fences)
        for outlet in self._outlets[EXCHANGE]:
            outlet.note(frames.Note(fences=self._claims))

    def is_cut(self, peer: str) -> bool:
        """Is a partition played between this service and the peer? In virtual time messages are
        lost where they are sent; connections end when the time keeper says so.
        """
        if self.virtual is not None:
            return peer in self.held_off
        return (self.service, peer) in self.host.kernel.network.cut

    def add_to(self, app: FastAPI) -> None:
        """The side of those who are called."""

        @app.websocket(PATH)
        async def link(socket: WebSocket) -> None:
            peer = socket.query_params.get("service", "")
            shown = socket.headers.get("authorization", "")
            known = peer in SERVICES and may_connect(peer, self.service)
            if not known or not self._peers.who(peer, shown) or self.is_cut(peer):
                await socket.close(1008)
                return
            await accept(socket, peer, self.instance, self.clocks)
            await self._track(self._take(Accepted(socket), peer))
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(1001)

    def _reset(self) -> None:
        """Another session, or another clock: every link begins anew."""
        self.held_off = frozenset()
        self._losses.clear()
        lockstep = self.host.live.in_lockstep
        self.virtual = None
        if lockstep:
            self.virtual = VirtualLinks(
                self.service, self.name, self.host, self.prepare, self.appointment
            )
            self.virtual.on_real = self._on_real
        self.began()
        for task in self._open:
            task.cancel()

    async def _track(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._open.add(task)
        try:
            await asyncio.wait([task])
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, GONE):
                raise error
        finally:
            task.cancel()
            self._open.discard(task)

    async def _take(self, socket: Socket, peer: str) -> None:
        """A caller's link, from the greeting to the end."""
        async with asyncio.timeout(_PATIENCE):
            text = await socket.receive()
        greeting = frames.decode_greeting(text)
        host = self.host
        answer = {"service": self.service, "session": host.session.key}
        name = name_of(peer, greeting.instance)
        refused = self._refused(greeting)
        if refused:
            await socket.send(frames.encode({**answer, "refused": refused}))
            return
        if self.virtual is not None:
            if not carries(peer, self.service):
                await socket.send(frames.encode({**answer, "virtual": True}))
                await stay(socket)
                return
            received = self.virtual.follower.receipts.number(name)
            await socket.send(frames.encode({**answer, "virtual": True, "received": received}))
            if name not in self.virtual.participants:
                await self._turn_away(socket, name)
                return
            outlet = VirtualOutlet(host, peer, name, greeting.received)
            await self._converse_virtually(socket, self.virtual, outlet)
            return
        intake = self._intake(peer, name, greeting.instance)
        if lost := self._losses.check(host.kernel.journals, name, greeting.after):
            await socket.send(frames.encode({**answer, "refused": lost}))
            return
        if self._fences is not None and peer == TRADING_ENGINE:
            await self._fences.claim(greeting.instance, greeting.fences)
        await socket.send(frames.encode({**answer, "after": intake.after()}))
        await self._converse(socket, Outlet(host, peer, greeting.after), intake)

    def _refused(self, greeting: frames.Greeting) -> str:
        """Why there can be no link; empty: there can."""
        if greeting.session != self.host.session.key:
            return "another session"
        return "" if greeting.virtual == (self.virtual is not None) else "another clock"

    async def _opened(self, socket: Socket, peer: str, link: Link) -> None:
        await self._track(self._call(socket, peer, link))

    async def _call(self, socket: Socket, peer: str, link: Link) -> None:
        """A link to a peer, from the greeting to the end."""
        host, virtual = self.host, self.virtual
        if virtual is not None:
            receipts = virtual.follower.receipts
            greeting = frames.Greeting(
                self.service,
                host.session.key,
                self.instance,
                virtual=True,
                received=receipts.number(link.name),
            )
        else:
            intake = self._intake(peer, link.name, "")
            greeting = frames.Greeting(
                self.service, host.session.key, self.instance, intake.after(), fences=self._claims
            )
        await socket.send(frames.encode(greeting))
        async with asyncio.timeout(_PATIENCE):
            text = await socket.receive()
        answer = frames.decode_greeting(text)
        refused = answer.refused or self._refused(answer)
        if refused:
            link.problem = refused
            return
        if virtual is None:
            link.problem = self._losses.check(host.kernel.journals, link.name, answer.after)
            if link.problem:
                return
        link.problem = ""
        if virtual is not None and not carries(self.service, peer):
            await stay(socket)
        elif virtual is not None and link.name not in virtual.participants:
            await self._turn_away(socket, link.name)
        elif virtual is not None:
            outlet = VirtualOutlet(host, peer, link.name, answer.received)
            await self._converse_virtually(socket, virtual, outlet)
        else:
            after = answer.after if self.service == TEST_COORDINATOR else None
            self.connected(peer)
            await self._converse(socket, Outlet(host, peer, after), intake)

    async def _turn_away(self, socket: Socket, name: str) -> None:
        """Hear nothing of an instance that takes no part in this session; the coordinator tells it
        so.
        """
        if self.service == TEST_COORDINATOR:
            await socket.send(encode_packet(Packet(1, words=[Dismissed(name)])))
        await stay(socket)

    async def _converse_virtually(
        self, socket: Socket, virtual: VirtualLinks, outlet: VirtualOutlet
    ) -> None:
        """Both directions, until one ends or time goes by the wall clock."""
        intake = VirtualIntake(virtual, outlet.peer, outlet.name, chaos=self._chaos)
        virtual.opened(outlet)
        try:
            await first_of(
                self._send(socket, outlet),
                take_packets(socket, intake),
                outlet.cut.wait(),
            )
        finally:
            virtual.closed(outlet)

    async def _converse(self, socket: Socket, outlet: Outlet, intake: Intake) -> None:
        """Both directions, until one ends or a partition begins."""
        self._outlets[outlet.peer].append(outlet)
        try:
            await first_of(
                self._send(socket, outlet),
                self._receive(socket, outlet, intake),
                outlet.cut.wait(),
            )
        finally:
            self._outlets[outlet.peer].remove(outlet)

    async def _send(self, socket: Socket, outlet: Outlet | VirtualOutlet) -> None:
        async for text in outlet.texts():
            await socket.send(text)

    async def _receive(self, socket: Socket, outlet: Outlet, intake: Intake) -> None:
        while True:
            text = await socket.receive()
            if text[:1] in ("{", b"{"):
                await self._on_note(frames.decode_note(text), intake)
                continue
            try:
                intake.take(text)
            except Misbehaved as error:
                log.error("link closed: %s", error)
                return
            while intake.probes:
                asked = intake.probes.pop()
                self._start("a probe", self._prober.probe(self.host, asked))
            while intake.queries:
                self._start("a query of the audit", self.queried(intake.queries.pop()))
            if self._fences is not None and (fenced := self._fences.refused(intake.instance)):
                outlet.note(frames.Note(fenced=fenced))

    async def _on_note(self, note: frames.Note, intake: Intake) -> None:
        if note.fences is not None and self._fences is not None and intake.peer == TRADING_ENGINE:
            await self._fences.claim(intake.instance, note.fences)
        if note.fenced:
            self.fenced(note.fenced)

    def _look(self, published: Sequence[Published]) -> None:
        """A partition has begun or ended: established connections have to go, too."""
        for peer, outlets in self._outlets.items():
            if outlets and self.is_cut(peer):
                for outlet in outlets:
                    outlet.cut.set()

    async def _watch_coordinator(self) -> None:
        """Faults are leases in simulated time: it must not stand still for ever."""
        clock = asyncio.get_running_loop().time
        heard = clock()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            virtual = self.virtual
            if virtual is None or virtual.over or virtual.holds(TEST_COORDINATOR):
                heard = clock()
            elif clock() - heard > self._patience:
                log.error("no coordinator for %g s: time goes on without it", self._patience)
                self.host.pace(self._speed)

    def _on_real(self, name: str, word: Separate | Try | Tried) -> None:
        """While virtual time stands still: what the time keeper wants of real connections."""
        virtual = self.virtual
        if virtual is None:
            return
        if isinstance(word, Separate):
            self.held_off = frozenset(word.peers)
            virtual.separate(self.held_off)
        elif isinstance(word, Try):
            self._start("a real connection", self._try(virtual, word))

    async def _try(self, virtual: VirtualLinks, word: Try) -> None:
        fresh = await try_connection(self._peers.urls[word.target][0])
        virtual.say_to(TEST_COORDINATOR, Tried(word.number, fresh, virtual.holds(word.target)))

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Begin something that ends with the session at the latest."""
        task = self.host.tasks.start(name, work)
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    def _intake(self, peer: str, name: str, instance: str) -> Intake:
        return Intake(
            self.host,
            self.service,
            peer,
            name,
            chaos=self._chaos,
            fences=self._fences if peer == TRADING_ENGINE else None,
            instance=instance,
        )


async def _unasked(query: AuditQuery) -> None:
    """Only the auditor is asked."""


def _nothing(*given: Any) -> None:
    return
