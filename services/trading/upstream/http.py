"""One question to an outside API: limited in time and size, and every failure named."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import httpx

from trading.upstream.anchors import Quote

#: Largest answer that is read, bytes; longest that one may take, seconds.
MAX_ANSWER = 256 * 1024
PATIENCE = 10.0
#: Longest that a Retry-After is obeyed, seconds.
LONGEST_WAIT = 3600.0

OK = "ok"
RATE_LIMITED = "rate-limited"
TIMEOUT = "timeout"
UNREACHABLE = "unreachable"
SERVER_ERROR = "server-error"
REFUSED = "refused"
MALFORMED = "malformed"


class UpstreamError(Exception):
    """``outcome``: one of the words above. ``retry_after``: seconds that it asked for, 0 if none.
    The text holds nothing that came from the other side, and no key.
    """

    def __init__(self, outcome: str, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.outcome = outcome
        self.retry_after = retry_after


class Source(Protocol):
    """Somebody who knows prices."""

    name: str

    async def quotes(self, assets: Sequence[str], now: int) -> dict[str, Quote]:
        """What it knows, by asset; what it does not know, or what cannot be, is left out. ``now``:
        wall time, microseconds. Raises UpstreamError.
        """
        ...

    async def close(self) -> None: ...


def client(base_url: str, headers: Mapping[str, str], patience: float) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=base_url,
        headers={
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": "trading-ecosystem",
            **headers,
        },
        timeout=patience,
        limits=httpx.Limits(max_connections=2),
    )


async def ask(
    http: httpx.AsyncClient, path: str, params: Mapping[str, str], patience: float
) -> bytes:
    """The body of a 200. Raises UpstreamError for everything else. ``patience``: seconds, for
    the whole of it: an answer that only ever trickles is none.
    """
    try:
        async with asyncio.timeout(patience), http.stream("GET", path, params=params) as answer:
            _check(answer)
            body = bytearray()
            # Raw: what a compressed answer unpacks to would have no limit.
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MAX_ANSWER:
                    raise UpstreamError(MALFORMED, f"answered more than {MAX_ANSWER} bytes")
            return bytes(body)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise UpstreamError(TIMEOUT, f"no answer within {patience:g} s") from error
    except httpx.RemoteProtocolError as error:
        raise UpstreamError(MALFORMED, "did not answer in HTTP") from error
    except (httpx.HTTPError, OSError) as error:
        raise UpstreamError(UNREACHABLE, f"cannot be reached: {type(error).__name__}") from error


def _check(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == 200:
        return
    wait = retry_after(answer.headers.get("retry-after", ""))
    if status == 429:
        raise UpstreamError(RATE_LIMITED, "answered 429", wait)
    if status >= 500:
        raise UpstreamError(SERVER_ERROR, f"answered {status}", wait)
    raise UpstreamError(REFUSED, f"answered {status}", wait)


def retry_after(value: str) -> float:
    """Seconds, from a number of them or a date; 0 for what is neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, IndexError):
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)
