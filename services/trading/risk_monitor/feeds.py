"""The index feed: which price of an asset is valid, and whether its feed is healthy.

Only the last *good* price enters the valuation. A price that is impossible (no number, not
positive) never becomes the good price. A sudden jump is suspect: it is reported at once unless the
exchange's book confirms it, and it becomes the good price when it persists and the book does not
contradict.
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

#: A new price level is accepted after this many consecutive ticks, unless the book contradicts it.
PERSISTENT = 5

#: An index price that does not move is frozen if the book has moved by more than this: two units of
#: 1e-8, or 5 bp for a stablecoin, whose price may legitimately stand still.
COIN_MOVE = 2
STABLE_MOVE_PPM = 500


class IndexFeed(msgspec.Struct, gc=False):
    """The index prices of one asset; prices in 1e-8 USD, times in simulated microseconds.

    ``good`` is the last good price, true at ``good_at``. ``changed_at`` is since when the good
    price has had exactly this value, and ``book_then`` the mid price of the book when it was first
    compared with this value. ``suspects`` counts the consecutive ticks near the price ``suspect``,
    a jump that has not been accepted; the first of them was at ``suspect_since``. ``missing`` is
    the number of sequence numbers that have not arrived; the gap was in the tick of ``missing_at``,
    which arrived at ``missing_since``. ``variance`` is the estimated variance of the relative price
    per microsecond.
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
    """Keeps the index feeds of all assets, and evaluates their rules.

    ``books`` gives the second opinion on prices. ``tick`` is the evaluation interval, and
    ``max_age`` how long the first price may take after the start, and how old a fresh price may
    be, both in simulated microseconds. ``newest`` is the event time of the newest good price of all
    assets.
    """

    def __init__(
        self,
        universe: Universe,
        controls: Controls,
        alerts: AlertBook,
        books: Books,
        *,
        tick: int,
        max_age: int,
    ) -> None:
        self._alerts = alerts
        self._books = books
        self._tick = tick
        self._max_age = max_age
        self._stale_limit = controls.value("stale-feed")
        self._corrupt_limit = controls.value("corrupt-feed")
        self._gap_limit = controls.value("feed-gap")
        self._max_jump = RULES["corrupt-feed"].default.value
        if self._corrupt_limit is not None:
            self._max_jump = self._corrupt_limit
        self._started_at = 0
        self._without_price = len(universe.assets)
        self.newest = 0
        self.by_asset = {
            a.name: IndexFeed(a, (a.volatility_ppm / PPM) ** 2 / YEAR) for a in universe.assets
        }

    @property
    def complete(self) -> bool:
        """Return whether every asset has a good price."""
        return self._without_price == 0

    def start(self, now: int) -> None:
        """Begin to wait for the first prices at the time ``now``."""
        self._started_at = now

    def on_tick(self, tick: PriceTick, now: int) -> None:
        """Check a price tick, and accept, suspect or report its price."""
        feed = self.by_asset.get(tick.asset)
        if feed is None:
            return
        event_time = tick.event_time
        if tick.seq != feed.seq + 1 and feed.seq:
            self._track_gap(feed, tick, now)
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
            defect = "not a number" if price is None else "not positive"
            self._report(feed, defect, event_time, now)
            return
        good = feed.good
        if good and abs(price - good) * PPM > self._max_jump * good:
            self._suspect(feed, price, event_time, now)
            return
        feed.suspects = 0
        self._accept(feed, price, event_time)

    def reference(self, base: str, quote: str) -> int:
        """Return the index price of ``base`` in ``quote`` (1e-8), from the last good prices; 0
        while it is unknown.
        """
        quoted = self.by_asset[quote].good
        return self.by_asset[base].good * SCALE // quoted if quoted else 0

    def fresh(self, asset: str, now: int) -> bool:
        """Return whether the last good price of an asset is recent."""
        return now - self.by_asset[asset].good_at <= self._max_age

    def evaluate(self, now: int) -> None:
        """Evaluate the rules of every feed; call once per tick of the market, between ticks."""
        stale = self._stale_limit
        alerts = self._alerts
        for name, feed in self.by_asset.items():
            if feed.missing and now > feed.missing_since:
                self._judge_gap(feed, now)
            if stale is None:
                continue
            age = now - feed.good_at
            if not feed.good:
                if now - self._started_at > self._max_age:
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
        """Return everything that decides later alerts, as plain values."""
        return {
            "started_at": self._started_at,
            "newest": self.newest,
            "feeds": {
                name: {**msgspec.to_builtins(feed), "variance": repr(feed.variance)}
                for name, feed in self.by_asset.items()
            },
        }

    def _accept(self, feed: IndexFeed, price: int, event_time: int) -> None:
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

    def _suspect(self, feed: IndexFeed, price: int, event_time: int, now: int) -> None:
        near = abs(price - feed.suspect) * PPM <= self._max_jump * feed.suspect
        if feed.suspects and near:
            feed.suspects += 1
        else:
            feed.suspects = 1
            feed.suspect_since = event_time
        feed.suspect = price
        good = feed.good
        implied = self._book_price(feed, now)
        contradicted = bool(implied) and abs(implied - price) >= abs(implied - good)
        if feed.suspects >= PERSISTENT and not contradicted:
            feed.suspects = 0
            self._accept(feed, price, event_time)
        elif contradicted or not implied:
            jump = format_ppm((price - good) * PPM // good)
            self._report(feed, f"jump of {jump}", feed.suspect_since, now)

    def _book_price(self, feed: IndexFeed, now: int) -> int:
        """Return the USD price (1e-8) that the exchange's book implies; 0 if there is none."""
        book = self._books.by_base.get(feed.asset.name)
        if book is None or not self._books.usable(book, now):
            return 0
        return book.mid * self.by_asset[book.instrument.quote].good // SCALE

    def _book_moved(self, feed: IndexFeed, now: int) -> bool:
        """Return whether the book has moved since this index price was first compared with it."""
        book = self._books.by_base.get(feed.asset.name)
        if book is None or not self._books.usable(book, now):
            return False
        mid = book.mid
        before = feed.book_then
        if not before:
            feed.book_then = mid
            return False
        if feed.asset.stable:
            return abs(mid - before) * PPM > STABLE_MOVE_PPM * before
        return abs(mid - before) > COIN_MOVE

    def _track_gap(self, feed: IndexFeed, tick: PriceTick, now: int) -> None:
        if tick.seq > feed.seq:
            if not feed.missing:
                feed.missing_at = tick.event_time
                feed.missing_since = now
            feed.missing += tick.seq - feed.seq - 1
        elif feed.missing and tick.event_time < feed.event_time:
            feed.missing -= 1

    def _judge_gap(self, feed: IndexFeed, now: int) -> None:
        """Report sequence numbers that are still missing, since those were not merely late."""
        missing, feed.missing = feed.missing, 0
        if self._gap_limit is not None and missing > self._gap_limit:
            name = feed.asset.name
            self._alerts.notice("feed-gap", name, f"{missing} missing", feed.missing_at, now)

    def _report(self, feed: IndexFeed, defect: str, event_time: int, now: int) -> None:
        if self._corrupt_limit is not None:
            self._alerts.notice("corrupt-feed", feed.asset.name, defect, event_time, now)
