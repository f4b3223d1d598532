"""The exchange's public order books: mid prices, depth, and the trading status of symbols.

The mid price is a second opinion on the index price. Two rules are evaluated here: a depth that
falls far below its average (liquidity-withdrawal), and a symbol that does not trade (market-halt).
"""

from typing import Any

import msgspec

from trading.messages.market import BookTop, SymbolStatus, SymbolStatusChanged
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.rules import Controls
from trading.risk_monitor.streaks import Streaks
from trading.units import MINUTE, PPM
from trading.universe import Instrument, Universe

#: Time constant of the average that the depth is compared with; 16 times as long while the depth is
#: below its limit, so that the average does not adapt to the missing depth.
AVERAGE = 10 * MINUTE
#: Number of evaluations of a book before its average is used.
WARM_UP = 30


class PublicBook(msgspec.Struct, gc=False):
    """The newest top of one order book.

    ``bid`` and ``ask`` are prices in 1e-8 of the quote asset, 0 if that side is empty. ``depth`` is
    the depth of both sides, and ``average`` its moving average, both in the quote asset.
    ``received_at`` is 0 before the first top of book. ``status_since`` is when trading was last
    halted or resumed, and ``looks`` counts the evaluations up to :data:`WARM_UP`.
    """

    instrument: Instrument
    bid: int = 0
    ask: int = 0
    depth: int = 0
    event_time: int = 0
    received_at: int = 0
    status: SymbolStatus = SymbolStatus.TRADING
    status_since: int = 0
    average: int = 0
    looks: int = 0

    @property
    def mid(self) -> int:
        """Return the mid price in 1e-8 of the quote asset; 0 while a side is empty."""
        return (self.bid + self.ask) // 2 if self.bid > 0 and self.ask > 0 else 0


class Books:
    """Keeps the books of all symbols, and evaluates them once per tick of the market.

    ``tick`` is the evaluation interval, and ``max_age`` the age from which a top of book no longer
    counts as current, both in simulated microseconds. Alerts go to ``alerts``, by the limits in
    ``controls``. ``by_symbol`` has every book, ``by_base`` the first book of each base asset.
    """

    def __init__(
        self, universe: Universe, controls: Controls, alerts: AlertBook, *, tick: int, max_age: int
    ) -> None:
        self._alerts = alerts
        self._withdrawal_limit = controls.value("liquidity-withdrawal")
        self._halt_limit = controls.value("market-halt")
        self._weight = max(AVERAGE // tick, 1)
        self._max_age = max_age
        self._thin_streaks = Streaks(2)
        self.by_symbol = {i.symbol: PublicBook(i) for i in universe.instruments}
        self.by_base: dict[str, PublicBook] = {}
        for book in self.by_symbol.values():
            self.by_base.setdefault(book.instrument.base, book)

    def on_top(self, top: BookTop, now: int) -> PublicBook | None:
        """Update a book, unless the top is older than its last one. Return the book, or None for an
        unknown symbol.
        """
        book = self.by_symbol.get(top.symbol)
        if book is not None and top.event_time >= book.event_time:
            book.bid = top.bid
            book.ask = top.ask
            book.depth = top.bid_depth + top.ask_depth
            book.event_time = top.event_time
            book.received_at = now
        return book

    def on_status(self, change: SymbolStatusChanged, now: int) -> None:
        """Update the trading status of a symbol, and evaluate it."""
        book = self.by_symbol.get(change.symbol)
        if book is not None and book.status != change.status:
            if SymbolStatus.TRADING in (change.status, book.status):
                book.status_since = change.event_time
            book.status = change.status
            self._judge_status(book, now)

    def usable(self, book: PublicBook, now: int) -> bool:
        """Return whether the mid price of a book is current: trading, two-sided, and recent."""
        return (
            book.status is SymbolStatus.TRADING
            and book.bid > 0
            and book.ask > 0
            and now - book.received_at <= self._max_age
        )

    def evaluate(self, now: int) -> None:
        """Evaluate the rules of every book; call once per tick of the market."""
        withdrawal, halt = self._withdrawal_limit, self._halt_limit
        for book in self.by_symbol.values():
            if halt is not None and book.status is not SymbolStatus.TRADING:
                self._judge_status(book, now)
            elif withdrawal is not None and now - book.received_at <= self._max_age:
                self._judge_depth(book, withdrawal, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            "books": {s: msgspec.to_builtins(b) for s, b in self.by_symbol.items()},
            "thin": self._thin_streaks.state(),
        }

    def _judge_status(self, book: PublicBook, now: int) -> None:
        if self._halt_limit is None:
            return
        symbol = book.instrument.symbol
        if book.status is SymbolStatus.TRADING:
            self._alerts.clear("market-halt", symbol, now)
        elif now - book.status_since > self._halt_limit:
            self._alerts.breach("market-halt", symbol, book.status, book.status_since, now)

    def _judge_depth(self, book: PublicBook, limit: int, now: int) -> None:
        if not book.received_at:
            return
        depth, average = book.depth, book.average
        if book.looks < WARM_UP:
            book.looks += 1
            book.average = average + (depth - average) // book.looks
            return
        symbol = book.instrument.symbol
        thin = (average - depth) * PPM > limit * average
        since = self._thin_streaks.update(symbol, thin, book.event_time)
        if since:
            fall_ppm = -(-(average - depth) * PPM // average)
            self._alerts.breach("liquidity-withdrawal", symbol, fall_ppm, since, now)
        elif self._alerts.active and depth * 2 > average:
            self._alerts.clear("liquidity-withdrawal", symbol, now)
        book.average = average + (depth - average) // (self._weight * (16 if thin else 1))
