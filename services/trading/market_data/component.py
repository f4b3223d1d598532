"""The market data service: index prices of every asset, one tick each per interval."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trading.market_data.feed import Feed, check
from trading.market_data.replay import RecordedSeries
from trading.market_data.shocks import Shocks
from trading.market_data.synthetic import SyntheticPrices
from trading.messages import Message, Start, Wake
from trading.messages.chaos import (
    Depeg,
    FeedDisruption,
    InjectFault,
    MarketShock,
    RecoverFault,
    RenewFault,
)
from trading.messages.market import AnchorObserved, Ping
from trading.runtime.component import answer_ping
from trading.runtime.faults import FaultBoard
from trading.runtime.rng import stream
from trading.topology import MARKET_DATA
from trading.universe import Universe

TICK_TOPIC = "tick"

Recorded = dict[str, tuple[tuple[int, int], ...]]


class MarketData:
    """Publishes a :class:`PriceTick` per asset at the start and then every ``tick`` microseconds.

    ``replay``: recorded series by asset, ``((offset since the start, price), ...)``; see
    :class:`RecordedSeries`. Assets without one are synthetic. ValueError for a series that cannot
    be played, or of an asset that the universe does not have.

    :class:`AnchorObserved` ties an asset's synthetic price to what it costs outside; the newest one
    holds, stale or not, until the next. A recorded series is not tied to anything.

    Plays :class:`MarketShock` and market-wide :class:`Depeg` on the true price, then
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
        self._feeds = {name: Feed(name) for name in names}
        self._faults = FaultBoard(
            self.name, (MarketShock, Depeg, FeedDisruption), self._begin, self._end
        )
        faults = self._faults.on
        self._handlers: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            Start: self._on_start,
            Wake: self._on_wake,
            AnchorObserved: self._on_anchor,
            Ping: self._on_ping,
            InjectFault: faults,
            RenewFault: faults,
            RecoverFault: faults,
        }

    def on(self, message: Message, now: int) -> Sequence[Message]:
        handler = self._handlers.get(type(message))
        return handler(message, now) if handler is not None else ()

    def state(self) -> dict[str, Any]:
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
        out: list[Message] = []
        prices = self._synthetic.prices
        recorded = self._recorded
        shocks = self._shocks
        quiet = shocks.quiet
        for name, feed in self._feeds.items():
            series = recorded.get(name) if recorded else None
            true: float = prices[name] if series is None else series.at(now - self._started_at)
            if not quiet:
                true *= shocks.factor(name, now)
            feed.publish(max(round(true), 1), now, out)
        return out

    def _begin(self, fault_id: str, fault: Any, now: int) -> list[Message]:
        if isinstance(fault, MarketShock):
            self._shocks.start_shock(fault_id, fault, now)
        elif isinstance(fault, Depeg):
            self._shocks.start_depeg(fault_id, fault, now)
        else:
            check(fault)
            for name in fault.assets:
                if name not in self._feeds:
                    raise ValueError(f"UNKNOWN_ASSET asset={name}")
            for name in fault.assets:
                rng = stream(self._seed, f"market-data/feed/{fault_id}/{name}")
                self._feeds[name].start(fault_id, fault, rng)
        return []

    def _end(self, fault_id: str, fault: Any, now: int) -> list[Message]:
        if isinstance(fault, MarketShock):
            self._shocks.end_shock(fault_id, fault, now)
        elif isinstance(fault, Depeg):
            self._shocks.end_depeg(fault_id, fault, now)
        else:
            names = dict.fromkeys(fault.assets)
            return [tick for name in names for tick in self._feeds[name].end(fault_id)]
        return []
