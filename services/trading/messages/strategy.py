"""What the trading engine says about its strategies."""

from trading.messages.base import Message


class StrategyStateChanged(Message):
    """``state``: RUNNING, STOPPED (kill switch) or DISCONNECTED (venue unreachable)."""

    strategy: str
    account: str
    state: str
    reason: str
    event_time: int
