"""The links that a service opens: to every instance of a peer, again and again."""

import asyncio
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from trading.links.clocks import CLOCK, Clocks
from trading.links.frames import MAX_BYTES
from trading.links.instances import INSTANCE, LOOK_EVERY, addresses, name_of, scales
from trading.links.peers import Peers
from trading.links.sockets import HANDSHAKE, Dialled, Socket
from trading.runtime.tasks import Tasks

PATH = "/link"
#: Seconds between two attempts, the shortest and the longest; for an answer; between pings.
_SOONEST, _LATEST = 0.05, 1.0
#: A link that lasted so long is made again at once, wall seconds.
_LASTING = 5.0
_PING_EVERY = 5.0


class Link:
    """``name``: the instance's, as it said it last. ``problem``: empty while it is up."""

    def __init__(self, peer: str, url: str) -> None:
        self.name = peer
        self.url = url
        self.problem = "not connected yet"


class Calls:
    """From ``service`` to each instance of ``peer``. ``talk`` holds the conversation on an open
    socket; it clears the link's problem once the peer has agreed.
    """

    def __init__(
        self,
        service: str,
        peer: str,
        peers: Peers,
        is_cut: Callable[[str], bool],
        talk: Callable[[Socket, str, Link], Awaitable[None]],
        clocks: Clocks,
    ) -> None:
        self._address = f"{PATH}?service={service}"
        self._peer = peer
        self._peers = peers
        self._is_cut = is_cut
        self._talk = talk
        self._clocks = clocks
        self._links: dict[str, Link] = {}
        self._task: asyncio.Task[None] | None = None

    def problems(self) -> dict[str, str]:
        """By instance; empty: nothing is wrong with the link."""
        if not self._links:
            return {self._peer: "no address is known for it"}
        found: dict[str, str] = {}
        for link in self._links.values():
            name = link.name if link.name not in found else f"{link.name} at {link.url}"
            found[name] = link.problem
        return found

    def start(self, tasks: Tasks) -> None:
        """Make the links, among the ``tasks`` of the process, and keep them up."""
        self._task = tasks.start(f"the links to {self._peer}", self._run(tasks), vital=True)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, tasks: Tasks) -> None:
        """A link to each instance, those that come later too."""
        links, peer = self._links, self._peer
        dialers: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                found = await addresses(self._peers, peer)
                # A link that is up needs no name.
                for url in {u for u, link in links.items() if link.problem} - set(found):
                    dialers.pop(url).cancel()
                    del links[url]
                for url in found:
                    if url not in links:
                        links[url] = Link(peer, url)
                        dialing = self._dial(links[url])
                        dialers[url] = tasks.start(f"the link to {url}", dialing, vital=True)
                if not scales(peer):
                    await asyncio.wait(dialers.values())
                await asyncio.sleep(LOOK_EVERY)
        finally:
            for task in dialers.values():
                task.cancel()
            await asyncio.gather(*dialers.values(), return_exceptions=True)

    async def _dial(self, link: Link) -> None:
        peer, url = self._peer, link.url
        wait = _SOONEST
        address = url.replace("http", "ws", 1) + self._address
        bearer = {"Authorization": f"Bearer {self._peers.token}"}
        while True:
            began = asyncio.get_running_loop().time()
            if self._is_cut(peer):
                link.problem = "partitioned"
                wait = _SOONEST / 2
            else:
                asked = self._clocks.now()
                headers = {**bearer, CLOCK: self._clocks.shown()}
                try:
                    async with connect(
                        address,
                        additional_headers=headers,
                        compression=None,
                        max_size=MAX_BYTES,
                        open_timeout=HANDSHAKE,
                        ping_interval=_PING_EVERY,
                        ping_timeout=_PING_EVERY,
                        close_timeout=0.2,
                        proxy=None,
                    ) as opened:
                        given = opened.response.headers if opened.response is not None else {}
                        link.name = name_of(peer, given.get(INSTANCE, ""))
                        self._clocks.compare(link.name, given.get(CLOCK, ""), asked)
                        await self._talk(Dialled(opened), peer, link)
                    link.problem = "connection lost"
                except (OSError, WebSocketException, TimeoutError) as error:
                    link.problem = f"{url}: {error or type(error).__name__}"
            lasted = asyncio.get_running_loop().time() - began > _LASTING
            wait = _SOONEST if lasted else min(wait * 2, _LATEST)
            await asyncio.sleep(wait)
