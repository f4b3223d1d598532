"""Evidence of a partition from real sockets."""

import asyncio
from collections.abc import Callable

import httpx

from trading.hosting.host import Host
from trading.links import http
from trading.messages.chaos import ProbeAsked, ProbeSeen
from trading.runtime.network import Network

#: Seconds that a connection may take to count as one.
PATIENCE = 1.0


class Prober:
    """Answers for ``service`` what a coordinator asks in a run by the wall clock. By the name of a
    peer: ``holds`` says whether there is a link, ``is_cut`` whether a partition is played, and
    ``url`` where the peer is.
    """

    def __init__(
        self,
        service: str,
        holds: Callable[[str], bool],
        is_cut: Callable[[str], bool],
        url: Callable[[str], str],
    ) -> None:
        self._service = service
        self._holds = holds
        self._is_cut = is_cut
        self._url = url
        #: Peers whose lost connection has been told.
        self._lost: set[str] = set()

    async def probe(self, host: Host, asked: ProbeAsked) -> None:
        """Try a connection between the pair as the coordinator names it; the other one is whom
        this service calls.
        """
        source, target, nonce = asked.source, asked.target, asked.nonce
        peer = target if source == self._service else source
        held = self._holds(peer)
        tried = host.session.platform_cuts or not self._is_cut(peer)
        if held:
            self._lost.discard(peer)
        elif tried and peer not in self._lost:
            # Whether another can be made takes a while to know; until then it counts as possible.
            self._lost.add(peer)
            host.send(Network.name, ProbeSeen(source, target, nonce, True, held))
        fresh = tried and await try_connection(self._url(peer))
        held = self._holds(peer)
        host.send(Network.name, ProbeSeen(source, target, nonce, fresh, held))


async def try_connection(url: str) -> bool:
    """Does a fresh connection get an answer from the service at ``url``?"""
    try:
        async with asyncio.timeout(PATIENCE), http.client() as client:
            return (await client.get(f"{url}/health")).is_success
    except (httpx.HTTPError, TimeoutError):
        return False
