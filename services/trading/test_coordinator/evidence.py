"""Was the fault really there, and is it really over? One watcher for each kind of fault.

A watcher is made when the fault is asked for and remembers how things were before. It never
believes what a service says about its faults: it looks at prices, books, answers, settlements.
"""

from collections.abc import Callable
from typing import Any

from trading.messages import Message
from trading.messages.chaos import (
    Depeg,
    ExchangeOutage,
    FeedDisruption,
    MarketShock,
    NetworkPartition,
    ProbeResult,
    SettlementFailure,
)
from trading.messages.custody import SettlementFailed
from trading.messages.market import BookTop, PriceTick, SymbolStatusChanged
from trading.messages.orders import ExecutionReport, Trade
from trading.scenario.plan import PlannedFault
from trading.test_coordinator.malfunctions import StrategyWatcher
from trading.test_coordinator.view import View
from trading.test_coordinator.watcher import Watcher
from trading.topology import EXCHANGE
from trading.units import PPM, SECOND, format_duration, format_ppm, format_units

#: A price that has moved by this much (or by half of what the fault will do) is evidence.
PRICE_EVIDENCE = 5_000


class ShockWatcher(Watcher):
    """An index price has left the band around its price before, towards where the path leads."""

    fault: MarketShock

    def begin(self) -> None:
        change = max((p.value - PPM for p in self.fault.path), key=abs, default=0)
        self._sign = 1 if change > 0 else -1
        self._band = min(PRICE_EVIDENCE, abs(change) // 2)
        self._before = {a: self.view.feeds[a].price for a in self.fault.assets}

    def on(self, message: Message, now: int) -> None:
        if isinstance(message, PriceTick) and message.price is not None:
            before = self._before.get(message.asset)
            if before:
                moved = (message.price - before) * PPM // before
                if moved * self._sign > self._band:
                    self.seen(message.event_time, f"{message.asset} moved {format_ppm(moved)}")

    def problem(self, now: int) -> str:
        return self.first(self.view.feed_problem(a, now) for a in self.fault.assets)


class DepegWatcher(Watcher):
    """The stablecoin's price is off its price before: by the index, or in the venue's book."""

    fault: Depeg

    def begin(self) -> None:
        asset = self.fault.asset
        self._peg = self.view.universe.asset(asset).peg
        worst = max((abs(p.value - self._peg) for p in self.fault.path), default=0)
        self._band = min(PRICE_EVIDENCE, worst * PPM // self._peg // 2)
        self._symbol = next(
            (i.symbol for i in self.view.universe.instruments if i.base == asset), ""
        )

    def on(self, message: Message, now: int) -> None:
        if self.fault.scope == "market":
            if isinstance(message, PriceTick) and message.asset == self.fault.asset:
                self._look(message.price, message.event_time, "index")
        elif isinstance(message, BookTop) and message.symbol == self._symbol:
            self._look(self.view.mid(self._symbol), message.event_time, "book")

    def problem(self, now: int) -> str:
        asset = self.fault.asset
        venue = self.fault.scope == "venue"
        price = self.view.mid(self._symbol) if venue else self.view.feeds[asset].price
        if abs(price - self._peg) * PPM // self._peg > PRICE_EVIDENCE:
            return f"{asset} is at {format_units(price, decimals=4)}"
        return self.view.feed_problem(asset, now)

    def _look(self, price: int | None, event_time: int, where: str) -> None:
        if price and abs(price - self._peg) * PPM // self._peg > self._band:
            text = f"{self.fault.asset} at {format_units(price, decimals=4)} by the {where}"
            self.seen(event_time, text)


class OutageWatcher(Watcher):
    """The venue does not answer, answers late, leaves orders unexplained, or its book is thin."""

    fault: ExchangeOutage

    def begin(self) -> None:
        self._depth = {s: self.view.books[s].depth for s in self.fault.symbols}
        self._unexplained: dict[tuple[int, str], int] = {}
        self._late_at = 0
        self._look: Callable[[int], None] = {
            "partition": self._answers,
            "reset": self._answers,
            "unavailable": self._answers,
            "slow": self._round_trip,
            "unknown": self._trades_explained,
            "partial-ack": self._trades_explained,
        }.get(self.fault.mode, _no_look)

    def on(self, message: Message, now: int) -> None:
        mode = self.fault.mode
        if mode in ("unknown", "partial-ack"):
            self._match(message, now)
        elif mode == "slow" and isinstance(message, ExecutionReport):
            if now - message.event_time > self.view.beat:
                self._late_at = now
        elif mode == "liquidity" and isinstance(message, BookTop):
            before = self._depth.get(message.symbol, 0)
            depth = message.bid_depth + message.ask_depth
            if depth * 2 < before:
                text = f"depth of {message.symbol} fell to {format_ppm(depth * PPM // before)}"
                self.seen(message.event_time, text)
        elif (
            mode == "halt"
            and isinstance(message, SymbolStatusChanged)
            and message.symbol in self.fault.symbols
            and message.status != "TRADING"
        ):
            self.seen(message.event_time, f"{message.symbol} is in {message.status}")

    def beat(self, now: int) -> None:
        self._look(now)

    def problem(self, now: int) -> str:
        view = self.view
        if link := view.link_problem(EXCHANGE, now):
            return link
        if view.links[EXCHANGE].round_trip > view.beat:
            return "exchange answers late"
        if self._late_at and now - self._late_at < self.fault.delay:
            return "execution reports still come late"
        for symbol, before in self._depth.items():
            if view.books[symbol].depth_now * 2 < before:
                return f"depth of {symbol} is below half of what it was"
        return self.first(view.book_problem(s, now) for s in view.books)

    def _answers(self, now: int) -> None:
        since = self.view.links[EXCHANGE].unanswered_since
        if since >= self.since:
            self.seen(since, "exchange does not answer")

    def _round_trip(self, now: int) -> None:
        link = self.view.links[EXCHANGE]
        late = max(link.round_trip, now - link.unanswered_since if link.unanswered_since else 0)
        if late * 2 > self.fault.delay:
            self.seen(now - late, f"exchange answers {format_duration(late)} late")

    def _match(self, message: Message, now: int) -> None:
        """Every fill of the firm owes it an execution report."""
        if isinstance(message, Trade):
            for account in (message.buyer, message.seller):
                if account in self.view.orders:
                    self._unexplained.setdefault((message.trade_id, account), message.event_time)
        elif isinstance(message, ExecutionReport) and message.trade_id:
            self._unexplained.pop((message.trade_id, message.account), None)

    def _trades_explained(self, now: int) -> None:
        for (trade_id, account), at in self._unexplained.items():
            if now - at > 2 * SECOND:
                self.seen(at, f"{account} got no execution report for its trade {trade_id}")
                return


class SettlementWatcher(Watcher):
    """A settlement failed, or its intended date passed."""

    fault: SettlementFailure

    def on(self, message: Message, now: int) -> None:
        if isinstance(message, SettlementFailed) and message.asset in self.fault.assets:
            self.seen(message.event_time, f"{message.instruction_id} failed: {message.reason}")

    def beat(self, now: int) -> None:
        dates = [d for d in self.view.due.values() if self.since <= d < now - self.view.beat]
        if dates:
            self.seen(min(dates), f"{len(dates)} settlements are overdue")

    def problem(self, now: int) -> str:
        overdue = self.view.overdue(now)
        return f"{overdue} settlements are overdue" if overdue else ""


class FeedWatcher(Watcher):
    """Ticks of the assets are missing, late, or say something that cannot be."""

    fault: FeedDisruption

    def begin(self) -> None:
        self._before = {a: self.view.feeds[a].price for a in self.fault.assets}

    def on(self, message: Message, now: int) -> None:
        if not isinstance(message, PriceTick) or message.asset not in self._before:
            return
        asset = message.asset
        feed, mode = self.view.feeds[asset], self.fault.mode
        if mode == "latency":
            late = now - message.event_time
            if late * 2 > self.fault.delay:
                self.seen(message.event_time, f"{asset} came {format_duration(late)} late")
        elif mode == "stale":
            if feed.frozen >= 3:
                self.seen(message.event_time, f"{asset} has not changed for {feed.frozen} ticks")
        elif mode == "spike":
            before, price = self._before[asset], message.price or 0
            if before and abs(price - before) * PPM // before * 2 > abs(self.fault.magnitude_ppm):
                self.seen(message.event_time, f"{asset} jumped to {format_units(price)}")
            elif price > 0:
                self._before[asset] = price
        elif feed.faulty:
            self.seen(message.event_time, f"{asset}: {feed.faulty}")

    def beat(self, now: int) -> None:
        if self.fault.mode not in ("silence", "latency"):
            return
        for asset in self.fault.assets:
            at = self.view.feeds[asset].received_at
            if at and now - at > 2 * self.view.beat:
                self.seen(max(at, self.since), f"no price of {asset} comes")

    def problem(self, now: int) -> str:
        return self.first(self.view.feed_problem(a, now) for a in self.fault.assets)


class PartitionWatcher(Watcher):
    """A fresh and a held connection between each pair both fail. It is there since the held one was
    lost, which is what the services notice; that no other can be made is known a little later.
    """

    fault: NetworkPartition

    def begin(self) -> None:
        self.probes = self.fault.pairs
        self._failed: dict[tuple[str, str], bool] = {}
        self._whole: dict[tuple[str, str], bool] = {}
        self._lost_at: dict[tuple[str, str], int] = {}

    def on(self, message: Message, now: int) -> None:
        if not isinstance(message, ProbeResult):
            return
        pair = (message.source, message.target)
        if pair in self.fault.pairs:
            self._failed[pair] = not message.fresh_ok and not message.held_ok
            self._whole[pair] = message.fresh_ok and message.held_ok
            if not message.fresh_ok:
                self.cut_until = message.event_time
            if message.held_ok:
                self._lost_at.pop(pair, None)
            else:
                self._lost_at.setdefault(pair, message.event_time)
            if len(self._failed) == len(self.fault.pairs) and all(self._failed.values()):
                links = ", ".join(f"{a} - {b}" for a, b in self.fault.pairs)
                lost_at = max(self._lost_at.values())
                self.seen(lost_at, f"fresh and held connection fail: {links}")

    def problem(self, now: int) -> str:
        for (a, b), whole in self._whole.items():
            if not whole:
                return f"{a} does not reach {b}"
        return ""


_WATCHERS: dict[type, type[Watcher]] = {
    MarketShock: ShockWatcher,
    Depeg: DepegWatcher,
    ExchangeOutage: OutageWatcher,
    SettlementFailure: SettlementWatcher,
    FeedDisruption: FeedWatcher,
    NetworkPartition: PartitionWatcher,
}


def watcher(planned: PlannedFault, view: View, now: int) -> Watcher:
    """The watcher for a fault that is about to be asked for."""
    kind: type[Any] = _WATCHERS.get(type(planned.fault), StrategyWatcher)
    made: Watcher = kind(planned.fault, view, now)
    return made


def _no_look(now: int) -> None:
    """The messages alone are the evidence."""
