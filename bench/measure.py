"""The result of a benchmark, and how time is measured."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured figure. `aim` is the target as text; `met` is None if there is no target."""

    name: str
    value: float
    unit: str
    aim: str = ""
    met: bool | None = None

    @property
    def text(self) -> str:
        """Return the value with its unit, for people."""
        value = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.2f}"
        return f"{value} {self.unit}"


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """Return the wall seconds of the fastest round: the one that other processes disturbed
    least.
    """
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best
