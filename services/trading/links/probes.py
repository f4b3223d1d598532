"""Tries real connections between services, as evidence of whether a partition holds."""

import asyncio
from collections.abc import Callable

import httpx

from trading.hosting.host import Host
from trading.links import http
from trading.messages.chaos import ProbeAsked, ProbeSeen
from trading.runtime.network import Network

#: Wall seconds after which an attempt to connect counts as failed.
_CONNECT_TIMEOUT = 1.0


class Prober:
    """Answers the coordinator's probes for ``service`` in a run that follows the wall clock.

    The callables take the name of a peer: ``has_link`` says whether a link to it is open,
    ``is_cut`` whether a partition separates it from this service, and ``url`` returns its base URL.
    """

    def __init__(
        self,
        service: str,
        has_link: Callable[[str], bool],
        is_cut: Callable[[str], bool],
        url: Callable[[str], str],
    ) -> None:
        self._service = service
        self._has_link = has_link
        self._is_cut = is_cut
        self._url = url
        #: Peers whose lost link has been reported.
        self._reported_lost: set[str] = set()

    async def probe(self, host: Host, request: ProbeAsked) -> None:
        """Try a connection between the pair that ``request`` names, one of which is this service,
        and send the result to the network component of ``host``.
        """
        source, target, nonce = request.source, request.target, request.nonce
        peer = target if source == self._service else source
        held = self._has_link(peer)
        may_try = host.session.platform_cuts or not self._is_cut(peer)
        if held:
            self._reported_lost.discard(peer)
        elif may_try and peer not in self._reported_lost:
            # An attempt takes up to a second; until then a fresh connection counts as possible.
            self._reported_lost.add(peer)
            host.send(Network.name, ProbeSeen(source, target, nonce, True, held))
        fresh = may_try and await try_connection(self._url(peer))
        held = self._has_link(peer)
        host.send(Network.name, ProbeSeen(source, target, nonce, fresh, held))


async def try_connection(url: str) -> bool:
    """Return whether the service at ``url`` responds over a fresh connection."""
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT), http.client() as client:
            return (await client.get(f"{url}/health")).is_success
    except (httpx.HTTPError, TimeoutError):
        return False
