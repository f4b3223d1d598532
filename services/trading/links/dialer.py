"""Opens the links to every instance of a peer, and reopens them when they end."""

import asyncio
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from trading.links.clocks import CLOCK_HEADER, Clocks
from trading.links.frames import MAX_BYTES
from trading.links.instances import (
    INSTANCE_HEADER,
    RESOLVE_INTERVAL,
    can_scale,
    instance_name,
    instance_urls,
)
from trading.links.peers import Peers
from trading.links.sockets import HANDSHAKE_TIMEOUT, DialedSocket, Socket
from trading.runtime.tasks import BackgroundTasks

#: Path of the WebSocket endpoint of links.
PATH = "/link"
#: Shortest and longest wall seconds between two attempts to connect.
_MIN_RETRY_DELAY, _MAX_RETRY_DELAY = 0.05, 1.0
#: A link that lasted longer than this is reopened after the shortest delay, wall seconds.
_STABLE_AFTER = 5.0
#: Wall seconds between two pings, and for the answer to one.
_PING_INTERVAL = 5.0


class LinkStatus:
    """The state of the link to the instance of ``peer`` at ``url``.

    ``name`` is the name of the instance, as the last handshake says. ``problem`` says why the
    link does not work, and is empty while it does.
    """

    def __init__(self, peer: str, url: str) -> None:
        self.name = peer
        self.url = url
        self.problem = "not connected yet"


class Dialer:
    """Keeps a link open from ``service`` to each instance of ``peer``.

    While ``is_cut`` returns true for the peer no link is opened. ``run_link`` runs the link on an
    open socket; it clears the status's problem once the peer has accepted the handshake. The peer's
    wall clock is compared with ``clocks``.
    """

    def __init__(
        self,
        service: str,
        peer: str,
        peers: Peers,
        is_cut: Callable[[str], bool],
        run_link: Callable[[Socket, str, LinkStatus], Awaitable[None]],
        clocks: Clocks,
    ) -> None:
        self._address = f"{PATH}?service={service}"
        self._peer = peer
        self._peers = peers
        self._is_cut = is_cut
        self._run_link = run_link
        self._clocks = clocks
        self._links: dict[str, LinkStatus] = {}
        self._task: asyncio.Task[None] | None = None

    def problems(self) -> dict[str, str]:
        """Return the problem of each link by name of the instance; an empty text if it works."""
        if not self._links:
            return {self._peer: "no address is known for it"}
        problems: dict[str, str] = {}
        for link in self._links.values():
            name = link.name if link.name not in problems else f"{link.name} at {link.url}"
            problems[name] = link.problem
        return problems

    def start(self, tasks: BackgroundTasks) -> None:
        """Open the links and keep them open, as one of the ``tasks`` of the process."""
        self._task = tasks.start(f"the links to {self._peer}", self._run(tasks), vital=True)

    async def stop(self) -> None:
        """Close all links and open no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, tasks: BackgroundTasks) -> None:
        """Keep one dialing task for each address of the peer, while its addresses change."""
        links, peer = self._links, self._peer
        dialing: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                urls = await instance_urls(self._peers, peer)
                # A link that works stays, even if its address is not resolved any more.
                for url in {u for u, link in links.items() if link.problem} - set(urls):
                    dialing.pop(url).cancel()
                    del links[url]
                for url in urls:
                    if url not in links:
                        links[url] = LinkStatus(peer, url)
                        work = self._dial(links[url])
                        dialing[url] = tasks.start(f"the link to {url}", work, vital=True)
                if not can_scale(peer):
                    await asyncio.wait(dialing.values())
                await asyncio.sleep(RESOLVE_INTERVAL)
        finally:
            for task in dialing.values():
                task.cancel()
            await asyncio.gather(*dialing.values(), return_exceptions=True)

    async def _dial(self, link: LinkStatus) -> None:
        """Open the link, run it, and open it again when it has ended."""
        peer, url = self._peer, link.url
        delay = _MIN_RETRY_DELAY
        address = url.replace("http", "ws", 1) + self._address
        bearer = {"Authorization": f"Bearer {self._peers.token}"}
        while True:
            began = asyncio.get_running_loop().time()
            if self._is_cut(peer):
                link.problem = "partitioned"
                delay = _MIN_RETRY_DELAY / 2
            else:
                requested_at = self._clocks.now()
                headers = {**bearer, CLOCK_HEADER: self._clocks.header_value()}
                try:
                    async with connect(
                        address,
                        additional_headers=headers,
                        compression=None,
                        max_size=MAX_BYTES,
                        open_timeout=HANDSHAKE_TIMEOUT,
                        ping_interval=_PING_INTERVAL,
                        ping_timeout=_PING_INTERVAL,
                        close_timeout=0.2,
                        proxy=None,
                    ) as opened:
                        response = opened.response.headers if opened.response is not None else {}
                        link.name = instance_name(peer, response.get(INSTANCE_HEADER, ""))
                        clock = response.get(CLOCK_HEADER, "")
                        self._clocks.compare(link.name, clock, requested_at)
                        await self._run_link(DialedSocket(opened), peer, link)
                    link.problem = "connection lost"
                except (OSError, WebSocketException, TimeoutError) as error:
                    link.problem = f"{url}: {error or type(error).__name__}"
            stable = asyncio.get_running_loop().time() - began > _STABLE_AFTER
            delay = _MIN_RETRY_DELAY if stable else min(delay * 2, _MAX_RETRY_DELAY)
            await asyncio.sleep(delay)
