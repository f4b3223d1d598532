"""Requests to public APIs, limited in time and size, with a name for every kind of failure."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import httpx

from trading.upstream.anchors import Quote

#: Largest response that is read, in bytes.
MAX_RESPONSE = 256 * 1024
#: Timeout of a request including its response, in seconds.
REQUEST_TIMEOUT = 10.0
#: Upper bound for Retry-After, in seconds.
MAX_RETRY_AFTER = 3600.0

# Outcomes of a request.
OK = "ok"
RATE_LIMITED = "rate-limited"
TIMEOUT = "timeout"
UNREACHABLE = "unreachable"
SERVER_ERROR = "server-error"
REFUSED = "refused"
MALFORMED = "malformed"


class UpstreamError(Exception):
    """A request failed.

    ``outcome`` is one of the constants of this module, except OK. ``retry_after`` is the time in
    seconds that the API asked to wait, 0 if none. The text contains nothing that the API sent, and
    no key.
    """

    def __init__(self, outcome: str, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.retry_after = retry_after


class Source(Protocol):
    """An API that provides prices. ``name`` is used in logs, metrics and cache keys."""

    name: str

    async def quotes(self, assets: Sequence[str], now: int) -> dict[str, Quote]:
        """Request the quotes of ``assets``; ``now`` is the wall time in microseconds.

        Assets without a quote, or with an implausible one, are left out. Raises UpstreamError if
        the request fails or no usable quote is left.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def build_client(
    base_url: str, headers: Mapping[str, str], timeout_seconds: float
) -> httpx.AsyncClient:
    """Return an HTTP client for one API. Responses are not compressed: see :func:`fetch`."""
    return httpx.AsyncClient(
        base_url=base_url,
        headers={
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": "trading-ecosystem",
            **headers,
        },
        timeout=timeout_seconds,
        limits=httpx.Limits(max_connections=2),
    )


async def fetch(
    http: httpx.AsyncClient, path: str, params: Mapping[str, str], timeout_seconds: float
) -> bytes:
    """Return the body of a response with status 200. Raises UpstreamError for everything else.

    The timeout bounds the whole request, so that a response which arrives byte by byte fails, too.
    """
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            http.stream("GET", path, params=params) as response,
        ):
            _raise_for_status(response)
            body = bytearray()
            # Raw, because the size of a decompressed response would not be limited.
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_RESPONSE:
                    raise UpstreamError(MALFORMED, f"answered more than {MAX_RESPONSE} bytes")
            return bytes(body)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UpstreamError(TIMEOUT, f"no answer within {timeout_seconds:g} s") from error
    except httpx.RemoteProtocolError as error:
        raise UpstreamError(MALFORMED, "did not answer in HTTP") from error
    except (httpx.HTTPError, OSError) as error:
        raise UpstreamError(UNREACHABLE, f"cannot be reached: {type(error).__name__}") from error


def _raise_for_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    wait = parse_retry_after(response.headers.get("retry-after", ""))
    if status == 429:
        raise UpstreamError(RATE_LIMITED, "answered 429", wait)
    if status >= 500:
        raise UpstreamError(SERVER_ERROR, f"answered {status}", wait)
    raise UpstreamError(REFUSED, f"answered {status}", wait)


def parse_retry_after(value: str) -> float:
    """Return the seconds that a Retry-After header asks for: a number or a date; 0 if neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, IndexError):
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), MAX_RETRY_AFTER)
