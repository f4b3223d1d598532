"""HTTP clients for requests between services: without TLS, and without proxies."""

import ssl
from typing import Any

import httpx

# Services call each other without TLS. Without this context every client would read the machine's
# certificates, which takes 50 ms.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def client(**options: Any) -> httpx.AsyncClient:
    """Return an ``httpx.AsyncClient(**options)`` that ignores the proxies of the environment."""
    return httpx.AsyncClient(trust_env=False, verify=_NO_CERTIFICATES, **options)
