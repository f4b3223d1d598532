"""What an upstream says, and which of it is believed."""

import math
from collections.abc import Mapping

import msgspec

from trading.units import MINUTE, SCALE

#: USD. Nobody has ever paid this for one coin: it is a fault, or another unit.
HIGHEST = 100_000_000.0
#: Two sources that are further apart than this share do not speak of the same market.
TOLERANCE = 0.05
#: A quote that was true longer ago than this says nothing about now; microseconds.
OUTDATED = 15 * MINUTE


class Quote(msgspec.Struct, frozen=True):
    """USD price in units of 1e-8, and when it was true, microseconds of wall time."""

    price: int
    event_time: int


class PriceAnchor(msgspec.Struct, frozen=True):
    """The price that an asset is tied to. ``observed_at``: when we were told, microseconds of wall
    time. ``stale``: nobody could confirm it since.
    """

    asset: str
    price: int
    source: str
    event_time: int
    observed_at: int
    stale: bool = False


class NotPlausible(ValueError):
    """Why a value is not believed."""


def quote(usd: float, event_time: int, now: int) -> Quote:
    """A quote, if it can be one. Raises NotPlausible."""
    if not math.isfinite(usd) or not 0 < usd <= HIGHEST:
        raise NotPlausible(f"{usd!r} is no price")
    price = round(usd * SCALE)
    if price <= 0:
        raise NotPlausible(f"{usd!r} is no price")
    if now - event_time > OUTDATED:
        raise NotPlausible(f"{(now - event_time) // MINUTE} minutes old")
    return Quote(price, min(event_time, now))


def choose(quotes: Mapping[str, Quote], last: PriceAnchor | None) -> tuple[str, Quote]:
    """``(source, quote)`` that is believed, of ``quotes`` by source in order of preference: not
    empty. Of sources that contradict each other, the one that goes on from ``last``; raises
    NotPlausible where none does, or all do.
    """
    (source, first), *others = quotes.items()
    if all(_near(first.price, other.price) for _, other in others):
        return source, first
    if last is not None and not last.stale:
        on = [(name, q) for name, q in quotes.items() if _near(q.price, last.price)]
        if len(on) == 1:
            return on[0]
    said = ", ".join(f"{name} {q.price / SCALE:g}" for name, q in quotes.items())
    raise NotPlausible(f"sources contradict each other: {said}")


def _near(a: int, b: int) -> bool:
    return abs(a - b) <= TOLERANCE * max(a, b)
