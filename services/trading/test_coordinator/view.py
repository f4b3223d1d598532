"""The state of the data plane as the coordinator observes it: prices, books, pings, settlement.

The coordinator judges faults and recovery by this view alone, never by what a service reports about
its own faults. The view is built from messages and evaluated once per *beat*, the coordinator's
evaluation interval in simulated microseconds. A text that describes a problem is empty when there
is no problem.
"""

from collections import deque

import msgspec

from trading.messages.custody import Settled, SettlementFailed, SettlementInstructed
from trading.messages.market import (
    BookTop,
    Ping,
    Pong,
    PriceTick,
    SymbolStatus,
    SymbolStatusChanged,
)
from trading.messages.orders import ExecutionReport, ExecutionType
from trading.messages.risk import AlertFired, AlertResolved, BreakerChanged, BreakerState
from trading.topology import TEST_COORDINATOR
from trading.units import SECOND
from trading.universe import Universe

#: A service, a feed or a book counts as down when it has been silent for more beats than this.
TOLERATED_BEATS = 3
#: The order rate of an account is measured over this time.
RATE_WINDOW = 10 * SECOND

#: A price is frozen when more consecutive ticks than this repeat it.
_FROZEN_TICKS = 20

#: What the venue answers to a new order.
_ANSWERS = frozenset({ExecutionType.NEW, ExecutionType.REJECTED})


class ServiceLink(msgspec.Struct, gc=False):
    """The ping exchange with one service; all times in simulated microseconds.

    ``answered_at`` is when the last pong arrived, and ``round_trip`` how long the last ping and its
    pong took together. ``unanswered_since`` is when the oldest ping without a pong was sent, 0 if
    every ping has been answered. ``nonce`` and ``sent_at`` belong to the newest ping; ``nonce`` is
    0 once that ping has been answered.
    """

    answered_at: int = 0
    unanswered_since: int = 0
    nonce: int = 0
    sent_at: int = 0
    round_trip: int = 0


class FeedState(msgspec.Struct, gc=False):
    """The index feed of one asset.

    ``price`` is the last valid price (1e-8 USD), ``frozen`` the number of consecutive ticks that
    repeated it, and ``faulty`` describes what was wrong with the last tick (empty: nothing).
    """

    price: int = 0
    seq: int = 0
    event_time: int = 0
    received_at: int = 0
    frozen: int = 0
    faulty: str = ""


class BookState(msgspec.Struct, gc=False):
    """The order book of one symbol.

    ``depth_now`` is the depth of both sides in the newest top of book, and ``depth`` the same
    smoothed exponentially over 16 updates. ``status`` is the trading status of the symbol.
    """

    top: BookTop | None = None
    received_at: int = 0
    depth: int = 0
    depth_now: int = 0
    status: SymbolStatus = SymbolStatus.TRADING


class OrderActivity(msgspec.Struct, gc=False):
    """The orders of one account of the firm.

    ``recent`` has the times of the orders within the last :data:`RATE_WINDOW`, ``busiest`` the
    highest number of orders in any such window, and ``largest`` the largest quantity by symbol.
    """

    recent: deque[int]
    busiest: int = 0
    largest: dict[str, int] = {}


class DataPlaneView:
    """Keeps the observed state of every service, feed, book and account of the firm.

    ``services`` are the names of the services to ping, and ``beat`` is the evaluation interval in
    simulated microseconds. ``due`` maps settlement instructions that are not fully settled to their
    settlement date, and ``firing`` maps the ids of firing alerts to a label for messages.
    """

    def __init__(self, universe: Universe, services: tuple[str, ...], beat: int) -> None:
        self.universe = universe
        self.beat = beat
        self.links = {name: ServiceLink() for name in services}
        self.feeds = {asset.name: FeedState() for asset in universe.assets}
        self.books = {symbol: BookState() for symbol in universe.symbols}
        self.orders = {account: OrderActivity(deque()) for account in universe.firm_accounts}
        self.due: dict[str, int] = {}
        self.firing: dict[str, str] = {}
        self.breaker = BreakerState.ACTIVE
        self._nonce = 0

    def pings(self, now: int) -> list[Ping]:
        """Return a ping for every service, and note since when earlier pings are unanswered."""
        self._nonce += 1
        pings = []
        for name, link in self.links.items():
            if link.nonce and not link.unanswered_since:
                link.unanswered_since = link.sent_at
            link.nonce = self._nonce
            link.sent_at = now
            pings.append(Ping(name, TEST_COORDINATOR, self._nonce))
        return pings

    def on_pong(self, pong: Pong, now: int) -> None:
        """Mark the service as answering; measure the round trip if this answers the last ping."""
        link = self.links.get(pong.source)
        if link is None:
            return
        link.answered_at = now
        link.unanswered_since = 0
        if pong.nonce == link.nonce:
            link.round_trip = now - link.sent_at
            link.nonce = 0

    def on_tick(self, tick: PriceTick, now: int) -> None:
        """Check a price tick against the one before it, and remember it."""
        feed = self.feeds[tick.asset]
        previous, price = feed.price, tick.price
        feed.faulty = ""
        if price is None:
            feed.faulty = "price is not a number"
        elif price <= 0:
            feed.faulty = "price is not positive"
        elif previous and abs(price - previous) > previous // 4:
            feed.faulty = "price jumped by more than a quarter"
        elif tick.event_time < feed.event_time:
            feed.faulty = "older than the tick before"
        elif feed.seq and tick.seq != feed.seq + 1:
            feed.faulty = f"sequence {tick.seq} after {feed.seq}"
        feed.frozen = feed.frozen + 1 if price == previous else 0
        if price is not None and price > 0:
            feed.price = price
        feed.seq = tick.seq
        feed.event_time = max(feed.event_time, tick.event_time)
        feed.received_at = now

    def on_book(self, top: BookTop, now: int) -> None:
        """Remember a new top of book, and update the smoothed depth."""
        book = self.books[top.symbol]
        book.top = top
        book.received_at = now
        book.depth_now = depth = top.bid_depth + top.ask_depth
        book.depth = depth if not book.depth else book.depth + (depth - book.depth) // 16

    def on_status(self, change: SymbolStatusChanged, now: int) -> None:
        """Remember the trading status of a symbol."""
        self.books[change.symbol].status = change.status

    def on_report(self, report: ExecutionReport, now: int) -> None:
        """Count an accepted or rejected order of a firm account; ignore other reports."""
        activity = self.orders.get(report.account)
        if activity is None or report.execution_type not in _ANSWERS:
            return
        recent = activity.recent
        recent.append(now)
        while recent[0] < now - RATE_WINDOW:
            recent.popleft()
        activity.busiest = max(activity.busiest, len(recent))
        if report.qty > activity.largest.get(report.symbol, 0):
            activity.largest[report.symbol] = report.qty

    def on_settlement(
        self, message: SettlementInstructed | Settled | SettlementFailed, now: int
    ) -> None:
        """Add a new instruction to :attr:`due`, or remove one that is fully settled."""
        if isinstance(message, SettlementInstructed):
            self.due[message.instruction_id] = message.settlement_date
        elif isinstance(message, Settled) and not message.remaining:
            self.due.pop(message.instruction_id, None)

    def on_alert(self, alert: AlertFired, now: int) -> None:
        """Add an alert to the firing ones."""
        self.firing[alert.alert_id] = f"{alert.rule} on {alert.subject}"

    def on_resolved(self, alert: AlertResolved, now: int) -> None:
        """Remove an alert from the firing ones."""
        self.firing.pop(alert.alert_id, None)

    def on_breaker(self, change: BreakerChanged, now: int) -> None:
        """Remember the state of the circuit breaker."""
        self.breaker = change.state

    def mid(self, symbol: str) -> int:
        """Return the mid price of a book in 1e-8 of its quote asset; 0 while a side is empty."""
        top = self.books[symbol].top
        return (top.bid + top.ask) // 2 if top is not None and top.bid and top.ask else 0

    def feed_problem(self, asset: str, now: int) -> str:
        """Describe why the index feed of an asset is unhealthy; empty if it is healthy."""
        feed = self.feeds[asset]
        if not feed.received_at:
            return f"no price of {asset} yet"
        if now - feed.received_at > TOLERATED_BEATS * self.beat or (
            now - feed.event_time > TOLERATED_BEATS * self.beat + SECOND
        ):
            return f"price of {asset} is stale"
        if feed.frozen > _FROZEN_TICKS:
            return f"price of {asset} is frozen"
        return f"feed of {asset}: {feed.faulty}" if feed.faulty else ""

    def book_problem(self, symbol: str, now: int) -> str:
        """Describe why an order book is unhealthy; empty if it is healthy."""
        book = self.books[symbol]
        if book.status is not SymbolStatus.TRADING:
            return f"{symbol} is in {book.status}"
        if not self.mid(symbol):
            return f"book of {symbol} is empty or one-sided"
        if now - book.received_at > TOLERATED_BEATS * self.beat:
            return f"book of {symbol} is silent"
        return ""

    def link_problem(self, service: str, now: int) -> str:
        """Describe that a service does not answer pings; empty if it does."""
        link = self.links[service]
        since = link.unanswered_since or (link.sent_at if not link.answered_at else 0)
        if not link.answered_at or (since and now - since > TOLERATED_BEATS * self.beat):
            return f"{service} does not answer"
        return ""

    def overdue(self, now: int) -> int:
        """Return how many settlements are past their settlement date by more than a beat."""
        return sum(1 for date in self.due.values() if date + self.beat < now)

    def data_problem(self, now: int) -> str:
        """Describe the first problem of the data plane; empty if everything is healthy."""
        for service in self.links:
            if problem := self.link_problem(service, now):
                return problem
        for asset in self.feeds:
            if problem := self.feed_problem(asset, now):
                return problem
        for symbol in self.books:
            if problem := self.book_problem(symbol, now):
                return problem
        overdue = self.overdue(now)
        return f"{overdue} settlements are overdue" if overdue else ""

    def steady_problem(self, now: int) -> str:
        """Describe why there is no steady state yet; empty if there is.

        The steady state is required before any fault is injected: the data plane is healthy, and
        in addition no alert fires and the circuit breaker is ACTIVE.
        """
        if self.breaker is not BreakerState.ACTIVE:
            return f"circuit breaker is {self.breaker}"
        for label in self.firing.values():
            return f"alert {label} is firing"
        return self.data_problem(now)
