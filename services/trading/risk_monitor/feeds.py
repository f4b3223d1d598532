"""The index feed: which price to believe, and whether the feed is well.

A price that cannot be true never becomes the good price, which alone enters the valuation. A jump
that the exchange's book has not made is reported at once; it is believed when it persists and the
book does not deny it.
"""

from typing import Any

import msgspec

from trading.messages.market import PriceTick
from trading.risk_monitor.alerts import AlertBook
from trading.risk_monitor.books import Books
from trading.risk_monitor.rules import RULES, Controls
from trading.units import DAY, HOUR, PPM, SCALE, format_duration, format_ppm
from trading.universe import Asset, Universe

YEAR = 365 * DAY

#: Time constant of the volatility estimate.
VOLATILITY_MEMORY = HOUR

#: Ticks in a row at a new price level that are believed, unless the book denies them.
PERSISTENT = 5

#: How far the book must move for an unmoved index price to be called frozen: two of its smallest
#: steps, for stablecoins (which may stand still) 5 bp.
COIN_MOVE = 2
STABLE_MOVE_PPM = 500


class Feed(msgspec.Struct, gc=False):
    """One asset's index prices. ``good``: last good price, true at ``good_at``; ``changed_at``:
    since when it has been exactly this, while the book's price was ``book_then``. ``suspects``:
    ticks in a row near ``suspect``, a jump that is not believed yet. ``missing``: sequence
    numbers that never came, first noticed at ``missing_at``. ``variance``: per microsecond.
    """

    asset: Asset
    variance: float
    seq: int = 0
    event_time: int = 0
    good: int = 0
    good_at: int = 0
    changed_at: int = 0
    book_then: int = 0
    suspect: int = 0
    suspect_since: int = 0
    suspects: int = 0
    missing: int = 0
    missing_at: int = 0
    missing_since: int = 0


class Feeds:
    """``patience``: how long the first price may take after ``started_at``."""

    def __init__(
        self,
        universe: Universe,
        controls: Controls,
        alerts: AlertBook,
        books: Books,
        *,
        tick: int,
        patience: int,
    ) -> None:
        self._alerts = alerts
        self._books = books
        self._tick = tick
        self._patience = patience
        self._stale = controls.value("stale-feed")
        self._corrupt = controls.value("corrupt-feed")
        self._gap = controls.value("feed-gap")
        self._max_jump = RULES["corrupt-feed"].default.value
        if self._corrupt is not None:
            self._max_jump = self._corrupt
        self._started_at = 0
        self._without_price = len(universe.assets)
        self.newest = 0
        self.by_asset = {
            a.name: Feed(a, (a.volatility_ppm / PPM) ** 2 / YEAR) for a in universe.assets
        }

    @property
    def complete(self) -> bool:
        """Has every asset a good price?"""
        return self._without_price == 0

    def start(self, now: int) -> None:
        self._started_at = now

    def on_tick(self, tick: PriceTick, now: int) -> None:
        feed = self.by_asset.get(tick.asset)
        if feed is None:
            return
        event_time = tick.event_time
        if tick.seq != feed.seq + 1 and feed.seq:
            self._out_of_sequence(feed, tick, now)
        if tick.seq > feed.seq or event_time > feed.event_time:
            feed.seq = tick.seq
        if event_time <= feed.event_time:
            if event_time < feed.event_time:
                age = format_duration(feed.event_time - event_time)
                self._report(feed, f"{age} older than the tick before", event_time, now)
            return
        feed.event_time = event_time
        price = tick.price
        if price is None or price <= 0:
            wrong = "not a number" if price is None else "not positive"
            self._report(feed, wrong, event_time, now)
            return
        good = feed.good
        if good and abs(price - good) * PPM > self._max_jump * good:
            self._suspect(feed, price, event_time, now)
            return
        feed.suspects = 0
        self._accept(feed, price, event_time)

    def reference(self, base: str, quote: str) -> int:
        """Index price of ``base`` in ``quote``, from the last good prices; 0 while unknown."""
        quoted = self.by_asset[quote].good
        return self.by_asset[base].good * SCALE // quoted if quoted else 0

    def fresh(self, asset: str, now: int) -> bool:
        """Is the last good price one of now?"""
        return now - self.by_asset[asset].good_at <= self._patience

    def evaluate(self, now: int) -> None:
        """Judge every feed; once per tick of the market, between ticks."""
        stale = self._stale
        alerts = self._alerts
        for name, feed in self.by_asset.items():
            if feed.missing and now > feed.missing_since:
                self._judge_gap(feed, now)
            if stale is None:
                continue
            age = now - feed.good_at
            if not feed.good:
                if now - self._started_at > self._patience:
                    alerts.breach("stale-feed", name, "no price ever", self._started_at, now)
                continue
            since = feed.good_at
            moved = self._book_moved(feed, now)
            if moved and age <= stale and now - feed.changed_at > stale:
                since = feed.changed_at
                age = now - since
            if age > stale:
                alerts.breach("stale-feed", name, age, since + self._tick, now)
            elif alerts.active:
                alerts.clear("stale-feed", name, now)

    def state(self) -> dict[str, Any]:
        return {
            "started_at": self._started_at,
            "newest": self.newest,
            "feeds": {
                name: {**msgspec.to_builtins(feed), "variance": repr(feed.variance)}
                for name, feed in self.by_asset.items()
            },
        }

    def _accept(self, feed: Feed, price: int, event_time: int) -> None:
        good = feed.good
        if price != good:
            feed.changed_at = event_time
            feed.book_then = 0
        if good:
            elapsed = event_time - feed.good_at
            change = (price - good) / good
            weight = elapsed / (VOLATILITY_MEMORY + elapsed)
            feed.variance += weight * (change * change / elapsed - feed.variance)
        else:
            self._without_price -= 1
        feed.good = price
        feed.good_at = event_time
        if event_time > self.newest:
            self.newest = event_time

    def _suspect(self, feed: Feed, price: int, event_time: int, now: int) -> None:
        near = abs(price - feed.suspect) * PPM <= self._max_jump * feed.suspect
        if feed.suspects and near:
            feed.suspects += 1
        else:
            feed.suspects = 1
            feed.suspect_since = event_time
        feed.suspect = price
        good = feed.good
        implied = self._by_book(feed, now)
        denied = bool(implied) and abs(implied - price) >= abs(implied - good)
        if feed.suspects >= PERSISTENT and not denied:
            feed.suspects = 0
            self._accept(feed, price, event_time)
        elif denied or not implied:
            jump = format_ppm((price - good) * PPM // good)
            self._report(feed, f"jump of {jump}", feed.suspect_since, now)

    def _by_book(self, feed: Feed, now: int) -> int:
        """USD price of the asset by the exchange's book, 0 where that says nothing."""
        book = self._books.by_base.get(feed.asset.name)
        if book is None or not self._books.usable(book, now):
            return 0
        return book.mid * self.by_asset[book.instrument.quote].good // SCALE

    def _book_moved(self, feed: Feed, now: int) -> bool:
        """Has the book moved since the first look at it with this very index price?"""
        book = self._books.by_base.get(feed.asset.name)
        if book is None or not self._books.usable(book, now):
            return False
        mid = book.mid
        then = feed.book_then
        if not then:
            feed.book_then = mid
            return False
        if feed.asset.stable:
            return abs(mid - then) * PPM > STABLE_MOVE_PPM * then
        return abs(mid - then) > COIN_MOVE

    def _out_of_sequence(self, feed: Feed, tick: PriceTick, now: int) -> None:
        if tick.seq > feed.seq:
            if not feed.missing:
                feed.missing_at = tick.event_time
                feed.missing_since = now
            feed.missing += tick.seq - feed.seq - 1
        elif feed.missing and tick.event_time < feed.event_time:
            feed.missing -= 1

    def _judge_gap(self, feed: Feed, now: int) -> None:
        """What is still missing now was not only late."""
        missing, feed.missing = feed.missing, 0
        if self._gap is not None and missing > self._gap:
            name = feed.asset.name
            self._alerts.notice("feed-gap", name, f"{missing} missing", feed.missing_at, now)

    def _report(self, feed: Feed, wrong: str, event_time: int, now: int) -> None:
        if self._corrupt is not None:
            self._alerts.notice("corrupt-feed", feed.asset.name, wrong, event_time, now)
