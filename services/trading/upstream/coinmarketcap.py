"""The client of CoinMarketCap's ``/v2/cryptocurrency/quotes/latest``, which requires a key."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from trading.units import SECOND
from trading.upstream.anchors import ImplausiblePrice, Quote, parse_quote
from trading.upstream.assets import IDS_BY_ASSET
from trading.upstream.http import (
    MALFORMED,
    REFUSED,
    REQUEST_TIMEOUT,
    UpstreamError,
    build_client,
    fetch,
)


class _Status(msgspec.Struct):
    error_code: int = 0


class _Usd(msgspec.Struct):
    price: float | None = None
    last_updated: datetime | None = None


class _Coin(msgspec.Struct):
    slug: str = ""
    quote: dict[str, _Usd] = {}


class _Response(msgspec.Struct):
    status: _Status
    data: dict[str, list[_Coin]] = {}


_decode = msgspec.json.Decoder(_Response).decode


class CoinMarketCap:
    """A source that requests prices from CoinMarketCap at ``url``, with an API ``key``.

    Several coins share a symbol there: the one with our slug is used, or none.
    """

    name = "coinmarketcap"

    def __init__(self, url: str, key: str, *, timeout_seconds: float = REQUEST_TIMEOUT) -> None:
        self._timeout = timeout_seconds
        self._http = build_client(url, {"X-CMC_PRO_API_KEY": key}, timeout_seconds)

    async def quotes(self, assets: Sequence[str], now: int) -> dict[str, Quote]:
        """Return the usable quotes by asset, as :meth:`Source.quotes` requires."""
        params = {"symbol": ",".join(a for a in assets if a in IDS_BY_ASSET), "convert": "USD"}
        path = "/v2/cryptocurrency/quotes/latest"
        body = await fetch(self._http, path, params, self._timeout)
        try:
            response = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError(MALFORMED, "answered something that is no price list") from error
        if response.status.error_code:
            raise UpstreamError(REFUSED, f"answered with error code {response.status.error_code}")
        quotes: dict[str, Quote] = {}
        for symbol, coins in response.data.items():
            asset = symbol.upper()
            for coin in coins:
                usd = coin.quote.get("USD")
                if asset not in assets or coin.slug != IDS_BY_ASSET.get(asset) or usd is None:
                    continue
                if usd.price is None or usd.last_updated is None:
                    continue
                try:
                    quotes[asset] = parse_quote(usd.price, _microseconds(usd.last_updated), now)
                except ImplausiblePrice:
                    continue
        if not quotes:
            raise UpstreamError(MALFORMED, "answered without one usable price")
        return quotes

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _microseconds(at: datetime) -> int:
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return round(aware.timestamp() * SECOND)
