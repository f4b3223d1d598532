"""What the trading engine says about its strategies, and is told about them."""

from trading.messages.base import Message


class StrategiesAssigned(Message):
    """From outside to a trading engine that shares the accounts with others: trade for these and
    for no others. ``accounts``: account -> fencing number of its lease. A number other than the
    one before means that somebody else may have traded meanwhile: start from nothing.
    """

    accounts: dict[str, int]


class StrategyStateChanged(Message):
    """``state``: RUNNING, STOPPED (kill switch), DISCONNECTED (venue unreachable) or STANDBY
    (another engine trades for this account, or nobody does).
    """

    strategy: str
    account: str
    state: str
    reason: str
    event_time: int
