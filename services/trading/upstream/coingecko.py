"""The client of CoinGecko's ``/api/v3/simple/price``.

The API works without a key; a key raises its rate limit.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from trading.units import SECOND
from trading.upstream.anchors import ImplausiblePrice, Quote, parse_quote
from trading.upstream.assets import IDS_BY_ASSET
from trading.upstream.http import MALFORMED, REQUEST_TIMEOUT, UpstreamError, build_client, fetch

#: Start of the host name that takes pro keys.
_PRO_HOST_PREFIX = "pro-api."


class _Price(msgspec.Struct):
    usd: float | None = None
    last_updated_at: int | None = None


_decode = msgspec.json.Decoder(dict[str, _Price]).decode


class CoinGecko:
    """A source that requests prices from CoinGecko.

    ``url`` is the address of the API's host. ``key`` is sent as a pro key to a host whose name
    starts with ``pro-api.`` and as a demo key to any other; it may be empty.
    """

    name = "coingecko"

    def __init__(
        self, url: str, key: str = "", *, timeout_seconds: float = REQUEST_TIMEOUT
    ) -> None:
        pro = (urlsplit(url).hostname or "").startswith(_PRO_HOST_PREFIX)
        header = "x-cg-pro-api-key" if pro else "x-cg-demo-api-key"
        self._timeout = timeout_seconds
        self._http = build_client(url, {header: key} if key else {}, timeout_seconds)

    async def quotes(self, assets: Sequence[str], now: int) -> dict[str, Quote]:
        """Return the usable quotes by asset, as :meth:`Source.quotes` requires."""
        assets_by_id = {IDS_BY_ASSET[a]: a for a in assets if a in IDS_BY_ASSET}
        params = {
            "ids": ",".join(assets_by_id),
            "vs_currencies": "usd",
            "include_last_updated_at": "true",
            "precision": "full",
        }
        body = await fetch(self._http, "/api/v3/simple/price", params, self._timeout)
        try:
            response = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError(MALFORMED, "answered something that is no price list") from error
        quotes: dict[str, Quote] = {}
        for name, asset in assets_by_id.items():
            price = response.get(name)
            if price is None or price.usd is None or price.last_updated_at is None:
                continue
            try:
                quotes[asset] = parse_quote(price.usd, price.last_updated_at * SECOND, now)
            except ImplausiblePrice:
                continue
        if not quotes:
            raise UpstreamError(MALFORMED, "answered without one usable price")
        return quotes

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()
