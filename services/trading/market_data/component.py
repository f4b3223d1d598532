"""The market data service as a component: publishes the index price of every asset.

A price is recorded or synthetic, multiplied by the shocks that are active, and published through a
feed that may be disrupted.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trading.market_data.feed import PriceFeed, check_disruption
from trading.market_data.replay import RecordedSeries
from trading.market_data.shocks import Shocks
from trading.market_data.synthetic import SyntheticPrices
from trading.messages import Message, Start, Wake
from trading.messages.chaos import (
    Depeg,
    FeedDisruption,
    MarketShock,
)
from trading.messages.market import AnchorObserved, Ping
from trading.runtime.component import answer_ping
from trading.runtime.faults import FaultBoard, fault_handlers
from trading.runtime.rng import random_stream
from trading.topology import MARKET_DATA
from trading.universe import Universe

#: Topic of the timer that publishes prices.
TICK_TOPIC = "tick"

#: Recorded series by asset: pairs of offset since the start (microseconds) and price (1e-8 USD).
Recorded = dict[str, tuple[tuple[int, int], ...]]


class MarketData:
    """Publishes a :class:`PriceTick` per asset at the start and then every ``tick`` microseconds.

    ``replay`` has recorded series by asset, see :class:`RecordedSeries`; assets without one get
    synthetic prices, which ``seed`` determines. Raises ValueError for a series that cannot be
    played, or of an asset that the universe does not have.

    :class:`AnchorObserved` ties the synthetic price of an asset to its price in the real market;
    the newest one holds, stale or not, until the next. Recorded series are not affected.

    The component plays :class:`MarketShock` and market-wide :class:`Depeg` on the true price, and
    :class:`FeedDisruption` on what is published of it.
    """

    name = MARKET_DATA

    def __init__(
        self, universe: Universe, seed: int, *, tick: int, replay: Recorded | None = None
    ) -> None:
        if tick <= 0:
            raise ValueError(f"tick must be positive, not {tick}")
        names = [a.name for a in universe.assets]
        for asset in replay or {}:
            if asset not in names:
                raise ValueError(f"recorded series of an unknown asset: {asset}")
        self._seed = seed
        self._tick = tick
        self._started_at = 0
        self._recorded = {a: RecordedSeries(a, points) for a, points in (replay or {}).items()}
        self._synthetic = SyntheticPrices(universe.assets, seed, tick)
        self._shocks = Shocks(universe)
        self._anchors: dict[str, AnchorObserved] = {}
        self._feeds = {name: PriceFeed(name) for name in names}
        self._faults = FaultBoard(
            self.name, (MarketShock, Depeg, FeedDisruption), self._begin_fault, self._end_fault
        )
        self._handlers: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            Start: self._on_start,
            Wake: self._on_wake,
            AnchorObserved: self._on_anchor,
            Ping: self._on_ping,
            **fault_handlers(self._faults.on),
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        """Handle one message at simulated time ``now``; return the messages to send."""
        handler = self._handlers.get(type(message))
        return handler(message, now) if handler is not None else ()

    def state(self) -> dict[str, Any]:
        """Return everything that decides future behaviour, as plain data to be compared."""
        return {
            "started_at": self._started_at,
            "synthetic": self._synthetic.state(),
            "anchors": {name: msgspec.to_builtins(a) for name, a in self._anchors.items()},
            "recorded": {name: series.state() for name, series in self._recorded.items()},
            "shocks": self._shocks.state(),
            "feeds": {name: feed.state() for name, feed in self._feeds.items()},
            "faults": self._faults.state(),
        }

    def _on_start(self, message: Start, now: int) -> list[Message]:
        self._started_at = now
        out = self._publish(now)
        out.append(Wake(now + self._tick, TICK_TOPIC))
        return out

    def _on_anchor(self, message: AnchorObserved, now: int) -> Sequence[Message]:
        if message.asset in self._feeds and message.price > 0:
            self._anchors[message.asset] = message
            self._synthetic.anchor(message.asset, float(message.price))
        return ()

    def _on_ping(self, message: Ping, now: int) -> Sequence[Message]:
        return [answer_ping(self.name, message, now)]

    def _on_wake(self, message: Wake, now: int) -> Sequence[Message]:
        if message.topic != TICK_TOPIC:
            return self._faults.on(message, now)
        self._synthetic.step(self._shocks.turbulence)
        out = self._publish(now)
        out.append(Wake(now + self._tick, TICK_TOPIC))
        return out

    def _publish(self, now: int) -> list[Message]:
        """Return the ticks of all assets; a price is at least 1e-8 USD."""
        out: list[Message] = []
        prices = self._synthetic.prices
        recorded = self._recorded
        shocks = self._shocks
        quiet = shocks.quiet
        for name, feed in self._feeds.items():
            series = recorded.get(name) if recorded else None
            price: float = prices[name] if series is None else series.at(now - self._started_at)
            if not quiet:
                price *= shocks.factor(name, now)
            feed.publish(max(round(price), 1), now, out)
        return out

    def _begin_fault(self, fault_id: str, fault: Any, now: int) -> list[Message]:
        if isinstance(fault, MarketShock):
            self._shocks.start_shock(fault_id, fault, now)
        elif isinstance(fault, Depeg):
            self._shocks.start_depeg(fault_id, fault, now)
        else:
            check_disruption(fault)
            for name in fault.assets:
                if name not in self._feeds:
                    raise ValueError(f"UNKNOWN_ASSET asset={name}")
            for name in fault.assets:
                rng = random_stream(self._seed, f"market-data/feed/{fault_id}/{name}")
                self._feeds[name].start(fault_id, fault, rng)
        return []

    def _end_fault(self, fault_id: str, fault: Any, now: int) -> list[Message]:
        if isinstance(fault, MarketShock):
            self._shocks.end_shock(fault_id, fault, now)
        elif isinstance(fault, Depeg):
            self._shocks.end_depeg(fault_id, fault, now)
        else:
            names = dict.fromkeys(fault.assets)
            return [tick for name in names for tick in self._feeds[name].end(fault_id)]
        return []
