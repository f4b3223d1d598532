"""The malfunction that a strategy simulates, if any."""

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
    """Keeps the parameters of the active malfunction; ``mode`` is empty while there is none.

    ``rate`` is in orders per second, ``factor`` multiplies quantities, and ``since`` is the
    simulated time of the latest beginning.
    """

    def __init__(self) -> None:
        self.mode = ""
        self.rate = 0
        self.factor = 1
        self.since = 0

    def begin(self, fault: StrategyMalfunction, now: int) -> None:
        """Take over the parameters of ``fault``."""
        self.mode, self.rate, self.factor = fault.mode, fault.rate, fault.factor
        self.since = now

    def end(self) -> None:
        """Return to normal operation."""
        self.mode, self.rate, self.factor = "", 0, 1

    def state(self) -> list[Any]:
        """Return all parameters, as plain data to be compared."""
        return [self.mode, self.rate, self.factor, self.since]
