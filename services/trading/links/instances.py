"""Where the instances of a service are: a name can have several addresses, others tomorrow."""

import asyncio
import socket
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from trading.hosting.addresses import address
from trading.links.peers import Peers
from trading.topology import INSTANCES

#: Header in which a service that is asked says which of its instances answers.
INSTANCE = "X-Instance"
#: Seconds after which names are asked for their addresses again.
LOOK_EVERY = 1.0
_PATIENCE = 2.0


def name_of(service: str, instance: str) -> str:
    """What an instance is called: the first as the service, others with their number."""
    return f"{service}-{instance}" if instance else service


def scales(service: str) -> bool:
    """May several instances of it run?"""
    return INSTANCES.get(service, 1) > 1


async def addresses(peers: Peers, service: str) -> tuple[str, ...]:
    """Base URLs, one for each instance that is there now, in no order that means anything. None:
    its name is unknown. A service that never scales is left to be found by its name.
    """
    urls = peers.urls[service]
    if not scales(service):
        return urls
    found = await asyncio.gather(*(_resolved(url) for url in urls))
    return tuple(dict.fromkeys(url for known in found for url in known))


async def _resolved(url: str) -> Iterable[str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or address(host) is not None:
        return (url,)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_PATIENCE):
            known = await loop.getaddrinfo(host, parts.port or 80, type=socket.SOCK_STREAM)
    except (socket.gaierror, TimeoutError):
        return ()
    return (_at(parts, str(entry[4][0])) for entry in known)


def _at(parts: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=f"{shown}:{parts.port or 80}").geturl()
