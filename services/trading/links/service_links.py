"""All links of one service to the others: it opens some, and accepts those that peers open.

A link begins with a handshake in each direction. If both sides are in the same session and follow
the same kind of time, it then carries frames, or packets in virtual time, until a connection error,
a partition or another session ends it. The side that has opened it opens it again.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from trading.hosting.host import Host
from trading.hosting.live_session import OutboundMessage, PublishedMessage
from trading.links import frames
from trading.links.clocks import Clocks
from trading.links.coordinator_watch import CoordinatorWatch
from trading.links.dialer import PATH, Dialer, LinkStatus
from trading.links.duplex import (
    DISCONNECT_ERRORS,
    carries_messages,
    exchange_packets,
    ignore_dismissed,
    run_until_first_ends,
    send_messages,
    wait_for_close,
)
from trading.links.fences import Fences
from trading.links.handler import LinkHandler
from trading.links.inbound import InboundLink, ProtocolViolation
from trading.links.instances import instance_name
from trading.links.losses import LossDetector
from trading.links.outbound import OutboundLink
from trading.links.peers import Peers
from trading.links.probes import Prober, try_connection
from trading.links.sockets import AcceptedSocket, Socket, accept_link
from trading.links.virtual import VirtualLinks, VirtualOutboundLink
from trading.lockstep.packets import Separate, Tried, Try
from trading.topology import EXCHANGE, SERVICES, TEST_COORDINATOR, TRADING_ENGINE, may_connect

log = logging.getLogger(__name__)

#: Wall seconds for the peer's half of the handshake.
_HANDSHAKE_TIMEOUT = 5.0


class ServiceLinks:
    """Keeps the links of ``service`` to its ``peers``, and sends and receives messages over them.

    ``chaos`` says whether faults are accepted from the coordinator. ``instance`` is the number of
    this process among those of one service, empty for the first. ``patience`` is how many wall
    seconds virtual time may stand still without a coordinator; after that simulated time follows
    the wall clock at ``speed``, so that every fault ends.
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
        self._outbound: dict[str, list[OutboundLink]] = {name: [] for name in SERVICES}
        #: The links of a session in virtual time; None in other sessions.
        self.virtual: VirtualLinks | None = None
        #: Peers that the coordinator wants this service to have no connection with.
        self.separated_peers: frozenset[str] = frozenset()
        self._running: set[asyncio.Task[Any]] = set()
        self._watch = CoordinatorWatch(
            lambda: self.virtual, patience, lambda: self.host.set_speed(speed)
        )
        self._watching: asyncio.Task[None] | None = None
        self._host: Host | None = None
        self._fences: Fences | None = None
        self._claims: dict[str, int] = {}
        self._prober = Prober(
            service,
            lambda peer: bool(self._outbound[peer]),
            self.is_cut,
            lambda peer: peers.urls[peer][0],
        )
        self._losses = LossDetector()
        self.clocks = Clocks()
        self._dialers = [
            Dialer(service, peer, peers, self.is_cut, self._run_opened_link, self.clocks)
            for peer in SERVICES[service].calls
        ]
        self._handler = LinkHandler()

    @property
    def name(self) -> str:
        """The name of this process among the instances of its service."""
        return instance_name(self.service, self.instance)

    @property
    def host(self) -> Host:
        """The host whose messages the links carry. Raises RuntimeError before :meth:`start`."""
        if self._host is None:
            raise RuntimeError("no host yet")
        return self._host

    def problems(self) -> dict[str, str]:
        """Return the problem of each link that this service opens, an empty text if it works, with
        the journals that have lost entries and the clocks that differ too much.
        """
        links = {name: why for dialer in self._dialers for name, why in dialer.problems().items()}
        return links | self._losses.problems() | self.clocks.problems()

    async def start(self, host: Host, handler: LinkHandler) -> None:
        """Open the links for the messages of ``host``, and keep them open; ``handler`` handles what
        concerns the process. The exchange reads its fencing tokens first.
        """
        self._host = host
        self._handler = handler
        if self.service == EXCHANGE:
            self._fences = await asyncio.to_thread(Fences, host.store)
        host.on_session(self._restart_links)
        host.on_wall_clock(self._restart_links)
        host.listen(self._close_cut_links)
        self._restart_links()
        for dialer in self._dialers:
            dialer.start(host.tasks)
        if self.service != TEST_COORDINATOR:
            work = self._watch.run()
            self._watching = host.tasks.start("the watch for a coordinator", work, vital=True)

    async def stop(self) -> None:
        """Close all links and open no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for task in self._running:
            task.cancel()
        for dialer in self._dialers:
            await dialer.stop()
        await asyncio.gather(*self._running, return_exceptions=True)

    def send(self, items: Sequence[OutboundMessage]) -> None:
        """Send each message to its receiver. Those for a peer without an open link are handed to
        the handler.
        """
        by_peer: dict[str, list[OutboundMessage]] = {}
        for item in items:
            by_peer.setdefault(frames.peer_of(item.to), []).append(item)
        for peer, messages in by_peer.items():
            links = self._outbound.get(peer, [])
            for outbound in links:
                outbound.put(messages)
            if not links and may_connect(self.service, peer):
                self._handler.on_undelivered(peer, messages)

    def claim(self, fences: Mapping[str, int]) -> None:
        """Send the exchange the accounts that this instance owns from now on, with their fencing
        tokens; a new link to it repeats them.
        """
        self._claims = dict(fences)
        for outbound in self._outbound[EXCHANGE]:
            outbound.put_control(frames.ControlFrame(fences=self._claims))

    def is_cut(self, peer: str) -> bool:
        """Return whether a partition forbids connections between this service and the peer. In
        virtual time the sender's kernel drops the messages of a partition, and connections are
        closed only where the coordinator wants the platform's network to separate the two.
        """
        if self.virtual is not None:
            return peer in self.separated_peers
        return (self.service, peer) in self.host.network.cut

    def add_to(self, app: FastAPI) -> None:
        """Add the WebSocket endpoint at which peers open links to this service."""

        @app.websocket(PATH)
        async def link(socket: WebSocket) -> None:
            peer = socket.query_params.get("service", "")
            authorization = socket.headers.get("authorization", "")
            allowed = peer in SERVICES and may_connect(peer, self.service)
            if not allowed or not self._peers.who(peer, authorization) or self.is_cut(peer):
                await socket.close(1008)
                return
            await accept_link(socket, peer, self.instance, self.clocks)
            await self._run_link(self._serve_caller(AcceptedSocket(socket), peer))
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(1001)

    def _restart_links(self) -> None:
        """End all links, because another session has begun or time follows another clock. Their
        callers open them again.
        """
        self.separated_peers = frozenset()
        self._losses.clear()
        self.virtual = None
        if self.host.in_lockstep:
            self.virtual = VirtualLinks(
                self.service, self.name, self.host, self._handler, self._on_connection_request
            )
        self._handler.on_session_started()
        for task in self._running:
            task.cancel()

    async def _run_link(self, work: Awaitable[None]) -> None:
        """Run a link in a task that ends with the session. Raises what is no disconnection."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        try:
            await asyncio.wait([task])
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, DISCONNECT_ERRORS):
                raise error
        finally:
            task.cancel()
            self._running.discard(task)

    async def _serve_caller(self, socket: Socket, peer: str) -> None:
        """Run a link that a peer has opened, from its handshake to its end."""
        async with asyncio.timeout(_HANDSHAKE_TIMEOUT):
            text = await socket.receive()
        greeting = frames.decode_handshake(text)
        host = self.host
        answer = {"service": self.service, "session": host.session.key}
        name = instance_name(peer, greeting.instance)
        refusal = self._refusal(greeting)
        if refusal:
            await socket.send(frames.encode({**answer, "refused": refusal}))
            return
        if self.virtual is not None:
            if not carries_messages(peer, self.service):
                await socket.send(frames.encode({**answer, "virtual": True}))
                await wait_for_close(socket)
                return
            received = self.virtual.follower.receipts.last_received(name)
            await socket.send(frames.encode({**answer, "virtual": True, "received": received}))
            if name not in self.virtual.participants:
                await ignore_dismissed(socket, self.service, name)
                return
            virtual_outbound = VirtualOutboundLink(host, peer, name, greeting.received)
            await exchange_packets(socket, self.virtual, virtual_outbound, chaos=self._chaos)
            return
        inbound = self._inbound(peer, name, greeting.instance)
        if loss := self._losses.check(host.journals, name, greeting.after):
            await socket.send(frames.encode({**answer, "refused": loss}))
            return
        if self._fences is not None and peer == TRADING_ENGINE:
            await self._fences.claim(greeting.instance, greeting.fences)
        await socket.send(frames.encode({**answer, "after": inbound.after()}))
        await self._exchange_frames(socket, OutboundLink(host, peer, greeting.after), inbound)

    def _refusal(self, greeting: frames.Handshake) -> str:
        """Return why a handshake must be refused; empty if it can be accepted."""
        if greeting.session != self.host.session.key:
            return "another session"
        return "" if greeting.virtual == (self.virtual is not None) else "another clock"

    async def _run_opened_link(self, socket: Socket, peer: str, link: LinkStatus) -> None:
        await self._run_link(self._call_peer(socket, peer, link))

    async def _call_peer(self, socket: Socket, peer: str, link: LinkStatus) -> None:
        """Run a link that this service has opened, from its handshake to its end."""
        host, virtual = self.host, self.virtual
        if virtual is not None:
            receipts = virtual.follower.receipts
            greeting = frames.Handshake(
                self.service,
                host.session.key,
                self.instance,
                virtual=True,
                received=receipts.last_received(link.name),
            )
        else:
            inbound = self._inbound(peer, link.name, "")
            greeting = frames.Handshake(
                self.service, host.session.key, self.instance, inbound.after(), fences=self._claims
            )
        await socket.send(frames.encode(greeting))
        async with asyncio.timeout(_HANDSHAKE_TIMEOUT):
            text = await socket.receive()
        answer = frames.decode_handshake(text)
        refusal = answer.refused or self._refusal(answer)
        if refusal:
            link.problem = refusal
            return
        if virtual is None:
            link.problem = self._losses.check(host.journals, link.name, answer.after)
            if link.problem:
                return
        link.problem = ""
        if virtual is not None and not carries_messages(self.service, peer):
            await wait_for_close(socket)
        elif virtual is not None and link.name not in virtual.participants:
            await ignore_dismissed(socket, self.service, link.name)
        elif virtual is not None:
            virtual_outbound = VirtualOutboundLink(host, peer, link.name, answer.received)
            await exchange_packets(socket, virtual, virtual_outbound, chaos=self._chaos)
        else:
            after = answer.after if self.service == TEST_COORDINATOR else None
            self._handler.on_connected(peer)
            await self._exchange_frames(socket, OutboundLink(host, peer, after), inbound)

    async def _exchange_frames(
        self, socket: Socket, outbound: OutboundLink, inbound: InboundLink
    ) -> None:
        """Run both directions until one ends or a partition begins."""
        self._outbound[outbound.peer].append(outbound)
        try:
            await run_until_first_ends(
                send_messages(socket, outbound),
                self._receive(socket, outbound, inbound),
                outbound.cut.wait(),
            )
        finally:
            self._outbound[outbound.peer].remove(outbound)

    async def _receive(self, socket: Socket, outbound: OutboundLink, inbound: InboundLink) -> None:
        while True:
            text = await socket.receive()
            if text[:1] in ("{", b"{"):
                await self._on_control(frames.decode_control(text), inbound)
                continue
            try:
                inbound.receive(text)
            except ProtocolViolation as error:
                log.error("link closed: %s", error)
                return
            while inbound.probes:
                request = inbound.probes.pop()
                self._start("a probe", self._prober.probe(self.host, request))
            while inbound.queries:
                query = inbound.queries.pop()
                self._start("a query of the audit", self._handler.on_audit_query(query))
            fenced = self._fences.take_refused(inbound.instance) if self._fences else {}
            if fenced:
                outbound.put_control(frames.ControlFrame(fenced=fenced))

    async def _on_control(self, control: frames.ControlFrame, inbound: InboundLink) -> None:
        from_engine = inbound.peer == TRADING_ENGINE
        if control.fences is not None and self._fences is not None and from_engine:
            await self._fences.claim(inbound.instance, control.fences)
        if control.fenced:
            self._handler.on_fenced(control.fenced)

    def _close_cut_links(self, published: Sequence[PublishedMessage]) -> None:
        """Close the open links that a new partition forbids; a listener of the host."""
        for peer, links in self._outbound.items():
            if links and self.is_cut(peer):
                for outbound in links:
                    outbound.cut.set()

    def _on_connection_request(self, name: str, request: Separate | Try | Tried) -> None:
        """Do what the coordinator wants of real connections while virtual time stands still."""
        virtual = self.virtual
        if virtual is None:
            return
        if isinstance(request, Separate):
            self.separated_peers = frozenset(request.peers)
            virtual.close_links_to(self.separated_peers)
        elif isinstance(request, Try):
            self._start("a real connection", self._try_connection(virtual, request))
        else:
            self._handler.on_connection_tried(name, request)

    async def _try_connection(self, virtual: VirtualLinks, request: Try) -> None:
        fresh = await try_connection(self._peers.urls[request.target][0])
        held = virtual.has_link_to(request.target)
        virtual.send_to(TEST_COORDINATOR, Tried(request.number, fresh, held))

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Start a task that ends with the session at the latest."""
        task = self.host.tasks.start(name, work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _inbound(self, peer: str, name: str, instance: str) -> InboundLink:
        return InboundLink(
            self.host,
            self.service,
            peer,
            name,
            chaos=self._chaos,
            fences=self._fences if peer == TRADING_ENGINE else None,
            instance=instance,
        )
