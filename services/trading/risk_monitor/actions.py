"""What the circuit breaker does when a rule fires."""

from enum import StrEnum


class BreakerAction(StrEnum):
    """What the circuit breaker does when a rule fires.

    KILL_ACCOUNT engages the exchange's kill switch for that account. REDUCE_AND_HALT enters
    REDUCING at the limit, and HALTED at twice the limit.
    """

    NONE = "none"
    KILL_ACCOUNT = "kill account"
    REDUCE = "REDUCING"
    REDUCE_AND_HALT = "REDUCING, HALTED at twice the limit"
