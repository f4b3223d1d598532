"""Verify that a fault took effect, and that its effect is over: one watcher for each kind.

A watcher is created when the fault is requested, and remembers the state before the fault. It does
not rely on what a service reports about its faults: the evidence is in prices, books, pings,
execution reports and settlements.
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
from trading.messages.market import BookTop, PriceTick, SymbolStatus, SymbolStatusChanged
from trading.messages.orders import ExecutionReport, Trade
from trading.scenario.plan import PlannedFault
from trading.test_coordinator.malfunctions import StrategyWatcher
from trading.test_coordinator.view import DataPlaneView
from trading.test_coordinator.watcher import Watcher
from trading.topology import EXCHANGE
from trading.units import PPM, SECOND, format_duration, format_ppm, format_units

#: A price move of this many ppm is evidence; of a smaller fault, half of its intended move is.
PRICE_EVIDENCE_PPM = 5_000


class ShockWatcher(Watcher):
    """Verifies a market shock: an index price must leave the band around its price before the
    fault, in the direction of the fault's price path.
    """

    fault: MarketShock

    def begin(self) -> None:
        """Remember the prices of the assets, and how far and in which direction they must move."""
        largest_change = max((p.value - PPM for p in self.fault.path), key=abs, default=0)
        self._sign = 1 if largest_change > 0 else -1
        self._band = min(PRICE_EVIDENCE_PPM, abs(largest_change) // 2)
        self._before = {a: self.view.feeds[a].price for a in self.fault.assets}

    def on(self, message: Message, now: int) -> None:
        """Take a price outside the band as evidence."""
        if isinstance(message, PriceTick) and message.price is not None:
            before = self._before.get(message.asset)
            if before:
                moved = (message.price - before) * PPM // before
                if moved * self._sign > self._band:
                    self.record_evidence(
                        message.event_time, f"{message.asset} moved {format_ppm(moved)}"
                    )

    def problem(self, now: int) -> str:
        """Describe the first unhealthy feed of the assets; the price itself need not return."""
        return self.first(self.view.feed_problem(a, now) for a in self.fault.assets)


class DepegWatcher(Watcher):
    """Verifies a depeg: the stablecoin's price must leave the band around its peg, by the index or
    by the mid price of the exchange's book, depending on the scope of the fault.
    """

    fault: Depeg

    def begin(self) -> None:
        """Remember the peg, how far the price must leave it, and the symbol of the stablecoin."""
        asset = self.fault.asset
        self._peg = self.view.universe.asset(asset).peg
        largest_deviation = max((abs(p.value - self._peg) for p in self.fault.path), default=0)
        self._band = min(PRICE_EVIDENCE_PPM, largest_deviation * PPM // self._peg // 2)
        self._symbol = next(
            (i.symbol for i in self.view.universe.instruments if i.base == asset), ""
        )

    def on(self, message: Message, now: int) -> None:
        """Take a price outside the band, in the scope of the fault, as evidence."""
        if self.fault.scope == "market":
            if isinstance(message, PriceTick) and message.asset == self.fault.asset:
                self._compare_to_peg(message.price, message.event_time, "index")
        elif isinstance(message, BookTop) and message.symbol == self._symbol:
            self._compare_to_peg(self.view.mid(self._symbol), message.event_time, "book")

    def problem(self, now: int) -> str:
        """Describe that the price is still off its peg, or that its feed is unhealthy."""
        asset = self.fault.asset
        venue = self.fault.scope == "venue"
        price = self.view.mid(self._symbol) if venue else self.view.feeds[asset].price
        if abs(price - self._peg) * PPM // self._peg > PRICE_EVIDENCE_PPM:
            return f"{asset} is at {format_units(price, decimals=4)}"
        return self.view.feed_problem(asset, now)

    def _compare_to_peg(self, price: int | None, event_time: int, source: str) -> None:
        if price and abs(price - self._peg) * PPM // self._peg > self._band:
            text = f"{self.fault.asset} at {format_units(price, decimals=4)} by the {source}"
            self.record_evidence(event_time, text)


class OutageWatcher(Watcher):
    """Verifies an exchange outage. Depending on the mode of the fault, the exchange must leave
    pings unanswered, answer late, omit the execution report of a trade, halt a symbol, or lose
    depth in its books.
    """

    fault: ExchangeOutage

    def begin(self) -> None:
        """Remember the depth of the books, and select the check that belongs to the mode."""
        self._depth = {s: self.view.books[s].depth for s in self.fault.symbols}
        self._unreported_trades: dict[tuple[int, str], int] = {}
        self._late_report_at = 0
        self._check_mode: Callable[[int], None] = {
            "partition": self._check_answers,
            "reset": self._check_answers,
            "unavailable": self._check_answers,
            "slow": self._check_round_trip,
            "unknown": self._check_reports,
            "partial-ack": self._check_reports,
        }.get(self.fault.mode, _check_nothing)

    def on(self, message: Message, now: int) -> None:
        """Take a thin book, a halted symbol or, by way of the checks, a report as evidence."""
        mode = self.fault.mode
        if mode in ("unknown", "partial-ack"):
            self._match_reports(message, now)
        elif mode == "slow" and isinstance(message, ExecutionReport):
            if now - message.event_time > self.view.beat:
                self._late_report_at = now
        elif mode == "liquidity" and isinstance(message, BookTop):
            before = self._depth.get(message.symbol, 0)
            depth = message.bid_depth + message.ask_depth
            if depth * 2 < before:
                text = f"depth of {message.symbol} fell to {format_ppm(depth * PPM // before)}"
                self.record_evidence(message.event_time, text)
        elif (
            mode == "halt"
            and isinstance(message, SymbolStatusChanged)
            and message.symbol in self.fault.symbols
            and message.status is not SymbolStatus.TRADING
        ):
            self.record_evidence(message.event_time, f"{message.symbol} is in {message.status}")

    def beat(self, now: int) -> None:
        """Run the check of the mode."""
        self._check_mode(now)

    def problem(self, now: int) -> str:
        """Describe that the exchange is late, its reports are late, or its books are unhealthy."""
        view = self.view
        if problem := view.link_problem(EXCHANGE, now):
            return problem
        if view.links[EXCHANGE].round_trip > view.beat:
            return "exchange answers late"
        if self._late_report_at and now - self._late_report_at < self.fault.delay:
            return "execution reports still come late"
        for symbol, before in self._depth.items():
            if view.books[symbol].depth_now * 2 < before:
                return f"depth of {symbol} is below half of what it was"
        return self.first(view.book_problem(s, now) for s in view.books)

    def _check_answers(self, now: int) -> None:
        since = self.view.links[EXCHANGE].unanswered_since
        if since >= self.since:
            self.record_evidence(since, "exchange does not answer")

    def _check_round_trip(self, now: int) -> None:
        link = self.view.links[EXCHANGE]
        late = max(link.round_trip, now - link.unanswered_since if link.unanswered_since else 0)
        if late * 2 > self.fault.delay:
            self.record_evidence(now - late, f"exchange answers {format_duration(late)} late")

    def _match_reports(self, message: Message, now: int) -> None:
        """Pair each trade of a firm account with its execution report."""
        if isinstance(message, Trade):
            for account in (message.buyer, message.seller):
                if account in self.view.orders:
                    self._unreported_trades.setdefault(
                        (message.trade_id, account), message.event_time
                    )
        elif isinstance(message, ExecutionReport) and message.trade_id:
            self._unreported_trades.pop((message.trade_id, message.account), None)

    def _check_reports(self, now: int) -> None:
        for (trade_id, account), at in self._unreported_trades.items():
            if now - at > 2 * SECOND:
                self.record_evidence(
                    at, f"{account} got no execution report for its trade {trade_id}"
                )
                return


class SettlementWatcher(Watcher):
    """Verifies a settlement failure: an instruction must fail, or pass its settlement date."""

    fault: SettlementFailure

    def on(self, message: Message, now: int) -> None:
        """Take a failed settlement of one of the assets as evidence."""
        if isinstance(message, SettlementFailed) and message.asset in self.fault.assets:
            self.record_evidence(
                message.event_time, f"{message.instruction_id} failed: {message.reason}"
            )

    def beat(self, now: int) -> None:
        """Take settlements that were due after the request, and are overdue, as evidence."""
        dates = [d for d in self.view.due.values() if self.since <= d < now - self.view.beat]
        if dates:
            self.record_evidence(min(dates), f"{len(dates)} settlements are overdue")

    def problem(self, now: int) -> str:
        """Describe how many settlements are overdue."""
        overdue = self.view.overdue(now)
        return f"{overdue} settlements are overdue" if overdue else ""


class FeedWatcher(Watcher):
    """Verifies a feed disruption: ticks of the assets must be missing, late, frozen or invalid."""

    fault: FeedDisruption

    def begin(self) -> None:
        """Remember the prices of the assets."""
        self._before = {a: self.view.feeds[a].price for a in self.fault.assets}

    def on(self, message: Message, now: int) -> None:
        """Take a late, frozen, distant or invalid tick, depending on the mode, as evidence."""
        if not isinstance(message, PriceTick) or message.asset not in self._before:
            return
        asset = message.asset
        feed, mode = self.view.feeds[asset], self.fault.mode
        if mode == "latency":
            late = now - message.event_time
            if late * 2 > self.fault.delay:
                self.record_evidence(
                    message.event_time, f"{asset} came {format_duration(late)} late"
                )
        elif mode == "stale":
            if feed.frozen >= 3:
                self.record_evidence(
                    message.event_time, f"{asset} has not changed for {feed.frozen} ticks"
                )
        elif mode == "spike":
            before, price = self._before[asset], message.price or 0
            if before and abs(price - before) * PPM // before * 2 > abs(self.fault.magnitude_ppm):
                self.record_evidence(message.event_time, f"{asset} jumped to {format_units(price)}")
            elif price > 0:
                self._before[asset] = price
        elif feed.faulty:
            self.record_evidence(message.event_time, f"{asset}: {feed.faulty}")

    def beat(self, now: int) -> None:
        """Take missing ticks as evidence, in the modes in which ticks are missing."""
        if self.fault.mode not in ("silence", "latency"):
            return
        for asset in self.fault.assets:
            at = self.view.feeds[asset].received_at
            if at and now - at > 2 * self.view.beat:
                self.record_evidence(max(at, self.since), f"no price of {asset} comes")

    def problem(self, now: int) -> str:
        """Describe the first unhealthy feed of the assets."""
        return self.first(self.view.feed_problem(a, now) for a in self.fault.assets)


class PartitionWatcher(Watcher):
    """Verifies a network partition: between each pair, both the established connection and an
    attempt to open a new one must fail.

    The partition counts from the loss of the last established connection, because that is what the
    services notice; the failed attempt that confirms it comes a little later.
    """

    fault: NetworkPartition

    def begin(self) -> None:
        """Select the connections to probe."""
        self.probes = self.fault.pairs
        self._disconnected: dict[tuple[str, str], bool] = {}
        self._connected: dict[tuple[str, str], bool] = {}
        self._lost_at: dict[tuple[str, str], int] = {}

    def on(self, message: Message, now: int) -> None:
        """Take failed probes of every pair as evidence, from the last lost connection on."""
        if not isinstance(message, ProbeResult):
            return
        pair = (message.source, message.target)
        if pair in self.fault.pairs:
            self._disconnected[pair] = not message.fresh_ok and not message.held_ok
            self._connected[pair] = message.fresh_ok and message.held_ok
            if not message.fresh_ok:
                self.cut_until = message.event_time
            if message.held_ok:
                self._lost_at.pop(pair, None)
            else:
                self._lost_at.setdefault(pair, message.event_time)
            if len(self._disconnected) == len(self.fault.pairs) and all(
                self._disconnected.values()
            ):
                links = ", ".join(f"{a} - {b}" for a, b in self.fault.pairs)
                lost_at = max(self._lost_at.values())
                self.record_evidence(lost_at, f"fresh and held connection fail: {links}")

    def problem(self, now: int) -> str:
        """Describe the first pair whose last probe has failed."""
        for (a, b), connected in self._connected.items():
            if not connected:
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


def watcher(planned: PlannedFault, view: DataPlaneView, now: int) -> Watcher:
    """Return a watcher for a fault that is requested at the simulated time ``now``."""
    kind: type[Any] = _WATCHERS.get(type(planned.fault), StrategyWatcher)
    created: Watcher = kind(planned.fault, view, now)
    return created


def _check_nothing(now: int) -> None:
    """Do nothing: the evidence for the other modes is in messages alone."""
