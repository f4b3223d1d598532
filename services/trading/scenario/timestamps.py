"""Parses the times of recorded prices, in the forms that exchanges and data vendors write."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from trading.units import MICROSECOND, MILLISECOND, SECOND

EXAMPLE = "2026-01-05T00:00:00Z"
#: 2100-01-01 in days since the epoch. Much later times could not be represented.
_LAST_DAY = 47_482
_MAX_TEXT = 40
#: The smallest number that is taken for milliseconds, microseconds and nanoseconds since the epoch.
#: Each is a day in March 1973 in its unit, and later than 2100 in the next larger one.
_MILLISECONDS_FROM, _MICROSECONDS_FROM, _NANOSECONDS_FROM = 10**11, 10**14, 10**17


class Timestamp(NamedTuple):
    """A time in microseconds since the epoch, and the unit in which it was written.

    ``unit`` is in microseconds, at least 1, also where the time was written in nanoseconds or as a
    date.
    """

    time: int
    unit: int


def parse_timestamp(text: str) -> Timestamp:
    """Return a time that is ISO 8601, or a number of seconds to nanoseconds since the epoch.

    ISO times without an offset are UTC, a trailing ``UTC`` is allowed, and eight digits are a day:
    20260105. The unit of a number follows from its size. Raises ValueError for other text, and for
    times outside 1970 to 2099; its message does not quote the text.
    """
    text = text.strip()
    if len(text) > _MAX_TEXT:
        raise ValueError("too long for a time")
    if not (len(text) == 8 and text.isdecimal()):
        try:
            return _since_epoch(Decimal(text))
        except InvalidOperation:
            pass
    time = _instant(text.removesuffix("UTC").rstrip())
    if time is None:
        raise ValueError("not a time from 1970 to 2099")
    return Timestamp(time, MICROSECOND)


def parse_instant(text: str) -> int:
    """Return an ISO 8601 time in microseconds since the epoch; UTC if it has no offset.

    Raises ValueError for other text, and for times outside 1970 to 2099.
    """
    try:
        time = _instant(text)
    except ValueError as error:
        raise ValueError(f"expected a time such as {EXAMPLE}, got {text[:40]!r}") from error
    if time is None:
        raise ValueError(f"expected a time from 1970 to 2099, got {text[:40]!r}")
    return time


def _since_epoch(number: Decimal) -> Timestamp:
    if not number.is_finite() or not 0 <= number < _NANOSECONDS_FROM * 1000:
        raise ValueError("not a time since 1970")
    if number >= _NANOSECONDS_FROM:
        time, unit = int(number) // 1000, MICROSECOND
    elif number >= _MICROSECONDS_FROM:
        time, unit = int(number), MICROSECOND
    else:
        unit = MILLISECOND if number >= _MILLISECONDS_FROM else SECOND
        time = int(number * unit)
    if time >= _LAST_DAY * 86_400 * SECOND:
        raise ValueError("a time after 2099")
    return Timestamp(time, unit)


def _instant(text: str) -> int | None:
    """Return an ISO 8601 time in microseconds, None outside 1970 to 2099. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since_epoch = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error
    if not 0 <= since_epoch.days < _LAST_DAY:
        return None
    return (since_epoch.days * 86_400 + since_epoch.seconds) * SECOND + since_epoch.microseconds
