"""State changes of strategies, and the assignment of accounts to trading engines."""

from enum import StrEnum

from trading.messages.base import Message


class StrategyState(StrEnum):
    """STOPPED: by the kill switch. DISCONNECTED: the venue is unreachable. STANDBY: another engine,
    or none, trades for the account.
    """

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    DISCONNECTED = "DISCONNECTED"
    STANDBY = "STANDBY"


class StrategiesAssigned(Message):
    """From outside, to a trading engine that shares the accounts with others: trade for these
    accounts and for no others.

    ``accounts`` maps each account to the fencing number of its lease. A number other than before
    means that another engine may have traded in the meantime, so the engine starts anew.
    """

    accounts: dict[str, int]


class StrategyStateChanged(Message):
    """A strategy has changed its state."""

    strategy: str
    account: str
    state: StrategyState
    reason: str
    event_time: int
