"""The market follows real prices: between runs, what the sources say goes to the component."""

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
from trading.upstream.assets import IDS

if TYPE_CHECKING:
    from trading.upstream.poller import Poller


#: Wall seconds that a start waits for real prices to open with.
OPENING_PATIENCE = 1.5


def make_poller(settings: Settings) -> "Poller | None":
    """As the settings say; None where they do not want real prices."""
    if not settings.enable_real_market_data:
        return None
    # Clients of HTTP and Redis take a while to import, and most do not want them.
    from trading.upstream.cache import AnchorCache
    from trading.upstream.coingecko import CoinGecko
    from trading.upstream.coinmarketcap import CoinMarketCap
    from trading.upstream.http import Source
    from trading.upstream.poller import Poller

    key = settings.coingecko_api_key
    given = key.get_secret_value() if key is not None else ""
    sources: list[Source] = [CoinGecko(settings.coingecko_url, given)]
    key = settings.coinmarketcap_api_key
    if key is not None:
        sources.append(CoinMarketCap(settings.coinmarketcap_url, key.get_secret_value()))
    url = settings.redis_url
    cache = AnchorCache(url.get_secret_value()) if url is not None else None
    assets = [a.name for a in default_universe().assets if a.name in IDS]
    return Poller(sources, assets, settings.anchor_seconds, cache)


class Live:
    """Between the poller and the host. A scenario brings its own prices: while its session is on,
    anchors are kept and not sent.
    """

    def __init__(self, host: Host, poller: "Poller") -> None:
        self.poller = poller
        self._host = host
        host.on_session(self._tell_all)

    @property
    def following(self) -> bool:
        """Are the prices of now tied to the anchors?"""
        return self._host.ready != "starting" and not self._host.session.run_id

    def start(self) -> None:
        others = self._host.dependencies
        self._host.dependencies = lambda: {**others(), **self._problems()}
        self._tell_all()
        self.poller.start(self._tell)

    async def stop(self) -> None:
        await self.poller.stop()

    def describe(self, asset: str) -> dict[str, Any] | None:
        """The anchor of an asset; None while there is none."""
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
        """They keep the service from nothing: it goes on from the last good prices."""
        poller = self.poller
        found = {source: f"stale: {why}" for source, why in poller.problems.items()}
        if poller.stale:
            found["real-prices"] = "stale: " + ", ".join(poller.stale)
        elif not poller.anchors:
            found["real-prices"] = "none yet: prices are synthetic"
        else:
            found["real-prices"] = ""
        if poller.cached:
            found["redis"] = poller.cache_problem
        return found

    def _tell_all(self) -> None:
        self._tell(list(self.poller.anchors.values()))

    def _tell(self, anchors: Sequence[PriceAnchor]) -> None:
        if not self.following:
            return
        for a in anchors:
            message = AnchorObserved(a.asset, a.price, a.source, a.event_time, a.stale)
            self._host.send(MARKET_DATA, message)


def age(anchor: PriceAnchor) -> float:
    """Seconds since somebody confirmed it."""
    return max(time.time() - anchor.observed_at / SECOND, 0.0)


class LiveMetrics(Collector):
    """Named ``market_data_*``."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> list[Metric]:
        poller = self._live.poller
        anchors = poller.anchors.values()
        made: list[Metric] = [
            gauges(
                "market_data_anchor_age_seconds", [((a.asset, a.source), age(a)) for a in anchors]
            ),
            gauges("market_data_anchor_stale", [((a.asset,), float(a.stale)) for a in anchors]),
            counters("market_data_upstream_requests", list(poller.requests.items())),
        ]
        if poller.cached:
            made.append(gauge("market_data_price_cache_up", 0.0 if poller.cache_problem else 1.0))
        return made
