"""The exchange's public books: mid prices as a second opinion, depth, symbol status."""

from typing import Any

import msgspec

from trading.messages.market import BookTop, SymbolStatusChanged
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.rules import Controls
from trading.risk_monitor.streaks import Streaks
from trading.units import MINUTE, PPM
from trading.universe import Instrument, Universe

TRADING = "TRADING"

#: The average that the depth is compared with follows it with this time constant; 16 times as
#: slowly while the depth is gone.
AVERAGE = 10 * MINUTE
#: Looks at a book before its average means anything.
WARM_UP = 30


class Book(msgspec.Struct, gc=False):
    """``received_at``: 0 before the first top. ``average``: of the depth, in quote units."""

    instrument: Instrument
    bid: int = 0
    ask: int = 0
    depth: int = 0
    event_time: int = 0
    received_at: int = 0
    status: str = TRADING
    status_since: int = 0
    average: int = 0
    looks: int = 0

    @property
    def mid(self) -> int:
        """0 while a side is empty or unknown."""
        return (self.bid + self.ask) // 2 if self.bid > 0 and self.ask > 0 else 0


class Books:
    """``patience``: a top older than this says nothing about the price of now."""

    def __init__(
        self, universe: Universe, controls: Controls, alerts: AlertBook, *, tick: int, patience: int
    ) -> None:
        self._alerts = alerts
        self._withdrawal = controls.value("liquidity-withdrawal")
        self._halt = controls.value("market-halt")
        self._weight = max(AVERAGE // tick, 1)
        self._patience = patience
        self._thin = Streaks(2)
        self.by_symbol = {i.symbol: Book(i) for i in universe.instruments}
        self.by_base: dict[str, Book] = {}
        for book in self.by_symbol.values():
            self.by_base.setdefault(book.instrument.base, book)

    def on_top(self, top: BookTop, now: int) -> Book | None:
        """The book that changed, None for an unknown symbol."""
        book = self.by_symbol.get(top.symbol)
        if book is not None and top.event_time >= book.event_time:
            book.bid = top.bid
            book.ask = top.ask
            book.depth = top.bid_depth + top.ask_depth
            book.event_time = top.event_time
            book.received_at = now
        return book

    def on_status(self, change: SymbolStatusChanged, now: int) -> None:
        book = self.by_symbol.get(change.symbol)
        if book is not None and book.status != change.status:
            if TRADING in (change.status, book.status):
                book.status_since = change.event_time
            book.status = change.status
            self._judge_status(book, now)

    def usable(self, book: Book, now: int) -> bool:
        """Does this book say what the asset is worth now?"""
        return (
            book.status == TRADING
            and book.bid > 0
            and book.ask > 0
            and now - book.received_at <= self._patience
        )

    def evaluate(self, now: int) -> None:
        """Judge every book; once per tick of the market."""
        withdrawal, halt = self._withdrawal, self._halt
        for book in self.by_symbol.values():
            if halt is not None and book.status != TRADING:
                self._judge_status(book, now)
            elif withdrawal is not None and now - book.received_at <= self._patience:
                self._judge_depth(book, withdrawal, now)

    def state(self) -> dict[str, Any]:
        return {
            "books": {s: msgspec.to_builtins(b) for s, b in self.by_symbol.items()},
            "thin": self._thin.state(),
        }

    def _judge_status(self, book: Book, now: int) -> None:
        if self._halt is None:
            return
        symbol = book.instrument.symbol
        if book.status == TRADING:
            self._alerts.clear("market-halt", symbol, now)
        elif now - book.status_since > self._halt:
            self._alerts.breach("market-halt", symbol, book.status, book.status_since, now)

    def _judge_depth(self, book: Book, limit: int, now: int) -> None:
        if not book.received_at:
            return
        depth, average = book.depth, book.average
        if book.looks < WARM_UP:
            book.looks += 1
            book.average = average + (depth - average) // book.looks
            return
        symbol = book.instrument.symbol
        thin = (average - depth) * PPM > limit * average
        since = self._thin.first(symbol, thin, book.event_time)
        if since:
            fall = -(-(average - depth) * PPM // average)
            self._alerts.breach("liquidity-withdrawal", symbol, fall, since, now)
        elif self._alerts.active and depth * 2 > average:
            self._alerts.clear("liquidity-withdrawal", symbol, now)
        book.average = average + (depth - average) // (self._weight * (16 if thin else 1))
