"""What the coordinator sees of the data plane: prices, books, answers, settlement, alerts."""

from collections import deque

import msgspec

from trading.messages.custody import Settled, SettlementFailed, SettlementInstructed
from trading.messages.market import BookTop, Ping, Pong, PriceTick, SymbolStatusChanged
from trading.messages.orders import ExecutionReport
from trading.messages.risk import ACTIVE
from trading.topology import TEST_COORDINATOR
from trading.units import SECOND
from trading.universe import Universe

#: Beats that a service, a feed or a book may be silent before it counts as gone.
PATIENCE = 3
#: Orders of an account are counted over this time.
RATE_WINDOW = 10 * SECOND


class Link(msgspec.Struct, gc=False):
    """``unanswered_since``: when the oldest ping without an answer was sent, 0 if none."""

    answered_at: int = 0
    unanswered_since: int = 0
    nonce: int = 0
    sent_at: int = 0
    round_trip: int = 0


class Feed(msgspec.Struct, gc=False):
    """One asset's index feed. ``faulty``: what was wrong with the last tick."""

    price: int = 0
    seq: int = 0
    event_time: int = 0
    received_at: int = 0
    frozen: int = 0
    faulty: str = ""


class Book(msgspec.Struct, gc=False):
    """``depth``: both sides, smoothed; of the newest top only in ``depth_now``."""

    top: BookTop | None = None
    received_at: int = 0
    depth: int = 0
    depth_now: int = 0
    status: str = "TRADING"


class Orders(msgspec.Struct, gc=False):
    """One firm account: when its last orders were seen, the largest by symbol, the busiest rate."""

    recent: deque[int]
    busiest: int = 0
    largest: dict[str, int] = {}


class View:
    """Built from the messages that the coordinator gets; ``beat`` is how often it looks."""

    def __init__(self, universe: Universe, services: tuple[str, ...], beat: int) -> None:
        self.universe = universe
        self.beat = beat
        self.links = {name: Link() for name in services}
        self.feeds = {asset.name: Feed() for asset in universe.assets}
        self.books = {symbol: Book() for symbol in universe.symbols}
        self.orders = {account: Orders(deque()) for account in universe.firm_accounts}
        self.due: dict[str, int] = {}
        self.firing: dict[str, str] = {}
        self.breaker = ACTIVE
        self._nonce = 0

    def pings(self, now: int) -> list[Ping]:
        """Ask every service; an unanswered earlier question is remembered."""
        self._nonce += 1
        asked = []
        for name, link in self.links.items():
            if link.nonce and not link.unanswered_since:
                link.unanswered_since = link.sent_at
            link.nonce = self._nonce
            link.sent_at = now
            asked.append(Ping(name, TEST_COORDINATOR, self._nonce))
        return asked

    def on_pong(self, pong: Pong, now: int) -> None:
        link = self.links.get(pong.source)
        if link is None:
            return
        link.answered_at = now
        link.unanswered_since = 0
        if pong.nonce == link.nonce:
            link.round_trip = now - link.sent_at
            link.nonce = 0

    def on_tick(self, tick: PriceTick, now: int) -> None:
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
        book = self.books[top.symbol]
        book.top = top
        book.received_at = now
        book.depth_now = depth = top.bid_depth + top.ask_depth
        book.depth = depth if not book.depth else book.depth + (depth - book.depth) // 16

    def on_status(self, change: SymbolStatusChanged, now: int) -> None:
        self.books[change.symbol].status = change.status

    def on_report(self, report: ExecutionReport, now: int) -> None:
        orders = self.orders.get(report.account)
        if orders is None or report.execution_type not in ("NEW", "REJECTED"):
            return
        recent = orders.recent
        recent.append(now)
        while recent[0] < now - RATE_WINDOW:
            recent.popleft()
        orders.busiest = max(orders.busiest, len(recent))
        if report.qty > orders.largest.get(report.symbol, 0):
            orders.largest[report.symbol] = report.qty

    def on_settlement(
        self, message: SettlementInstructed | Settled | SettlementFailed, now: int
    ) -> None:
        """``due``: instructions not wholly settled yet, by their intended date."""
        if isinstance(message, SettlementInstructed):
            self.due[message.instruction_id] = message.settlement_date
        elif isinstance(message, Settled) and not message.remaining:
            self.due.pop(message.instruction_id, None)

    def mid(self, symbol: str) -> int:
        """Mid price of a book, 0 while a side is empty or unknown."""
        top = self.books[symbol].top
        return (top.bid + top.ask) // 2 if top is not None and top.bid and top.ask else 0

    def feed_problem(self, asset: str, now: int) -> str:
        feed = self.feeds[asset]
        if not feed.received_at:
            return f"no price of {asset} yet"
        if now - feed.received_at > PATIENCE * self.beat or (
            now - feed.event_time > PATIENCE * self.beat + SECOND
        ):
            return f"price of {asset} is stale"
        if feed.frozen > 20:
            return f"price of {asset} is frozen"
        return f"feed of {asset}: {feed.faulty}" if feed.faulty else ""

    def book_problem(self, symbol: str, now: int) -> str:
        book = self.books[symbol]
        if book.status != "TRADING":
            return f"{symbol} is in {book.status}"
        if not self.mid(symbol):
            return f"book of {symbol} is empty or one-sided"
        if now - book.received_at > PATIENCE * self.beat:
            return f"book of {symbol} is silent"
        return ""

    def link_problem(self, service: str, now: int) -> str:
        link = self.links[service]
        since = link.unanswered_since or (link.sent_at if not link.answered_at else 0)
        if not link.answered_at or (since and now - since > PATIENCE * self.beat):
            return f"{service} does not answer"
        return ""

    def overdue(self, now: int) -> int:
        """Settlements that are past their intended date."""
        return sum(1 for date in self.due.values() if date + self.beat < now)

    def data_problem(self, now: int) -> str:
        """What is wrong with the data plane now; empty when nothing is."""
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
        """Before the faults the risk controls have to be silent, too."""
        if self.breaker != ACTIVE:
            return f"circuit breaker is {self.breaker}"
        for label in self.firing.values():
            return f"alert {label} is firing"
        return self.data_problem(now)
