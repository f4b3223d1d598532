"""CoinGecko: ``/api/v3/simple/price``. Answers without a key; with one, more often."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from trading.units import SECOND
from trading.upstream.anchors import NotPlausible, Quote, quote
from trading.upstream.assets import IDS
from trading.upstream.http import MALFORMED, PATIENCE, UpstreamError, ask, client

_PRO = "pro-api."


class _Price(msgspec.Struct):
    usd: float | None = None
    last_updated_at: int | None = None


_decode = msgspec.json.Decoder(dict[str, _Price]).decode


class CoinGecko:
    """``url``: of the API's host; a key for ``pro-api`` is a pro key, any other a demo key."""

    name = "coingecko"

    def __init__(self, url: str, key: str = "", *, patience: float = PATIENCE) -> None:
        pro = (urlsplit(url).hostname or "").startswith(_PRO)
        header = "x-cg-pro-api-key" if pro else "x-cg-demo-api-key"
        self._patience = patience
        self._http = client(url, {header: key} if key else {}, patience)

    async def quotes(self, assets: Sequence[str], now: int) -> dict[str, Quote]:
        known = {IDS[a]: a for a in assets if a in IDS}
        params = {
            "ids": ",".join(known),
            "vs_currencies": "usd",
            "include_last_updated_at": "true",
            "precision": "full",
        }
        body = await ask(self._http, "/api/v3/simple/price", params, self._patience)
        try:
            said = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError(MALFORMED, "answered something that is no price list") from error
        found: dict[str, Quote] = {}
        for name, asset in known.items():
            price = said.get(name)
            if price is None or price.usd is None or price.last_updated_at is None:
                continue
            try:
                found[asset] = quote(price.usd, price.last_updated_at * SECOND, now)
            except NotPlausible:
                continue
        if not found:
            raise UpstreamError(MALFORMED, "answered without one usable price")
        return found

    async def close(self) -> None:
        await self._http.aclose()
