"""Quotes of upstream sources, and the choice of the one that an asset's price is tied to."""

import math
from collections.abc import Mapping

import msgspec

from trading.units import MINUTE, SCALE

#: Highest plausible price in USD: above it, the source is faulty or uses another unit.
HIGHEST = 100_000_000.0
#: Largest relative difference between two sources that still agree.
TOLERANCE = 0.05
#: Age from which a quote is not used any more, in microseconds.
MAX_AGE = 15 * MINUTE


class Quote(msgspec.Struct, frozen=True):
    """A USD price in units of 1e-8, and the wall time (microseconds) at which it was valid."""

    price: int
    event_time: int


class PriceAnchor(msgspec.Struct, frozen=True):
    """The price that an asset's synthetic price is tied to.

    ``price`` is in units of 1e-8 USD. ``event_time`` is when it was valid, by the source, and
    ``observed_at`` when this service received it. ``stale`` is set while no source confirms it.
    """

    asset: str
    price: int
    source: str
    event_time: int
    observed_at: int
    stale: bool = False


class ImplausiblePrice(ValueError):
    """A price must not be used; the text says why."""


def parse_quote(usd: float, event_time: int, now: int) -> Quote:
    """Return the quote for a price in USD. Raises ImplausiblePrice if it is out of range or old.

    An ``event_time`` in the future becomes ``now``.
    """
    if not math.isfinite(usd) or not 0 < usd <= HIGHEST:
        raise ImplausiblePrice(f"{usd!r} is no price")
    price = round(usd * SCALE)
    if price <= 0:
        raise ImplausiblePrice(f"{usd!r} is no price")
    if now - event_time > MAX_AGE:
        raise ImplausiblePrice(f"{(now - event_time) // MINUTE} minutes old")
    return Quote(price, min(event_time, now))


def choose_quote(quotes: Mapping[str, Quote], last: PriceAnchor | None) -> tuple[str, Quote]:
    """Return the source and quote to use, of ``quotes`` by source in order of preference.

    ``quotes`` must not be empty. If the sources contradict each other, it is the only one that is
    close to ``last``; raises ImplausiblePrice if ``last`` is missing or stale, or if not exactly
    one is close to it.
    """
    (source, first), *others = quotes.items()
    if all(_close(first.price, other.price) for _, other in others):
        return source, first
    if last is not None and not last.stale:
        consistent = [(name, q) for name, q in quotes.items() if _close(q.price, last.price)]
        if len(consistent) == 1:
            return consistent[0]
    prices = ", ".join(f"{name} {q.price / SCALE:g}" for name, q in quotes.items())
    raise ImplausiblePrice(f"sources contradict each other: {prices}")


def _close(a: int, b: int) -> bool:
    return abs(a - b) <= TOLERANCE * max(a, b)
