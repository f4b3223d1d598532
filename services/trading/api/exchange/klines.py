"""Klines of every interval, from those of one minute."""

from collections.abc import Iterable
from datetime import UTC, datetime

from trading.api.exchange.history import MAX_KLINES, Kline
from trading.units import DAY, HOUR, MINUTE, SECOND

_MONTH = "1M"
#: Microseconds; a month has no length of its own.
INTERVALS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "8h": 8 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
    _MONTH: 0,
}
#: Weeks start on Mondays; the first of January 1970 was a Thursday.
_MONDAY = 4 * DAY


def start_of(interval: str, at: int) -> int:
    """When the kline began that the time ``at`` is in; microseconds, as all times here."""
    if interval == _MONTH:
        day = datetime.fromtimestamp(at // SECOND, UTC)
        return _us(day.year, day.month)
    shift = _MONDAY if interval == "1w" else 0
    return at - (at - shift) % INTERVALS[interval]


def end_of(interval: str, start: int) -> int:
    """When the next one begins."""
    if interval == _MONTH:
        day = datetime.fromtimestamp(start // SECOND, UTC)
        return _us(day.year + day.month // 12, day.month % 12 + 1)
    return start + INTERVALS[interval]


def merged(minutes: Iterable[Kline], interval: str) -> list[Kline]:
    """One-minute klines as klines of ``interval``. Where nothing was traded the price stays."""
    found: list[Kline] = []
    for minute in minutes:
        start = start_of(interval, minute.start)
        _fill(found, interval, start)
        if not found or found[-1].start != start:
            found.append(Kline(start, minute.open, minute.high, minute.low, minute.close))
        found[-1].join(minute)
    return found


def _fill(found: list[Kline], interval: str, until: int) -> None:
    if not found:
        return
    last = found[-1]
    start = end_of(interval, last.start)
    if INTERVALS[interval] and (until - start) // INTERVALS[interval] > MAX_KLINES:
        return
    while start < until:
        price = last.close
        found.append(Kline(start, price, price, price, price))
        start = end_of(interval, start)


def _us(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * SECOND
