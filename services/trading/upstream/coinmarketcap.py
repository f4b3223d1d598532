"""CoinMarketCap: ``/v2/cryptocurrency/quotes/latest``. Answers nobody without a key."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from trading.units import SECOND
from trading.upstream.anchors import NotPlausible, Quote, quote
from trading.upstream.assets import IDS
from trading.upstream.http import MALFORMED, PATIENCE, REFUSED, UpstreamError, ask, client


class _Status(msgspec.Struct):
    error_code: int = 0


class _Usd(msgspec.Struct):
    price: float | None = None
    last_updated: datetime | None = None


class _Coin(msgspec.Struct):
    slug: str = ""
    quote: dict[str, _Usd] = {}


class _Answer(msgspec.Struct):
    status: _Status
    data: dict[str, list[_Coin]] = {}


_decode = msgspec.json.Decoder(_Answer).decode


class CoinMarketCap:
    """Several coins share a symbol there: the one with our slug is taken, or none."""

    name = "coinmarketcap"

    def __init__(self, url: str, key: str, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._http = client(url, {"X-CMC_PRO_API_KEY": key}, patience)

    async def quotes(self, assets: Sequence[str], now: int) -> dict[str, Quote]:
        params = {"symbol": ",".join(a for a in assets if a in IDS), "convert": "USD"}
        path = "/v2/cryptocurrency/quotes/latest"
        body = await ask(self._http, path, params, self._patience)
        try:
            said = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError(MALFORMED, "answered something that is no price list") from error
        if said.status.error_code:
            raise UpstreamError(REFUSED, f"answered with error code {said.status.error_code}")
        found: dict[str, Quote] = {}
        for symbol, coins in said.data.items():
            asset = symbol.upper()
            for coin in coins:
                usd = coin.quote.get("USD")
                if asset not in assets or coin.slug != IDS.get(asset) or usd is None:
                    continue
                if usd.price is None or usd.last_updated is None:
                    continue
                try:
                    found[asset] = quote(usd.price, _microseconds(usd.last_updated), now)
                except NotPlausible:
                    continue
        if not found:
            raise UpstreamError(MALFORMED, "answered without one usable price")
        return found

    async def close(self) -> None:
        await self._http.aclose()


def _microseconds(at: datetime) -> int:
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return round(aware.timestamp() * SECOND)
