"""Index prices: as CoinGecko gives them, and as a feed that can be gone on with."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import StreamingResponse

from trading.api.market_data.ticks import Ticks
from trading.hosting.app import create_app
from trading.hosting.host import Host
from trading.hosting.session import Session
from trading.messages.market import PriceTick
from trading.topology import MARKET_DATA
from trading.units import SCALE, format_units

TICKS = "market-data/ticks"
#: CoinGecko's id -> asset.
COINGECKO_IDS = {
    "bitcoin": "BTC",
    "ethereum": "ETH",
    "solana": "SOL",
    "tether": "USDT",
    "usd-coin": "USDC",
    "ethena-usde": "USDE",
}
EVERY = 0.05
_PAGE = 1000


def ticks(session: Session) -> Ticks:
    return Ticks()


PROJECTIONS = {TICKS: ticks}


def market_data_app(host: Host) -> FastAPI:
    app = create_app(
        MARKET_DATA,
        host,
        title="Market data",
        description="Index prices of every asset in USD.",
    )

    def current() -> Ticks:
        found: Ticks = host.projection(TICKS)
        return found

    @app.get(
        "/api/v3/simple/price",
        tags=["prices"],
        summary="As CoinGecko: price by id and currency; unknown ids are left out",
    )
    async def simple_price(
        ids: Annotated[str, Query(max_length=2000, examples=["bitcoin,ethereum"])],
        vs_currencies: Annotated[str, Query(max_length=200, examples=["usd"])] = "usd",
        include_last_updated_at: bool = False,
    ) -> dict[str, dict[str, float | int]]:
        found: dict[str, dict[str, float | int]] = {}
        wanted = {c.strip().lower() for c in vs_currencies.split(",")}
        for name in ids.split(","):
            asset = COINGECKO_IDS.get(name.strip().lower())
            tick = _last_good(current(), asset) if asset else None
            if tick is None or tick.price is None:
                continue
            entry = found[name.strip().lower()] = {}
            if "usd" in wanted:
                entry["usd"] = tick.price / SCALE
            if include_last_updated_at:
                entry["last_updated_at"] = tick.event_time // 1_000_000
        return found

    @app.get("/api/v1/assets", tags=["feed"], summary="What there are prices of")
    async def assets() -> list[dict[str, Any]]:
        universe = host.session.plan.universe
        return [
            {"asset": a.name, "stable": a.stable, "last": _built(_last(current(), a.name))}
            for a in universe.assets
        ]

    @app.get(
        "/api/v1/ticks",
        tags=["feed"],
        summary="Ticks after a sequence number: fills a gap in the stream",
    )
    async def missed(
        asset: Annotated[str, Query(max_length=20, examples=["BTC"])],
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        limit: Annotated[int, Query(ge=1, le=_PAGE)] = _PAGE,
    ) -> list[dict[str, Any]]:
        if asset not in {a.name for a in host.session.plan.universe.assets}:
            raise HTTPException(404, f"no asset {asset}; GET /api/v1/assets lists them")
        return [built for t in current().after(asset, after, limit) if (built := _built(t))]

    @app.get(
        "/api/v1/stream",
        tags=["feed"],
        summary="Server-sent events: every tick; seq counts by asset without gaps",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def stream() -> StreamingResponse:
        return StreamingResponse(_stream(app, host), media_type="text/event-stream")

    return app


async def _stream(app: FastAPI, host: Host) -> AsyncIterator[str]:
    stopping: asyncio.Event = app.state.stopping
    told: dict[str, int] = {}
    session = -1
    while not stopping.is_set():
        found: Ticks = host.projection(TICKS)
        if host.live.number != session:
            session = host.live.number
            told = {name: kept[-1].seq for name, kept in found.by_asset.items() if kept}
        for name in list(found.by_asset):
            for tick in found.after(name, told.get(name, 0), _PAGE):
                told[name] = tick.seq
                yield f"data: {json.dumps(_built(tick))}\n\n"
        try:
            await asyncio.wait_for(stopping.wait(), EVERY)
        except TimeoutError:
            continue


def _last(found: Ticks, asset: str) -> PriceTick | None:
    kept = found.by_asset.get(asset)
    return kept[-1] if kept else None


def _last_good(found: Ticks, asset: str) -> PriceTick | None:
    kept = found.by_asset.get(asset, ())
    return next((t for t in reversed(kept) if t.price is not None), None)


def _built(tick: PriceTick | None) -> dict[str, Any] | None:
    if tick is None:
        return None
    price = format_units(tick.price) if tick.price is not None else None
    return {"asset": tick.asset, "price": price, "seq": tick.seq, "event_time": tick.event_time}
