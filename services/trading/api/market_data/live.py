"""Makes the market follow real prices: between runs, the prices that the poller fetches are sent to
the market data component as anchors.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from trading.hosting.host import Host
from trading.hosting.settings import Settings
from trading.messages.market import AnchorObserved
from trading.telemetry.families import counters, gauge, gauges
from trading.topology import MARKET_DATA
from trading.units import SECOND, format_units
from trading.universe import default_universe
from trading.upstream.anchors import PriceAnchor
from trading.upstream.assets import IDS_BY_ASSET

if TYPE_CHECKING:
    from trading.upstream.poller import Poller


#: Longest time that a start waits for real prices to open with, wall seconds.
OPENING_PRICE_TIMEOUT = 1.5


def make_poller(settings: Settings) -> "Poller | None":
    """Return the poller that `settings` describe; None if real prices are switched off."""
    if not settings.enable_real_market_data:
        return None
    # Imported here since the HTTP and Redis clients are slow to import and rarely needed.
    from trading.upstream.cache import AnchorCache
    from trading.upstream.coingecko import CoinGecko
    from trading.upstream.coinmarketcap import CoinMarketCap
    from trading.upstream.http import Source
    from trading.upstream.poller import Poller

    key = settings.coingecko_api_key
    api_key = key.get_secret_value() if key is not None else ""
    sources: list[Source] = [CoinGecko(settings.coingecko_url, api_key)]
    key = settings.coinmarketcap_api_key
    if key is not None:
        sources.append(CoinMarketCap(settings.coinmarketcap_url, key.get_secret_value()))
    url = settings.redis_url
    cache = AnchorCache(url.get_secret_value()) if url is not None else None
    assets = [a.name for a in default_universe().assets if a.name in IDS_BY_ASSET]
    return Poller(sources, assets, settings.anchor_seconds, cache)


class LivePrices:
    """Forwards the poller's prices to the component on `host`. A scenario brings its own prices:
    during its session prices are fetched, but not forwarded.
    """

    def __init__(self, host: Host, poller: "Poller") -> None:
        self.poller = poller
        self._host = host
        host.on_session(self._forward_all)

    @property
    def following(self) -> bool:
        """Whether the market follows real prices at present."""
        return self._host.ready != "starting" and not self._host.session.run_id

    def start(self) -> None:
        """Start the poller, and report its problems among the host's dependencies."""
        self._host.add_dependencies(self._problems)
        self._forward_all()
        self.poller.start(self._forward)

    async def stop(self) -> None:
        """Stop the poller."""
        await self.poller.stop()

    def describe(self, asset: str) -> dict[str, Any] | None:
        """Return the anchor of an asset as the API shows it; None if there is none."""
        anchor = self.poller.anchors.get(asset)
        if anchor is None:
            return None
        return {
            "price": format_units(anchor.price),
            "source": anchor.source,
            "event_time": anchor.event_time,
            "age_seconds": round(age(anchor), 1),
            "stale": anchor.stale,
            "followed": self.following,
        }

    def _problems(self) -> Mapping[str, str]:
        """Return problem by dependency, empty where there is none. None of them makes the service
        unavailable: it goes on from the last good prices.
        """
        poller = self.poller
        problems = {source: f"stale: {why}" for source, why in poller.problems.items()}
        if poller.stale:
            problems["real-prices"] = "stale: " + ", ".join(poller.stale)
        elif not poller.anchors:
            problems["real-prices"] = "none yet: prices are synthetic"
        else:
            problems["real-prices"] = ""
        if poller.has_cache:
            problems["redis"] = poller.cache_problem
        return problems

    def _forward_all(self) -> None:
        self._forward(list(self.poller.anchors.values()))

    def _forward(self, anchors: Sequence[PriceAnchor]) -> None:
        if not self.following:
            return
        for a in anchors:
            message = AnchorObserved(a.asset, a.price, a.source, a.event_time, a.stale)
            self._host.send(MARKET_DATA, message)


def age(anchor: PriceAnchor) -> float:
    """Return the wall seconds since a source last confirmed the anchor."""
    return max(time.time() - anchor.observed_at / SECOND, 0.0)


class LivePriceMetrics(Collector):
    """Computes the metrics of real prices, `market_data_*`, when Prometheus collects them."""

    def __init__(self, live: LivePrices) -> None:
        self._live = live

    def collect(self) -> list[Metric]:
        """Return the age and state of every anchor, the requests to sources, and the state of the
        cache if there is one.
        """
        poller = self._live.poller
        anchors = poller.anchors.values()
        metrics: list[Metric] = [
            gauges(
                "market_data_anchor_age_seconds", [((a.asset, a.source), age(a)) for a in anchors]
            ),
            gauges("market_data_anchor_stale", [((a.asset,), float(a.stale)) for a in anchors]),
            counters("market_data_upstream_requests", list(poller.requests.items())),
        ]
        if poller.has_cache:
            metrics.append(
                gauge("market_data_price_cache_up", 0.0 if poller.cache_problem else 1.0)
            )
        return metrics
