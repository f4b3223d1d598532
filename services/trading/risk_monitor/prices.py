"""Rules that compare prices: exchange against index, stablecoins against their peg, fast moves."""

from collections import deque
from typing import Any

from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.books import Books, PublicBook
from trading.risk_monitor.feeds import Feeds
from trading.risk_monitor.limits import describe
from trading.risk_monitor.rules import RULES, Controls
from trading.risk_monitor.streaks import Streaks
from trading.units import MINUTE, PPM, SCALE, format_ppm
from trading.universe import Universe

#: A price move is measured within this time.
MOVE_WINDOW = 5 * MINUTE

#: A divergence or a lost peg must hold for this many consecutive evaluations.
REQUIRED_EVALUATIONS = 2


class MoveWindow:
    """Keeps the highest and the lowest price of the last :data:`MOVE_WINDOW`.

    Both are kept as monotonic queues of (time, price): each price is added and removed at most
    once.
    """

    __slots__ = ("_highs", "_lows")

    def __init__(self) -> None:
        self._highs: deque[tuple[int, int]] = deque()
        self._lows: deque[tuple[int, int]] = deque()

    def add(self, price: int, at: int) -> int:
        """Add a price at the time ``at``, and return how far it is from the window's extreme that
        is further away: signed, in ppm, rounded away from zero.
        """
        highs, lows = self._highs, self._lows
        while highs and highs[-1][1] <= price:
            highs.pop()
        while lows and lows[-1][1] >= price:
            lows.pop()
        highs.append((at, price))
        lows.append((at, price))
        oldest = at - MOVE_WINDOW
        while highs[0][0] < oldest:
            highs.popleft()
        while lows[0][0] < oldest:
            lows.popleft()
        high, low = highs[0][1], lows[0][1]
        fall = -(-(high - price) * PPM // high)
        rise = -(-(price - low) * PPM // low)
        return -fall if fall >= rise else rise

    def state(self) -> dict[str, list[list[int]]]:
        """Return the prices in the window, as plain values."""
        return {
            "highs": [list(point) for point in self._highs],
            "lows": [list(point) for point in self._lows],
        }


class Prices:
    """Evaluates the rules that compare prices of several sources."""

    def __init__(
        self, universe: Universe, controls: Controls, alerts: AlertBook, feeds: Feeds, books: Books
    ) -> None:
        self._alerts = alerts
        self._feeds = feeds
        self._books = books
        self._divergence_limit = controls.value("price-divergence")
        self._peg_limit = controls.value("peg-deviation")
        self._move_limit = controls.value("price-move")
        self._divergence_streaks = Streaks(REQUIRED_EVALUATIONS)
        self._peg_streaks = Streaks(REQUIRED_EVALUATIONS)
        self._moves = {symbol: MoveWindow() for symbol in universe.symbols}
        self._stablecoins = tuple(a for a in universe.assets if a.stable)

    def evaluate(self, now: int) -> None:
        """Evaluate every symbol and stablecoin; call once per tick of the market."""
        feeds = self._feeds
        for symbol, book in self._books.by_symbol.items():
            instrument = book.instrument
            base, quote = instrument.base, instrument.quote
            if not (feeds.fresh(base, now) and feeds.fresh(quote, now)):
                continue
            reference = feeds.reference(base, quote)
            if not reference:
                continue
            if self._move_limit is not None:
                self._judge_move(symbol, base, reference, self._move_limit, now)
            if self._divergence_limit is not None and self._books.usable(book, now):
                self._judge_divergence(symbol, book, reference, self._divergence_limit, now)
        if self._peg_limit is not None:
            self._judge_pegs(self._peg_limit, now)

    def state(self) -> dict[str, Any]:
        """Return everything that decides later alerts, as plain values."""
        return {
            "apart": self._divergence_streaks.state(),
            "off_peg": self._peg_streaks.state(),
            "moves": {symbol: window.state() for symbol, window in self._moves.items()},
        }

    def _judge_move(self, symbol: str, base: str, reference: int, limit: int, now: int) -> None:
        event_time = self._feeds.by_asset[base].good_at
        move = self._moves[symbol].add(reference, event_time)
        if abs(move) > limit:
            self._alerts.breach("price-move", symbol, format_ppm(move), event_time, now)
        else:
            self._alerts.ease("price-move", symbol, abs(move), limit, now)

    def _judge_divergence(
        self, symbol: str, book: PublicBook, reference: int, limit: int, now: int
    ) -> None:
        deviation = -(-abs(book.mid - reference) * PPM // reference)
        since = self._divergence_streaks.update(symbol, deviation > limit, book.event_time)
        if since:
            self._alerts.breach("price-divergence", symbol, deviation, since, now)
        else:
            self._alerts.ease("price-divergence", symbol, deviation, limit, now)

    def _judge_pegs(self, limit: int, now: int) -> None:
        """Evaluate the price by the index or by the book, whichever is further from the peg."""
        feeds = self._feeds
        for asset in self._stablecoins:
            name, peg = asset.name, asset.peg
            feed = feeds.by_asset[name]
            if not feed.good:
                continue
            price, source, event_time = feed.good, "index", feed.good_at
            book = self._books.by_base.get(name)
            if book is not None and self._books.usable(book, now):
                by_book = book.mid * feeds.by_asset[book.instrument.quote].good // SCALE
                if by_book and abs(by_book - peg) > abs(price - peg):
                    price, source, event_time = by_book, "exchange", book.event_time
            deviation = -(-abs(price - peg) * PPM // peg)
            since = self._peg_streaks.update(name, deviation > limit, event_time)
            if since:
                text = f"{describe(RULES['peg-deviation'].unit, deviation)} by the {source}"
                self._alerts.breach("peg-deviation", name, text, since, now)
            else:
                self._alerts.ease("peg-deviation", name, deviation, limit, now)
