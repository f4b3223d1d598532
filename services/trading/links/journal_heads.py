"""Requests the head of a journal, its length and last hash, from the service that writes it."""

from collections.abc import Mapping
from typing import Any

import httpx

from trading.links import http

#: Wall seconds for the response.
_TIMEOUT = 3


async def request_head(
    url: str, headers: Mapping[str, str], params: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """Return the response of ``GET /journal/head`` of the service at ``url``; an empty mapping if
    there is none.
    """
    try:
        async with http.client(timeout=_TIMEOUT, headers=headers) as client:
            response = await client.get(f"{url}/journal/head", params=params)
        head: Mapping[str, Any] = response.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return {}
    return head
