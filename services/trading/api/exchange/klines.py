"""Klines of every interval that Binance has, merged from those of one minute."""

from collections.abc import Iterable
from datetime import UTC, datetime

from trading.api.exchange.history import MAX_KLINES, Kline
from trading.units import DAY, HOUR, MINUTE, SECOND

_MONTH = "1M"
#: Name -> length in microseconds; 0 for a month, whose length varies.
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
#: The first Monday after the Unix epoch, which was a Thursday: weeks start on Mondays.
_MONDAY = 4 * DAY


def start_of(interval: str, at: int) -> int:
    """Return when the kline of `interval` starts that contains the time `at`; both in
    microseconds.
    """
    if interval == _MONTH:
        day = datetime.fromtimestamp(at // SECOND, UTC)
        return _us(day.year, day.month)
    shift = _MONDAY if interval == "1w" else 0
    return at - (at - shift) % INTERVALS[interval]


def end_of(interval: str, start: int) -> int:
    """Return when the kline of `interval` that starts at `start` ends; both in microseconds."""
    if interval == _MONTH:
        day = datetime.fromtimestamp(start // SECOND, UTC)
        return _us(day.year + day.month // 12, day.month % 12 + 1)
    return start + INTERVALS[interval]


def merged(minutes: Iterable[Kline], interval: str) -> list[Kline]:
    """Return the klines of `interval` that consist of the one-minute klines `minutes`, oldest
    first. Periods without a trade are filled with klines at the last price.
    """
    bars: list[Kline] = []
    for minute in minutes:
        start = start_of(interval, minute.start)
        _append_empty(bars, interval, start)
        if not bars or bars[-1].start != start:
            bars.append(Kline(start, minute.open, minute.high, minute.low, minute.close))
        bars[-1].join(minute)
    return bars


def _append_empty(bars: list[Kline], interval: str, until: int) -> None:
    """Append klines without trades until `until`, unless these would be more than a
    client can get.
    """
    if not bars:
        return
    last = bars[-1]
    start = end_of(interval, last.start)
    if INTERVALS[interval] and (until - start) // INTERVALS[interval] > MAX_KLINES:
        return
    while start < until:
        price = last.close
        bars.append(Kline(start, price, price, price, price))
        start = end_of(interval, start)


def _us(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * SECOND
