"""What can be wrong with a strategy."""

from typing import Any

from trading.messages.chaos import StrategyMalfunction

MODES = frozenset(
    {
        "runaway-repeat",
        "wrong-side",
        "stale-quotes",
        "fat-finger",
        "self-trading",
        "position-growth",
    }
)


class Malfunction:
    """``mode`` is empty while the strategy is well. ``since``: the beginning, microseconds."""

    def __init__(self) -> None:
        self.mode = ""
        self.rate = 0
        self.factor = 1
        self.since = 0

    def begin(self, fault: StrategyMalfunction, now: int) -> None:
        self.mode, self.rate, self.factor = fault.mode, fault.rate, fault.factor
        self.since = now

    def end(self) -> None:
        self.mode, self.rate, self.factor = "", 0, 1

    def state(self) -> list[Any]:
        return [self.mode, self.rate, self.factor, self.since]
