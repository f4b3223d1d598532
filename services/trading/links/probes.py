"""Evidence of a partition from real sockets."""

import asyncio

import httpx

#: Seconds that a connection may take to count as one.
PATIENCE = 1.0


async def try_connection(url: str) -> bool:
    """Does a fresh connection get an answer from the service at ``url``?"""
    try:
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"{url}/health")).is_success
    except (httpx.HTTPError, TimeoutError):
        return False
