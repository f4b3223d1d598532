"""Builds the market data service's app: prices as CoinGecko gives them, and a feed of ticks that a
client can resume. PUBLISHED and PROJECTIONS tell the host which messages to publish and which read
models to maintain for this app.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Header, HTTPException, Query
from fastapi.responses import StreamingResponse

from trading.api.market_data.hub import TICKS, Subscriber, TickHub, TooManySubscribers, tick_json
from trading.api.market_data.live import LivePriceMetrics, LivePrices
from trading.api.market_data.ticks import Ticks
from trading.hosting.app import create_app
from trading.hosting.service_app import AppContext, ServiceApp
from trading.hosting.session import Session
from trading.messages.market import PriceTick
from trading.units import SCALE
from trading.upstream.assets import ASSETS_BY_ID

if TYPE_CHECKING:
    from trading.upstream.poller import Poller

PUBLISHED = (PriceTick,)
#: Most ticks in one answer.
_PAGE = 1000


def ticks(session: Session) -> Ticks:
    """Return empty ticks; the host feeds them with the messages of `session`."""
    return Ticks()


PROJECTIONS = {TICKS: ticks}


def market_data_app(context: AppContext, poller: "Poller | None" = None) -> ServiceApp:
    """Return the market data service's app. `poller` fetches real prices as long as the
    app runs; without one the prices are synthetic.
    """
    host = context.host
    app = create_app(
        context,
        title="Market data",
        description="Index prices of every asset in USD.",
    )

    hub = TickHub(host)
    context.on_shutdown(hub.close)
    live = LivePrices(host, poller) if poller is not None else None
    if live is not None:
        context.registry.register(LivePriceMetrics(live))
        app.router.lifespan_context = _lifespan(live)

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
        prices: dict[str, dict[str, float | int]] = {}
        currencies = {c.strip().lower() for c in vs_currencies.split(",")}
        for name in ids.split(","):
            asset = ASSETS_BY_ID.get(name.strip().lower())
            tick = hub.ticks.last(asset, hub.published_seq, good=True) if asset else None
            if tick is None or tick.price is None:
                continue
            entry = prices[name.strip().lower()] = {}
            if "usd" in currencies:
                entry["usd"] = tick.price / SCALE
            if include_last_updated_at:
                entry["last_updated_at"] = tick.event_time // 1_000_000
        return prices

    @app.get("/api/v1/assets", tags=["feed"], summary="What there are prices of")
    async def assets() -> list[dict[str, Any]]:
        """`anchor`: the real price that the asset follows, and how old it is; null where it follows
        none. A stale one could not be confirmed by any source; it holds until one can.
        """
        rows = []
        for asset in host.session.plan.universe.assets:
            last = hub.ticks.last(asset.name, hub.published_seq)
            rows.append(
                {
                    "asset": asset.name,
                    "stable": asset.stable,
                    "last": tick_json(last) if last is not None else None,
                    "anchor": live.describe(asset.name) if live is not None else None,
                }
            )
        return rows

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
        return [tick_json(tick) for tick in hub.ticks.after(asset, after, limit, hub.published_seq)]

    @app.get(
        "/api/v1/stream",
        tags=["feed"],
        summary="Server-sent events: every tick, in the order of publication",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}},
            503: {"description": "Too many follow it."},
        },
    )
    async def stream(
        last_event_id: Annotated[
            str, Header(max_length=64, description="Go on after this event.")
        ] = "",
    ) -> StreamingResponse:
        """`seq` counts by asset, without gaps unless the feed is disrupted; a tick can come after
        its successor, and its price can be null. `event: session` says that another session begins,
        where `seq` begins again; `event: gap` how many ticks since Last-Event-ID are not kept any
        more. Who falls too far behind is disconnected, and can go on with its Last-Event-ID.
        """
        try:
            subscriber = hub.join(last_event_id)
        except TooManySubscribers as error:
            raise HTTPException(503, "too many follow the stream; try again later") from error
        headers = {"Cache-Control": "no-store"}
        events = _events(hub, subscriber)
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    return app


def _lifespan(live: LivePrices) -> Any:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        live.start()
        try:
            yield
        finally:
            await live.stop()

    return lifespan


async def _events(hub: TickHub, subscriber: Subscriber) -> AsyncIterator[bytes]:
    try:
        async for chunk in subscriber.events():
            yield chunk
    finally:
        hub.leave(subscriber)
