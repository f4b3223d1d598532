"""All links of one service: opens those that it calls, takes those of its callers."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.exceptions import WebSocketException

from trading.hosting.host import Host
from trading.hosting.live import Outward, Published
from trading.hosting.store import StoreUnavailable
from trading.links import frames
from trading.links.calls import PATH, Calls, Link
from trading.links.fences import Fences
from trading.links.instances import INSTANCE, name_of
from trading.links.intake import Intake, Misbehaved
from trading.links.outlet import Outlet
from trading.links.peers import Peers
from trading.links.probes import try_connection
from trading.links.sockets import Accepted, Socket
from trading.messages.audit import AuditQuery
from trading.messages.chaos import ProbeSeen
from trading.runtime.network import Network
from trading.topology import EXCHANGE, SERVICES, TEST_COORDINATOR, TRADING_ENGINE, may_connect

log = logging.getLogger(__name__)

#: Seconds for the greeting.
_PATIENCE = 5.0


class Links:
    """``chaos``: does the coordinator's link take faults? ``instance``: tells several processes of
    one service apart.
    """

    def __init__(self, service: str, peers: Peers, *, chaos: bool, instance: str = "") -> None:
        self.service = service
        self.instance = instance
        self._peers = peers
        self._chaos = chaos
        self._outlets: dict[str, list[Outlet]] = {name: [] for name in SERVICES}
        self._open: set[asyncio.Task[Any]] = set()
        self._host: Host | None = None
        self._fences: Fences | None = None
        self._claims: dict[str, int] = {}
        #: Peers whose lost connection a probe has told.
        self._lost: set[str] = set()
        self._calls = [
            Calls(service, peer, peers, self.is_cut, self._opened)
            for peer in SERVICES[service].calls
        ]
        self.undelivered: Callable[[str, Sequence[Outward]], None] = _drop
        self.connected: Callable[[str], None] = _nothing
        self.fenced: Callable[[Mapping[str, int]], None] = _nothing
        self.queried: Callable[[AuditQuery], Coroutine[Any, Any, None]] = _unasked

    @property
    def host(self) -> Host:
        if self._host is None:
            raise RuntimeError("no host yet")
        return self._host

    def problems(self) -> dict[str, str]:
        """By instance that this service calls: what is wrong with the link; empty: nothing."""
        return {name: why for calls in self._calls for name, why in calls.problems().items()}

    async def start(self, host: Host) -> None:
        self._host = host
        if self.service == EXCHANGE:
            self._fences = await asyncio.to_thread(Fences, host.store)
        host.on_session(self._reset)
        host.listen(self._look)
        for calls in self._calls:
            calls.start()

    async def stop(self) -> None:
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
        """Is a partition played between this service and the peer?"""
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
            await socket.accept(headers=[(INSTANCE.lower().encode(), self.instance.encode())])
            await self._track(self._take(Accepted(socket), peer))
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(1001)

    def _reset(self) -> None:
        """Another session: every link begins anew."""
        for task in self._open:
            task.cancel()

    async def _track(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._open.add(task)
        try:
            await asyncio.wait([task])
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, _GONE):
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
        if greeting.session != host.session.key:
            answer["refused"] = "another session"
            await socket.send(frames.encode(answer))
            return
        name = name_of(peer, greeting.instance)
        intake = self._intake(peer, name, greeting.instance)
        if self._fences is not None and peer == TRADING_ENGINE:
            await self._fences.claim(greeting.instance, greeting.fences)
        after = intake.after() if peer == TEST_COORDINATOR else {}
        await socket.send(frames.encode({**answer, "after": after}))
        await self._converse(socket, Outlet(host, peer, greeting.after), intake)

    async def _opened(self, socket: Socket, peer: str, link: Link) -> None:
        await self._track(self._call(socket, peer, link))

    async def _call(self, socket: Socket, peer: str, link: Link) -> None:
        """A link to a peer, from the greeting to the end."""
        host = self.host
        intake = self._intake(peer, link.name, "")
        greeting = frames.Greeting(
            self.service, host.session.key, self.instance, intake.after(), fences=self._claims
        )
        await socket.send(frames.encode(greeting))
        async with asyncio.timeout(_PATIENCE):
            text = await socket.receive()
        answer = frames.decode_greeting(text)
        if answer.refused:
            link.problem = answer.refused
            return
        after = answer.after if self.service == TEST_COORDINATOR else None
        link.problem = ""
        self.connected(peer)
        await self._converse(socket, Outlet(host, peer, after), intake)

    async def _converse(self, socket: Socket, outlet: Outlet, intake: Intake) -> None:
        """Both directions, until one ends or a partition begins."""
        self._outlets[outlet.peer].append(outlet)
        tasks = [
            asyncio.create_task(self._send(socket, outlet)),
            asyncio.create_task(self._receive(socket, outlet, intake)),
            asyncio.create_task(outlet.cut.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._outlets[outlet.peer].remove(outlet)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, socket: Socket, outlet: Outlet) -> None:
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
                self._keep(
                    asyncio.create_task(self._probe(asked.source, asked.target, asked.nonce))
                )
            while intake.queries:
                self._keep(asyncio.create_task(self.queried(intake.queries.pop())))
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

    async def _probe(self, source: str, target: str, nonce: int) -> None:
        """The pair as the coordinator names it; the other one is whom this service calls."""
        peer = target if source == self.service else source
        held = bool(self._outlets[peer])
        tried = self.host.session.platform_cuts or not self.is_cut(peer)
        if held:
            self._lost.discard(peer)
        elif tried and peer not in self._lost:
            # Whether another can be made takes a while to know; until then it counts as possible.
            self._lost.add(peer)
            self.host.send(Network.name, ProbeSeen(source, target, nonce, True, held))
        fresh = tried and await try_connection(self._peers.urls[peer][0])
        held = bool(self._outlets[peer])
        self.host.send(Network.name, ProbeSeen(source, target, nonce, fresh, held))

    def _keep(self, task: asyncio.Task[Any]) -> None:
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


#: A link that ends is nothing special.
_GONE = (
    OSError,
    WebSocketException,
    WebSocketDisconnect,
    TimeoutError,
    RuntimeError,
    ValueError,
    StoreUnavailable,
)


def _drop(peer: str, items: Sequence[Outward]) -> None:
    """Lost, as on any network."""


async def _unasked(query: AuditQuery) -> None:
    """Only the auditor is asked."""


def _nothing(*given: Any) -> None:
    return
