"""When trades settle: T+N in cycles or days, as a pure function of time.

Days are UTC days. The settlement date of T+N days is over at the midnight that ends the day: that
instant is the ``settlement_date`` of an instruction, the last moment at which it settles in time.
"""

import msgspec

from trading.units import DAY, MINUTE

INTRADAY = "intraday"
CALENDAR_DAYS = "calendar-days"
BUSINESS_DAYS = "business-days"

#: Weekday of 1970-01-01, Monday being 0.
_EPOCH_WEEKDAY = 3
_SATURDAY = 5


class SettlementTerms(msgspec.Struct, frozen=True):
    """``calendar``: intraday, calendar-days or business-days (Monday to Friday, no holidays).
    ``lag``: the N of T+N, in cycles or days. ``cycle``: distance of the custodian's settlement
    runs in microseconds; they start at midnight, so with a calendar of days it divides the day.

    intraday nets the trades of one cycle; they settle at the end of the cycle that is ``lag``
    later. The calendars of days net the trades of one day; T is the day of the trade, and N
    business days after a weekend's trade count from the Monday that follows (T+0 and T+1 of a
    Saturday are both the Monday). ValueError for anything else.
    """

    calendar: str = INTRADAY
    lag: int = 1
    cycle: int = 10 * MINUTE

    def __post_init__(self) -> None:
        if self.calendar not in (INTRADAY, CALENDAR_DAYS, BUSINESS_DAYS):
            raise ValueError(f"no settlement calendar: {self.calendar!r}")
        if self.lag < 0:
            raise ValueError(f"settlement lag below zero: {self.lag}")
        if self.cycle <= 0:
            raise ValueError(f"settlement cycle must be positive, not {self.cycle}")
        if self.calendar != INTRADAY and DAY % self.cycle:
            raise ValueError(f"settlement cycle of {self.cycle} us does not divide the day")

    def next_run(self, now: int) -> int:
        """The first settlement run after ``now``."""
        return now - now % self.cycle + self.cycle

    def closes_netting(self, run: int) -> bool:
        """Do the nets of trades close at this settlement run?"""
        return self.calendar == INTRADAY or run % DAY == 0

    def settlement_date(self, run: int) -> int:
        """The intended settlement date of the nets that close at ``run``."""
        if self.calendar == INTRADAY:
            return run + self.lag * self.cycle
        trade_day = run // DAY - 1
        if self.calendar == CALENDAR_DAYS:
            return (trade_day + self.lag + 1) * DAY
        return (self._business_day(trade_day) + 1) * DAY

    def _business_day(self, trade_day: int) -> int:
        day, left = trade_day, self.lag
        while left or _is_weekend(day):
            day += 1
            if left and not _is_weekend(day):
                left -= 1
        return day


def _is_weekend(day: int) -> bool:
    return (day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY
