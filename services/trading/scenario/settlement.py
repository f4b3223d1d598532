"""When trades settle."""

import msgspec

from trading.units import MINUTE


class SettlementTerms(msgspec.Struct, frozen=True):
    """``calendar``: intraday (cycles of ``cycle`` microseconds), calendar-days or business-days.
    ``lag``: the N of T+N, in cycles or days.
    """

    calendar: str = "intraday"
    lag: int = 1
    cycle: int = 10 * MINUTE
