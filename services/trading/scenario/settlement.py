"""Computes when trades settle: T+N in cycles or days, as a pure function of time.

Days are UTC days. With T+N days, an instruction settles in time until the midnight that ends the
settlement day; this instant is its ``settlement_date``.
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
    """The settlement calendar of a run.

    ``calendar`` is intraday, calendar-days or business-days (Monday to Friday, no holidays).
    ``lag`` is the N of T+N, in cycles or days. ``cycle`` is the time between two settlement runs of
    the custodian in microseconds; runs are counted from midnight, so with a calendar of days the
    cycle has to divide the day. Other values raise ValueError.

    The intraday calendar nets the trades of one cycle, which settle at the end of the cycle that is
    ``lag`` later. The calendars of days net the trades of one day. T is the day of the trade; after
    a trade on a weekend, N business days count from the following Monday, so that both T+0 and T+1
    of a Saturday are that Monday.
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
        """Return the time of the first settlement run after ``now``."""
        return now - now % self.cycle + self.cycle

    def closes_netting(self, run: int) -> bool:
        """Return whether the netting period of trades ends at the settlement run at ``run``."""
        return self.calendar == INTRADAY or run % DAY == 0

    def settlement_date(self, run: int) -> int:
        """Return the settlement date of the trades whose netting period ends at ``run``."""
        if self.calendar == INTRADAY:
            return run + self.lag * self.cycle
        trade_day = run // DAY - 1
        if self.calendar == CALENDAR_DAYS:
            return (trade_day + self.lag + 1) * DAY
        return (self._business_day(trade_day) + 1) * DAY

    def _business_day(self, trade_day: int) -> int:
        day, remaining = trade_day, self.lag
        while remaining or _is_weekend(day):
            day += 1
            if remaining and not _is_weekend(day):
                remaining -= 1
        return day


def _is_weekend(day: int) -> bool:
    return (day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY
