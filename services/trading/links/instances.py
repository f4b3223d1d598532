"""Finds the addresses of a service's instances. The name of a service that scales resolves to one
address for each instance, and these change while it runs.
"""

import asyncio
import socket
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from trading.hosting.addresses import address
from trading.links.peers import Peers
from trading.topology import MAX_INSTANCES

#: Header in which a service says which of its instances responds.
INSTANCE_HEADER = "X-Instance"
#: Wall seconds between two resolutions of a name.
RESOLVE_INTERVAL = 1.0
#: Wall seconds for one resolution.
_TIMEOUT = 2.0


def instance_name(service: str, instance: str) -> str:
    """Return the name of an instance: the service's for the first one, whose ``instance`` is empty,
    and the service's with the number for the others.
    """
    return f"{service}-{instance}" if instance else service


def can_scale(service: str) -> bool:
    """Return whether several instances of a service may run."""
    return MAX_INSTANCES.get(service, 1) > 1


async def instance_urls(peers: Peers, service: str) -> tuple[str, ...]:
    """Return one base URL for each instance that runs now, in no particular order; none if the
    service's name does not resolve. The name of a service that cannot scale is not resolved.
    """
    urls = peers.urls[service]
    if not can_scale(service):
        return urls
    resolved = await asyncio.gather(*(_resolve(url) for url in urls))
    return tuple(dict.fromkeys(url for group in resolved for url in group))


async def _resolve(url: str) -> Iterable[str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or address(host) is not None:
        return (url,)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_TIMEOUT):
            infos = await loop.getaddrinfo(host, parts.port or 80, type=socket.SOCK_STREAM)
    except (socket.gaierror, TimeoutError):
        return ()
    return (_with_host(parts, str(info[4][0])) for info in infos)


def _with_host(parts: SplitResult, host: str) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=f"{bracketed}:{parts.port or 80}").geturl()
